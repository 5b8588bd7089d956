"""Checks that are asked from real SSH servers: each host's own view, by its own resolver and its own way."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from certificates import showing
from fake_service import Service, service, target
from ssh_servers import Sshd, relay, running
from waiting import soon, until

from paramedic.checks.check import Check, CheckSpec, Sample, check_spec
from paramedic.demo.world import free_port
from paramedic.remediation.host import Host
from paramedic.sampling import one_sample
from paramedic.transports.ssh_connection import connection

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("nothing_warm")]
__all__ = ["service"]

SHORT = timedelta(seconds=0.6)

#: On one machine alone the name means something.
ITS_NAMES = """
mount -t tmpfs tmpfs /run
mkdir /run/sshd
mount --bind "$0/hosts" /etc/hosts
exec "$@"
"""


@pytest.fixture(scope="module")
def hosts(require: Callable[[str], str]) -> Iterator[tuple[Sshd, Sshd]]:
    with ExitStack() as opened:
        yield opened.enter_context(running(require)), opened.enter_context(running(require))


def asked(address: str, *places: str, at: tuple[Host, ...], **words: Any) -> Check:
    made = check_spec(CheckSpec)(check=address, timeout="4s", **{"from": list(places)}, **words).build()
    return replace(made, places=at)


def look(check: Check) -> Sample:
    return one_sample.sample(check, target(), now=lambda: datetime.now(UTC), last_heard=lambda _: None)


def test_each_host_asks_itself_and_who_is_not_reached_has_no_voice(service: Service, hosts: tuple[Sshd, Sshd]) -> None:
    two, three = hosts[0].host("web-2"), hosts[1].host("web-3")
    gone = hosts[1].host("web-3", port=free_port())
    well = look(asked(service.url, "local", "web-2", "web-3", at=(two, three), body={"lacks": "error"}))
    assert (well.values or {})["error"] == 0, well.why
    assert well.why.count("well (answered 200)") == 3
    one_gone = look(asked(service.url, "local", "web-2", "web-3", at=(two, gone)))
    assert (one_gone.values or {})["error"] == 0, one_gone.why
    assert "web-3: unknown (web-3, by SSH as" in one_gone.why
    service.status = 503
    down = look(asked(service.url, "local", "web-2", "web-3", at=(two, gone)))
    assert (down.values or {})["error"] == 1, down.why
    assert down.why.startswith("local: failing (answered 503); web-2: failing (answered 503); web-3: unknown (")


def test_a_closed_port_is_refused_at_each_host(hosts: tuple[Sshd, Sshd]) -> None:
    at = (hosts[0].host("web-2"), hosts[1].host("web-3"))
    for address in (f"tcp://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}/"):
        seen = look(asked(address, "web-2", "web-3", at=at))
        assert (seen.values or {})["error"] == 1, seen.why
        assert seen.why.count("Connection refused)") == 2


def test_a_name_that_only_one_host_knows_is_well_there_alone(
    require: Callable[[str], str], service: Service, hosts: tuple[Sshd, Sshd], tmp_path: Path
) -> None:
    (tmp_path / "hosts").write_text("127.0.0.1 localhost shop.test\n")
    bind = ("unshare", "--mount", "sh", "-c", ITS_NAMES, str(tmp_path))
    with running(require, inside=bind) as knowing:
        at = (hosts[0].host("web-2"), knowing.host("web-3"))
        address = f"http://shop.test:{service.server_address[1]}/"
        alone = look(asked(address, "web-3", at=at))
        all_three = look(asked(address, "local", "web-2", "web-3", at=at))
    assert (alone.values or {})["error"] == 0, alone.why
    assert all_three.values is None
    assert "web-2: unknown (" in all_three.why
    assert "web-3: well (answered 200)" in all_three.why


def test_a_certificate_is_judged_at_each_place_by_the_name_that_was_asked(
    hosts: tuple[Sshd, Sshd], tmp_path: Path
) -> None:
    with showing(tmp_path, datetime.now(UTC) + timedelta(days=10)) as port:
        seen = look(asked(f"https://localhost:{port}/", "web-2", at=(hosts[0].host("web-2"),)))
    assert seen.values is None
    assert "certificate" in seen.why.lower()


def test_an_address_that_is_silent_is_unknown_and_costs_others_nothing(
    service: Service, hosts: tuple[Sshd, Sshd]
) -> None:
    """The warm connection to the host stays: only the address does not answer. What is opened too late is closed."""
    two = hosts[0].host("web-2")
    warm, _ = connection(two)._live(soon())
    with ExitStack() as opened:
        full = opened.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        waiting = opened.enter_context(socket.create_connection(full.getsockname()))
        seen = look(replace(asked(f"tcp://127.0.0.1:{full.getsockname()[1]}", "web-2", at=(two,)), timeout=SHORT))
        assert seen.values is None, seen.why
        assert "web-2: unknown (no connection within" in seen.why
        full.accept()[0].close()
        late = opened.enter_context(full.accept()[0])  # their sshd has tried again
        until("the late answer has come", warm._late[0][0].is_set)
        assert (look(asked(service.url, "web-2", at=(two,))).values or {})["error"] == 0
        assert connection(two)._transport is warm
        late.settimeout(10)
        assert late.recv(1) == b"", "it is closed there too"
        waiting.close()


def test_a_way_to_the_host_that_stalls_in_mid_look_is_not_the_targets_fault(
    service: Service, hosts: tuple[Sshd, Sshd]
) -> None:
    with relay(hosts[0]) as between:
        check = asked(service.url, "web-2", at=(hosts[0].through(between, "web-2"),))
        assert (look(check).values or {})["error"] == 0
        service.late = 0.5
        threading.Timer(0.2, between.hold).start()
        seen = look(replace(check, timeout=2 * SHORT))
    assert seen.values is None, seen.why
