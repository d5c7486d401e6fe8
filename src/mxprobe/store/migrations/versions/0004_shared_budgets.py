"""What several processes share of addresses and providers: tokens, places, and on PostgreSQL the function that gives
them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "budget",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("level", sa.Double),
        sa.Column("at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_budget"),
    )
    op.create_table(
        "budget_place",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("used", sa.Integer, nullable=False),
        sa.Column("seen", sa.Double, nullable=False),
        sa.Column("waits_since", sa.Double),
        sa.Column("asked", sa.Double),
        sa.PrimaryKeyConstraint("name", "owner", name="pk_budget_place"),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.text(_SPEND.replace(":", r"\:")))


_SPEND = """
-- Gives units of budgets, in one round trip. All of it happens under the locks of the rows of `budget` that it touches,
-- which are taken in the order of their names.
--
-- _used: [{name, used, waits}], the places that the owner has, in place of what is written there, and whether it waits.
-- _back: [{name, tokens, burst}], tokens that were not used.
-- _wants: [{n, shares: [{name, places, burst, per_second}]}], so many units of each share; null is no limit.
-- _at: the time in seconds since 1970; null is the clock of the server.
-- The answer has {n, wait} for each want: the units that were given, and how many seconds a token takes at least.
CREATE FUNCTION mxprobe_spend(_owner text, _used jsonb, _back jsonb, _wants jsonb, _at double precision)
    RETURNS jsonb
    LANGUAGE plpgsql
AS $$
DECLARE
    -- Seconds after which an owner that has said nothing has ended.
    _alive CONSTANT double precision := 90;
    -- Seconds for which an owner that waits is asked after its turn, and those for which its turn is kept.
    _asks CONSTANT double precision := 2.5;
    _turn CONSTANT double precision := 5;
    -- Seconds by which the clock may go back before it was set.
    _set CONSTANT double precision := 60;
    _now double precision;
    _want jsonb;
    _share record;
    _budget record;
    _own record;
    _taken bigint;
    _ahead bigint;
    _level double precision;
    _free double precision;
    _given integer;
    _wait double precision;
    _lacks text[];
    _answer jsonb := '[]';
BEGIN
    INSERT INTO budget AS b (name, level, at)
        SELECT named.name, NULL, 0
        FROM (
            SELECT u.name FROM jsonb_to_recordset(_used) AS u(name text)
            UNION SELECT r.name FROM jsonb_to_recordset(_back) AS r(name text)
            UNION SELECT s.name FROM jsonb_array_elements(_wants) AS w, jsonb_to_recordset(w->'shares') AS s(name text)
        ) AS named
        ORDER BY named.name COLLATE "C"
        ON CONFLICT (name) DO UPDATE SET at = b.at;
    _now := coalesce(_at, extract(epoch FROM clock_timestamp()));

    INSERT INTO budget_place AS p (name, owner, used, seen)
        SELECT u.name, _owner, u.used, _now FROM jsonb_to_recordset(_used) AS u(name text, used integer)
        ON CONFLICT (name, owner) DO UPDATE SET used = excluded.used, seen = _now;
    UPDATE budget_place AS p SET waits_since = NULL, asked = NULL
        FROM jsonb_to_recordset(_used) AS u(name text, waits boolean)
        WHERE p.name = u.name AND p.owner = _owner AND p.waits_since IS NOT NULL AND NOT u.waits;
    UPDATE budget AS b SET level = least(r.burst, b.level + r.tokens)
        FROM jsonb_to_recordset(_back) AS r(name text, tokens integer, burst double precision)
        WHERE b.name = r.name AND b.level IS NOT NULL;

    FOR _want IN SELECT jsonb_array_elements(_wants) LOOP
        _given := (_want->>'n')::integer;
        _wait := 0;
        _lacks := '{}';
        FOR _share IN
            SELECT * FROM jsonb_to_recordset(_want->'shares')
                AS s(name text, places integer, burst double precision, per_second double precision)
        LOOP
            SELECT * INTO _budget FROM budget WHERE name = _share.name;
            IF _budget.at > _now + _set THEN
                UPDATE budget SET at = _now WHERE name = _share.name;
                _budget.at := _now;
            END IF;
            SELECT * INTO _own FROM budget_place WHERE name = _share.name AND owner = _owner;
            SELECT
                coalesce(sum(p.used) FILTER (WHERE p.owner = _owner OR abs(_now - p.seen) < _alive), 0),
                count(*) FILTER (
                    WHERE p.owner <> _owner AND abs(_now - p.asked) < _asks AND abs(_now - p.waits_since) < _turn
                    AND (_own.waits_since IS NULL OR p.waits_since < _own.waits_since)
                )
                INTO _taken, _ahead
                FROM budget_place AS p WHERE p.name = _share.name;
            _free := coalesce(_share.places, _given + _taken + _ahead) - _taken;
            IF _share.per_second IS NOT NULL THEN
                _level := least(
                    _share.burst,
                    coalesce(_budget.level, _share.burst) + greatest(_now - _budget.at, 0) * _share.per_second
                );
                _free := least(_free, floor(_level + 1e-6));
                IF _level + 1e-6 < 1 THEN
                    _wait := greatest(_wait, (1 - _level) / _share.per_second);
                END IF;
            END IF;
            -- Whoever has waited for longer comes first, and finds a unit when it asks again.
            IF _free - _ahead < _given THEN
                _given := greatest(_free - _ahead, 0);
                _lacks := _lacks || _share.name;
            END IF;
        END LOOP;
        IF _given > 0 THEN
            UPDATE budget AS b SET
                level = CASE WHEN s.per_second IS NULL THEN b.level ELSE greatest(0, least(
                    s.burst, coalesce(b.level, s.burst) + greatest(_now - b.at, 0) * s.per_second
                ) - _given) END,
                at = greatest(b.at, _now)
                FROM jsonb_to_recordset(_want->'shares')
                    AS s(name text, burst double precision, per_second double precision)
                WHERE b.name = s.name;
            INSERT INTO budget_place AS p (name, owner, used, seen)
                SELECT s.name, _owner, _given, _now FROM jsonb_to_recordset(_want->'shares') AS s(name text)
                ON CONFLICT (name, owner)
                DO UPDATE SET used = p.used + _given, seen = _now, waits_since = NULL, asked = NULL;
        END IF;
        IF _given < (_want->>'n')::integer THEN
            INSERT INTO budget_place AS p (name, owner, used, seen, waits_since, asked)
                SELECT lacking, _owner, 0, _now, _now, _now FROM unnest(_lacks) AS lacking
                ON CONFLICT (name, owner) DO UPDATE SET
                    waits_since = CASE WHEN abs(_now - p.waits_since) < _turn THEN p.waits_since ELSE _now END,
                    asked = _now;
        END IF;
        _answer := _answer || jsonb_build_object('n', _given, 'wait', _wait);
    END LOOP;
    RETURN _answer;
END;
$$
"""
