"""What cannot be seen starts no cure and verifies none: it is looked at again, and then a person gets it, with the reason."""

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from fake_service import Service, service, target
from playbook_runs import opened_by, playbook_run, shop_down

from paramedic.change import look
from paramedic.change.look import measure
from paramedic.change.run import PlaybookRun
from paramedic.demo.world import free_port
from paramedic.doors import reading
from paramedic.errors import CannotSee, HostNotReached, NotLetIn, PermanentError, TemporaryError, Unreachable
from paramedic.kinds.process_target import process_identity
from paramedic.remediation.health import Health, Sight
from paramedic.remediation.host import Host, SshAccess
from paramedic.remediation.target import Identity
from paramedic.settings import Settings
from paramedic.store import Store, acts, evidence, trail
from tasks import detect, verify
from tasks.current_run import working_on
from tasks.detect import still_failing
from tasks.verify import stays_healthy

__all__ = ["service"]


class Owner:
    """Says of the program what a test says."""

    says: Identity | Exception = process_identity(4711, 1.0, "RUNNING")

    def identity(self) -> Identity:
        if isinstance(self.says, Exception):
            raise self.says
        return self.says


@pytest.fixture
def owner(monkeypatch: pytest.MonkeyPatch) -> Owner:
    owner = Owner()
    monkeypatch.setattr(reading, "reader", lambda _: owner)
    return owner


