"""`mxprobe alerts test`: a message to each target of alerts, so that one knows before it matters."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

from mxprobe.alerts.by_webhook import NotDelivered
from mxprobe.alerts.messages import delivery_key, trial_document
from mxprobe.alerts.sender import way_to
from mxprobe.alerts.targets import AlertTarget
from mxprobe.cli.outcome import FINDING, NOTHING_TO_REPORT
from mxprobe.cli.running import run_async
from mxprobe.configuration.probes_toml import read_configuration
from mxprobe.configuration.sections import closest
from mxprobe.errors import InvalidSetting
from mxprobe.report.escape import printable


def test(path: Path, names: tuple[str, ...]) -> int:
    """Run the command: a line for each target, and exit code 1 where one was not reached."""
    configuration = read_configuration(path, pass_over=True, tells=True, keeps=False)
    targets = configuration.alert_targets()
    if not targets:
        raise InvalidSetting(f"{path}: alert", "there is none, so there is nobody to tell", "[[alert]]")
    known = tuple(target.name for target in targets)
    for name in names:
        if name not in known:
            raise InvalidSetting("NAME", f"there is no alert {name!r}{closest(name, known)}", ", ".join(known))
    reached = run_async(_test(tuple(target for target in targets if not names or target.name in names)))
    return NOTHING_TO_REPORT if reached else FINDING


async def _test(targets: tuple[AlertTarget, ...]) -> bool:
    reached = True
    for target in targets:
        now = datetime.now(UTC)
        try:
            document = trial_document(target.name, now)
            await way_to(target, lambda: datetime.now(UTC))(document, delivery_key(target.name, token_hex(16)))
        except NotDelivered as error:
            reached = False
            print(printable(f"mxprobe: alert {target.name}: not sent: {error}", 1000), file=sys.stderr)
        else:
            print(printable(f"{target.name}: sent", 1000))
    return reached
