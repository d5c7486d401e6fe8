"""What this machine lacks, such as descriptors, where servers were to be asked: that says nothing of them."""

from __future__ import annotations

import errno
import os

from mxprobe.facts import EndpointFacts

_WORDS = {
    errno.EMFILE: "this process may open no more files and connections (ulimit -n, LimitNOFILE= of systemd.exec(5))",
    errno.ENFILE: "this machine can open no more files and connections (fs.file-max, proc_sys_fs(5))",
    errno.ENOBUFS: "this machine has no memory left for connections",
    errno.ENOMEM: "this machine has no memory left",
}


def lack_of(error: BaseException) -> str:
    """What was lacking where an error came up; empty where it is about something else."""
    return _WORDS.get(error.errno or 0, "") if isinstance(error, OSError) else ""


def lack_at(facts: EndpointFacts) -> str:
    """What was lacking here to ask an endpoint; empty where it was asked."""
    if facts.greeting is not None or facts.starttls.stage != "connect":
        return ""
    return next((words for number, words in _WORDS.items() if facts.starttls.reason.endswith(os.strerror(number))), "")
