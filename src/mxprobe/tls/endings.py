"""How an answer reads: one short text for each ending, used wherever a reason is given."""

from __future__ import annotations

from typing import assert_never

from mxprobe.tls.alerts import ALERTS, EMPTY_CIPHER_LIST, SSLV2_ERRORS, sslv2_error_name
from mxprobe.tls.offer import Answer, Chosen, Closed, Garbled, Refused, Silent, Stage, Throttled, Unasked

_STAGES: dict[Stage, str] = {
    "connect": "while connecting",
    "greeting": "before the greeting",
    "ehlo": "after EHLO",
    "starttls": "after STARTTLS",
    "hello": "after our ClientHello",
    "handshake": "in the handshake",
}


def ending_text(answer: Answer) -> str:
    """What happened, for a mail administrator; peer text in it is not yet escaped."""
    match answer:
        case Chosen(ended_by=int(alert)):
            return f"picked a suite in {answer.protocol}, then sent {_alert(alert)}"
        case Chosen(fault=str(fault)) if fault:
            return f"answered with {answer.protocol}, and then: {fault}"
        case Chosen():
            return f"answered with {answer.protocol}"
        case Refused(alert=int(alert)):
            return _alert(alert)
        case Refused(sslv2_error=int(error)) if error == EMPTY_CIPHER_LIST:
            return "an empty SSLv2 cipher list"
        case Refused(sslv2_error=int(error)):
            name = sslv2_error_name(error)
            return f"SSLv2 error {error} ({name})" if error in SSLV2_ERRORS else name
        case Refused():
            return "refused without a reason"
        case Closed():
            how = "reset" if answer.how == "reset" else "closed"
            return f"the server {how} the connection {_STAGES[answer.stage]}"
        case Silent():
            return f"silent {_STAGES[answer.stage]} for {answer.seconds:.0f} s"
        case Garbled():
            return f"not understood {_STAGES[answer.stage]}: {answer.reason}"
        case Throttled():
            return f"not served {_STAGES[answer.stage]}: {answer.reply}"
        case Unasked():
            return f"not asked: {answer.reason}"
        case _:
            assert_never(answer)


def _alert(number: int) -> str:
    return f"alert {number} ({ALERTS.get(number, 'unregistered')})"
