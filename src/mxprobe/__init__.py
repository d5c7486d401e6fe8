"""mxprobe asks mail servers what they really do with STARTTLS.

For programs: `probe` gives one next-hop, judged; `probe_endpoints` gives the facts of many endpoints as they come;
`ProbeSettings` says how. `docs/python.md` has examples. Everything is imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mxprobe.errors import MxprobeError as MxprobeError
    from mxprobe.facts import EndpointFacts as EndpointFacts
    from mxprobe.facts import Report as Report
    from mxprobe.facts import Target as Target
    from mxprobe.facts import Verdict as Verdict
    from mxprobe.mta.profile import Profile as Profile
    from mxprobe.network.settings import Limits as Limits
    from mxprobe.network.settings import Timeouts as Timeouts
    from mxprobe.probing.prober import probe as probe
    from mxprobe.probing.prober import probe_endpoints as probe_endpoints
    from mxprobe.probing.settings import ProbeSettings as ProbeSettings

_HOMES = {
    "EndpointFacts": "mxprobe.facts",
    "Limits": "mxprobe.network.settings",
    "MxprobeError": "mxprobe.errors",
    "ProbeSettings": "mxprobe.probing.settings",
    "Profile": "mxprobe.mta.profile",
    "Report": "mxprobe.facts",
    "Target": "mxprobe.facts",
    "Timeouts": "mxprobe.network.settings",
    "Verdict": "mxprobe.facts",
    "probe": "mxprobe.probing.prober",
    "probe_endpoints": "mxprobe.probing.prober",
}

__version__ = "0.1.0"
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
