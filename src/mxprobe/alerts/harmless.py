"""Peer text in messages to people: nothing in it is a control character, a mark of HTML, Markdown or a chat, or a link.

Who runs a mail server writes its certificate, its replies and its names in the DNS, and so part of what an alert says.
"""

from __future__ import annotations

from mxprobe.report.escape import printable

_MARKS = str.maketrans({"<": "‹", ">": "›", "`": "ˋ", "@": "＠"})
"""HTML and Slack's links and mentions; code; mentions of Discord, Mattermost and Telegram (``@everyone``)."""


def harmless(text: str, limit: int = 300) -> str:
    r"""The text on one line for people to read, at most `limit` characters long.

    What is not visible is written out as in every report (``\x1b``). ``< > ` @`` become characters that look alike;
    ``://`` and ``](`` are taken apart, so that no client of mail or chat makes a link. JSON has the exact text.
    """
    marked = text.translate(_MARKS).replace("](", "] (").replace("://", ":/ /")
    return printable(marked, limit)
