"""`mxprobe check`: the gate before a change, at live servers and on paper."""
