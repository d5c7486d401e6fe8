"""What holds for all tests."""

from __future__ import annotations

import signal

import hypothesis

# Who starts the tests in the background of a shell starts them with SIGINT ignored, and all that they start inherits
# that (POSIX, Shell Command Language §2.11). The commands under test are to end by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No test is about how long something takes: the machine may be busy.
hypothesis.settings.register_profile("mxprobe", deadline=None)
hypothesis.settings.load_profile("mxprobe")
