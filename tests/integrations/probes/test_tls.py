"""The certificate that a server shows, good, old and none."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from certificates import showing

from paramedic.errors import PermanentError, TemporaryError
from paramedic.integrations.probes.tls import expires_at

SECOND = timedelta(seconds=5)


@pytest.mark.parametrize("days", [30, -30], ids=["good", "run-out"])
def test_the_date_is_read_whether_or_not_anybody_would_trust_it(tmp_path: Path, days: int) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
    with showing(tmp_path, until) as port:
        assert expires_at("127.0.0.1", port, SECOND) == until


def test_a_server_without_tls_and_one_that_is_silent_show_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(TemporaryError, match="no certificate within 200ms"):
            expires_at("127.0.0.1", port, timedelta(milliseconds=200))
    with pytest.raises(TemporaryError, match="no certificate was shown"):
        expires_at("127.0.0.1", port, SECOND)


def test_what_cannot_be_asked_is_useless() -> None:
    with pytest.raises(PermanentError, match="cannot be asked"):
        expires_at("a" * 70 + ".example", 443, SECOND)
