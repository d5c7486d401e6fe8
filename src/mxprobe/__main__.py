"""`python -m mxprobe`, the same as the command `mxprobe`."""

from mxprobe.cli import main

main()
