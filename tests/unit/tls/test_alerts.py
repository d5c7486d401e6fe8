"""What alerts are called."""

from __future__ import annotations

from mxprobe.tls.alerts import ALERTS, alert_name, sslv2_error_name
from servers.memory_servers import tlslite_constants


def test_names_are_those_of_tlslite() -> None:
    theirs = {
        number: name
        for name, number in vars(tlslite_constants.AlertDescription).items()
        if isinstance(number, int) and not name.startswith("_")
    }
    shared = theirs.keys() & ALERTS.keys()
    assert len(shared) >= 30
    assert {number: ALERTS[number] for number in shared} == {number: theirs[number] for number in shared}


def test_an_unregistered_number_is_its_own_name() -> None:
    assert alert_name(40) == "handshake_failure"
    assert alert_name(123) == "alert 123"
    assert sslv2_error_name(1) == "NO-CIPHER-ERROR"
    assert sslv2_error_name(9) == "SSLv2 error 9"
