"""One look of each kind at something real: what it sees, and that a look which fails is not a breach."""

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
from certificates import showing
from fake_service import Service, service, target

from paramedic.checks.check import Check, CheckSpec, Sample, check_spec
from paramedic.doors import reading
from paramedic.integrations.probes import host
from paramedic.kinds.process_target import process_identity
from paramedic.remediation.target import Identity
from paramedic.sampling import one_sample

__all__ = ["service"]

NOW = datetime.now(UTC).replace(microsecond=0)


def look(check: Check, *, health: str | None = None, heard: timedelta | None = None) -> Sample:
    return one_sample.sample(check, target(health), now=lambda: NOW, last_heard=lambda _: heard)


def made(**words: Any) -> Check:
    return check_spec(CheckSpec)(**words).build()


def test_a_service_that_is_well_has_its_latency(service: Service) -> None:
    seen = look(made(check=service.url))
    assert seen.values is not None
    assert seen.values["error"] == 0
    assert 0 < seen.values["latency"] < 1
    assert (seen.at, seen.why) == (NOW, "answered 200")


def test_the_health_address_is_the_targets_own(service: Service) -> None:
    assert look(made(check="health"), health=service.url).values is not None
    assert look(made(check="health")) == Sample(
        NOW, None, "services.yaml names no health address for web-1/tracking-api"
    )


def test_an_error_a_slow_answer_and_none_are_seen_and_are_not_unknown(service: Service) -> None:
    check = made(check=service.url, timeout="300ms")
    service.status = 500
    assert look(check).values["error"] == 1  # type: ignore[index]
    service.status, service.late = 200, 0.1
    slow = look(check)
    assert slow.values is not None
    assert (slow.values["error"], slow.values["latency"] >= 0.1) == (0, True)
    service.hang()
    hung = look(check)
    assert hung.values is not None
    assert (hung.values["error"], hung.values["latency"] >= 0.3) == (1, True)
    assert hung.why == "no whole answer within 300ms"


@pytest.mark.parametrize("status", [302, 401, 403, 429])
def test_who_may_not_be_asked_is_unknown_and_no_error(service: Service, status: int) -> None:
    service.status = status
    seen = look(made(check=service.url, error_rate={"critical": "3%"}))
    assert (seen.values, f"answered {status}" in seen.why) == (None, True)


@pytest.mark.parametrize("address", ["http://web.invalid/health", "tcp://web.invalid:80"])
def test_a_name_that_does_not_resolve_is_unknown_and_no_error(address: str) -> None:
    assert look(made(check=address, error_rate={"critical": "3%"})).values is None


def test_a_port_is_open_or_it_is_not(service: Service) -> None:
    port = service.server_address[1]
    assert look(made(check=f"tcp://127.0.0.1:{port}")).values["error"] == 0  # type: ignore[index]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        assert look(made(check=f"tcp://127.0.0.1:{free.getsockname()[1]}")).values["error"] == 1  # type: ignore[index]


def test_a_certificate_says_how_long_it_is_good_and_a_server_that_shows_none_is_unknown(tmp_path: Path) -> None:
    with showing(tmp_path, NOW + timedelta(days=10)) as port:
        seen = look(made(check=f"tls://127.0.0.1:{port}", timeout="5s"))
    assert seen.values == {"expires_in": 10 * 86_400}
    assert look(made(check=f"tls://127.0.0.1:{port}")).values is None


def test_this_machine_is_measured() -> None:
    seen = look(made(check="host"))
    assert seen.values is not None
    assert set(seen.values) == {"cpu", "memory", "memory_percent", "disk", "inodes", "load", "open_files"}


def test_the_targets_process_is_measured_and_only_if_it_is_one_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    me = psutil.Process()
    identity = process_identity(me.pid, me.create_time(), "RUNNING")

    class Reader:
        def identity(self) -> Identity:
            return identity

    monkeypatch.setattr(reading, "reader", lambda _: Reader())
    seen = look(made(check="process"))
    assert seen.values is not None
    assert seen.values["memory"] > 1_000_000
    identity = process_identity(me.pid, me.create_time() - 1000, "RUNNING")
    assert "none of this machine" in look(made(check="process")).why
    identity = process_identity(None, None, "STOPPED")
    assert look(made(check="process")).values is None


def test_a_heartbeat_is_missed_for_as_long_as_it_was_not_heard() -> None:
    check = made(check="heartbeat", name="backup-{host}", missing_for={"warning": "26h"})
    asked = []
    seen = one_sample.sample(
        check, target(), now=lambda: NOW, last_heard=lambda name: asked.append(name) or timedelta(hours=3)
    )
    assert (asked, seen.values) == (["backup-web-1"], {"missing_for": 3 * 3600})
    never = look(check)
    assert never.values is None
    assert "/heartbeats/backup-web-1" in never.why


def test_a_check_that_fails_itself_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(host, "look", broken)
    assert look(made(check="host")) == Sample(NOW, None, "the check itself failed: RuntimeError: a bug")


def test_a_control_probe_is_silent_only_where_nothing_answers(service: Service) -> None:
    limit = timedelta(milliseconds=300)
    port = service.server_address[1]
    service.status = 503
    assert not one_sample.silent(service.url, limit), "any answer shows that we can see"
    assert not one_sample.silent(f"tcp://127.0.0.1:{port}", limit)
    service.hang()
    assert one_sample.silent(service.url, limit)
    assert one_sample.silent("tcp://127.0.0.1:1", limit)
    assert one_sample.silent("nonsense", limit)
