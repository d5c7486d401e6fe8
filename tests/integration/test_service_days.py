"""Some days of a service with a real prober and a real store, at a server that changes from one day to the next."""

from __future__ import annotations

import asyncio
from pathlib import Path

from mxprobe.cli.serve import Worlds
from mxprobe.configuration.probes_toml import read_configuration
from mxprobe.configuration.quiet_hours import DAY
from mxprobe.schedule.alerting import Alerting
from mxprobe.schedule.clock import SystemClock
from mxprobe.schedule.service import Service
from mxprobe.schedule.telling import Line
from mxprobe.schedule.timetable import Reading
from mxprobe.store import open_store
from servers.running import RunningServer
from servers.smtp_front import Script, smtp_front

PLAIN = Script(ehlo=("250-mx.test", "250 8BITMIME"))
BUSY = Script(banner="421 4.7.0 try again later")


class Ahead(SystemClock):
    """The clocks of this machine, some days ahead."""

    def __init__(self, days: float) -> None:
        super().__init__()
        self._ahead = days * DAY

    def now(self) -> Reading:
        """What the clocks show."""
        now = super().now()
        return Reading(wall=now.wall + self._ahead, steady=now.steady + self._ahead)


async def test_what_changes_is_an_event_once_and_so_is_its_end(
    tmp_path: Path, server: RunningServer, store_url: str
) -> None:
    days = [None, None, PLAIN, PLAIN, BUSY, PLAIN, None, BUSY, None]
    told: list[tuple[int, str, str]] = []
    lines: list[Line] = []
    port = 0
    for day, script in enumerate(days):
        with smtp_front(server, script, port=port) as front:
            port = front.port
            path = tmp_path / "probes.toml"
            path.write_text(
                f"[probe]\nallow_private = true\ntimeouts = {{ pause = 0.1 }}\ndeadline = 10\nfull_every = 3\n"
                f'[[group]]\nname = "all"\nnext_hops = ["[127.0.0.1]:{port}"]\n'
                f'[service]\nconfirm_after = 0\n[store]\nurl = "{store_url}"\n'
            )
            configuration = read_configuration(path)
            clock = Ahead(day)
            async with asyncio.timeout(60), open_store(store_url) as store:
                service = Service(
                    configuration,
                    store,
                    make_world=Worlds(store, clock, Alerting(store, clock, lines.append)).make,
                    read=lambda configuration=configuration: configuration,
                    clock=clock,
                    owner=f"day {day}",
                    tell=lines.append,
                )
                assert await service.once() == ()
                seen = len(told)
                kept = await store.events()
                told += [(day, event.kind, event.state) for event in kept[seen:]]
    assert [each for each in told if "starttls" in each[1]] == [
        (2, "starttls-vanished", "confirmed"),
        (6, "starttls-appeared", "seen"),
    ]
    assert [line.text for line in lines if line.level == "error"] == []
    async with open_store(store_url, read_only=True) as store:
        assert len([each async for each in store.past(f"[127.0.0.1]:{port}")]) == len(days)
