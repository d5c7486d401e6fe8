"""Scans, their targets and endpoints, and certificates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "scan",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("settings_digest", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_scan"),
    )
    op.create_table(
        "target",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("scan_id", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("next_hop", sa.Text, nullable=False),
        sa.Column("route", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_target"),
        sa.ForeignKeyConstraint(["scan_id"], ["scan.id"], name="fk_target_scan_id", ondelete="CASCADE"),
        sa.UniqueConstraint("scan_id", "next_hop", name="uq_target_scan_id_next_hop"),
    )
    op.create_index("ix_target_next_hop_scan_id", "target", ["next_hop", "scan_id"])
    op.create_table(
        "endpoint",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("scan_id", sa.Integer, nullable=False),
        sa.Column("service", sa.String(8), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("address", sa.String(64), nullable=False),
        sa.Column("port", sa.Integer, nullable=False),
        sa.Column("facts", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_endpoint"),
        sa.ForeignKeyConstraint(["scan_id"], ["scan.id"], name="fk_endpoint_scan_id", ondelete="CASCADE"),
        sa.UniqueConstraint(
            "scan_id", "service", "host", "address", "port", name="uq_endpoint_scan_id_service_host_address_port"
        ),
    )
    op.create_table(
        "target_endpoint",
        sa.Column("target_id", sa.Integer, nullable=False),
        sa.Column("endpoint_id", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("target_id", "endpoint_id", name="pk_target_endpoint"),
        sa.ForeignKeyConstraint(["target_id"], ["target.id"], name="fk_target_endpoint_target_id", ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["endpoint_id"], ["endpoint.id"], name="fk_target_endpoint_endpoint_id", ondelete="CASCADE"
        ),
    )
    op.create_index("ix_target_endpoint_endpoint_id", "target_endpoint", ["endpoint_id"])
    op.create_table(
        "certificate",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("der", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_certificate"),
    )