@pytest.fixture
def work(
    store: Store, service: Service, owner: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[PlaybookRun]:
    """A run at work on a target that is well, whose operator does nothing."""
    monkeypatch.setattr(detect, "_PATIENCE", timedelta(milliseconds=300))
    monkeypatch.setattr(detect, "_LOOK_AGAIN_SECONDS", 0.02)
    runbook = shop_down(stable="100ms", within="1s")
    at = target(service.url)
    run = playbook_run(store, Settings(data=tmp_path), opened_by(store, runbook, at), runbook, at)
    with working_on(run):
        yield run


def _failing(work: PlaybookRun) -> bool:
    return still_failing.fn(work.incident)


def _healthy(work: PlaybookRun) -> bool:
    return stays_healthy.fn(work.incident, work.runbook)


#: Each keeps us from seeing, by a real way to the target.
BLIND: dict[str, Callable[[PlaybookRun, Owner, Service], None]] = {
    "name": lambda work, _o, _s: _at(work, "http://web.invalid/health"),
    "tls": lambda work, _o, service: _at(work, service.url.replace("http:", "https:")),
    "no-url": lambda work, _o, _s: _at(work, "ftp://web/health"),
    "login": lambda _w, _o, service: setattr(service, "status", 401),
    "forbidden": lambda _w, _o, service: setattr(service, "status", 403),
    "too-often": lambda _w, _o, service: setattr(service, "status", 429),
    "redirect": lambda _w, _o, service: setattr(service, "status", 302),
    "owner-away": lambda _w, owner, _s: setattr(owner, "says", TemporaryError("supervisord does not answer")),
    "owner-denies": lambda _w, owner, _s: setattr(owner, "says", PermanentError("permission denied")),
    "host-away": lambda _w, owner, _s: setattr(owner, "says", Unreachable("web-1 cannot be reached")),
    "owner-unsure": lambda _w, owner, _s: setattr(owner, "says", process_identity(None, None, "UNKNOWN")),
}


def _at(work: PlaybookRun, health: str) -> None:
    work.target = replace(work.target, health=health)


@pytest.mark.parametrize("way", BLIND)
def test_no_way_of_not_seeing_is_failing(work: PlaybookRun, owner: Owner, service: Service, way: str) -> None:
    assert measure(work).sight is Sight.WELL
    BLIND[way](work, owner, service)
    assert measure(work).sight is Sight.UNKNOWN


@pytest.mark.parametrize("way", ["login", "owner-away", "name"])
def test_what_cannot_be_seen_is_looked_at_again_and_then_handed_over_and_no_cure_begins(
    work: PlaybookRun, owner: Owner, service: Service, way: str
) -> None:
    BLIND[way](work, owner, service)
    with pytest.raises(CannotSee, match="nothing was done") as error:
        _failing(work)
    assert measure(work).why in str(error.value)


def test_what_is_seen_again_in_time_goes_on(work: PlaybookRun, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = itertools.chain([Sight.UNKNOWN] * 3, itertools.repeat(Sight.FAILING))
    monkeypatch.setattr(detect, "measure", lambda _: Health(next(seen), "as the test says"))
    assert _failing(work)


def test_a_verification_that_cannot_see_verifies_nothing_and_tries_no_other_remedy(
    work: PlaybookRun, service: Service, store: Store
) -> None:
    service.status = 403
    with pytest.raises(CannotSee, match=r"could not see whether .*answered 403.*No other remedy is tried"):
        _healthy(work)
    with store.read() as tx:
        assert [entry.what for entry in trail.entries(tx)][-1] == "verification.blind"


def test_a_verification_that_sees_it_fail_says_so(work: PlaybookRun, service: Service) -> None:
    service.status = 500
    assert not _healthy(work)
    service.status = 200
    assert _healthy(work)


def test_a_blind_moment_begins_the_stretch_anew(work: PlaybookRun, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[Sight] = []

    def look(_: PlaybookRun) -> Health:
        looks.append(Sight.UNKNOWN if len(looks) % 3 == 2 else Sight.WELL)
        return Health(looks[-1], "as the test says")

    monkeypatch.setattr(verify, "measure", look)
    work.runbook = replace(work.runbook, verify=replace(work.runbook.verify, stable=timedelta(milliseconds=200)))
    with pytest.raises(CannotSee):
        _healthy(work)
    assert Sight.WELL in looks


def _behind_its_ssh(work: PlaybookRun, owner: Owner, error: Exception) -> None:
    """Its host is another one, at the address of its service, and is not reached."""
    owner.says = error
    access = SshAccess("127.0.0.1", "u", free_port(), key="/k")
    work.target = replace(work.target, machine=Host(work.target.host, access))


@pytest.mark.parametrize("error", [Unreachable("it is away"), NotLetIn("another host key")])
def test_a_host_that_is_not_reached_is_unknown_and_a_second_way_is_told_beside_it(
    work: PlaybookRun, owner: Owner, service: Service, error: Exception
) -> None:
    _behind_its_ssh(work, owner, error)
    for status, shows in ((200, Sight.WELL), (503, Sight.FAILING), (401, Sight.UNKNOWN)):
        service.status = status
        seen = measure(work)
        assert (seen.sight, seen.second) == (Sight.UNKNOWN, shows)
        assert f"{error}; by a second way: its health address: answered {status}" in seen.why
    owner.says = TemporaryError("wrapped")
    owner.says.__cause__ = error
    assert measure(work).second is Sight.UNKNOWN, "the owner's words hide no reason"


def test_where_memory_is_a_condition_or_the_target_is_no_program_a_second_way_shows_no_health(
    work: PlaybookRun, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    _behind_its_ssh(work, owner, Unreachable("it is away"))
    assert measure(work).second is Sight.WELL
    runbook = work.runbook
    work.runbook = replace(runbook, verify=replace(runbook.verify, memory_below=1))
    assert measure(work).second is Sight.UNKNOWN
    work.runbook, work.target = runbook, replace(work.target, kind="machine")
    assert measure(work).second is Sight.UNKNOWN
    work.target = replace(work.target, kind="container")
    assert measure(work).second is Sight.WELL
    monkeypatch.setattr(look, "_checked", lambda _: Health(Sight.UNKNOWN, "a check sees nothing"))
    assert measure(work).second is Sight.UNKNOWN


def test_by_a_second_way_nothing_that_was_changed_has_recovered(
    work: PlaybookRun, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    _behind_its_ssh(work, owner, Unreachable("it is away"))
    assert not _failing(work)
    assert ", by a second way: " in work.seen_by
    monkeypatch.setattr(acts, "since_begun", lambda *_: ["a restart"])
    with pytest.raises(HostNotReached, match="nothing was done"):
        _failing(work)


def test_by_a_second_way_one_good_look_or_one_among_bad_ones_is_no_recovery(
    work: PlaybookRun, owner: Owner, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    _behind_its_ssh(work, owner, Unreachable("it is away"))
    service.status = 503
    threading.Timer(0.1, lambda: setattr(service, "status", 200)).start()
    with pytest.raises(HostNotReached):
        _failing(work)
    assert service.status == 200
    monkeypatch.setattr(detect, "_PATIENCE", timedelta(0))
    with pytest.raises(HostNotReached):
        _failing(work)


def test_a_verification_whose_host_is_not_reached_says_what_others_see_of_it(
    work: PlaybookRun, owner: Owner, service: Service, store: Store
) -> None:
    _behind_its_ssh(work, owner, Unreachable("it is away"))
    with pytest.raises(CannotSee, match="the host web-1 is not down: it answers, .*No other remedy is tried"):
        _healthy(work)
    with store.read() as tx:
        assert "host.unreached" in [entry.what for entry in trail.entries(tx)]
        assert "reach" in [piece["kind"] for piece in evidence.of(tx, work.incident.number)]
    assert service.status == 200, "a second way verifies nothing"
