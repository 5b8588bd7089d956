"""A change that says it is done and has changed nothing has failed, and its outcome says so in words."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from change.conftest import AFTER, DEAD
from lying_supervisord import RESTARTED_NOTHING, RUNNING, answering
from store_states import ALIVE, TARGET

from paramedic.change.effect import must_be_another
from paramedic.doors import reading
from paramedic.errors import PermanentError
from paramedic.integrations.targets.supervisord import Changer, Reader
from paramedic.kinds.process_target import process_identity
from paramedic.kinds.registry import Registry, Room
from paramedic.remediation.remedy import RESTART, Remedy, Verb, undo_of
from paramedic.remediation.target import Identity, Target
from paramedic.store import trail
from paramedic.transports.local import Local

ROLL_BACK = Remedy(1, Verb.ROLL_BACK)
RELOAD = Remedy(1, Verb.OFFERED, offered="reload")
STOP_AND_START = Remedy(1, Verb.OFFERED, offered="stop_and_start")
SAME = "the same instance runs as before (pid 4242 since 2026-01-31T09:00:00.250000Z, RUNNING)"


AT = Target(TARGET, "tracking", "web-1", "supervisord", "tracking-api", "unix:///nowhere/at/all")


@pytest.mark.parametrize("remedy", [RESTART, STOP_AND_START, ROLL_BACK, undo_of(ROLL_BACK)], ids=lambda one: one.name)
def test_a_success_that_leaves_the_same_instance_is_a_failure(remedy: Remedy) -> None:
    with pytest.raises(PermanentError) as error:
        must_be_another(AT, remedy, ALIVE, ALIVE, "")
    assert str(error.value) == f"{TARGET} answered that it is done, and nothing has changed: {SAME}"


def test_what_it_did_besides_is_told_too() -> None:
    did = "release v6 is current again, and web-1/tracking-api answered"
    with pytest.raises(PermanentError) as error:
        must_be_another(AT, ROLL_BACK, ALIVE, ALIVE, did)
    assert str(error.value) == f"{did}, and nothing has changed: {SAME}"


def test_the_same_process_in_another_state_is_the_same_instance() -> None:
    with pytest.raises(PermanentError, match="the same instance runs as before"):
        must_be_another(AT, RESTART, replace(ALIVE, state="STARTING"), ALIVE, "")


@pytest.mark.parametrize("before", [DEAD, Identity("STOPPED")], ids=["no process", "its kind tells no instance"])
def test_what_was_dead_and_is_dead_after_a_success_was_not_restarted(before: Identity) -> None:
    with pytest.raises(PermanentError, match=r"answered that it is done, and none runs, as before \(no process, "):
        must_be_another(AT, RESTART, before, before, "")


def test_what_an_owner_says_is_shown_safely_and_not_at_length() -> None:
    shouting = Identity("RUNNING", {"build": "x" * 500 + "\x1b[2J"})
    with pytest.raises(PermanentError) as error:
        must_be_another(replace(AT, kind="container"), RESTART, shouting, replace(shouting, state="running"), "")
    assert len(str(error.value)) < 350
    assert "\x1b" not in str(error.value)


@pytest.mark.parametrize(
    ("remedy", "before", "after"),
    [
        (RELOAD, ALIVE, ALIVE),
        (undo_of(Remedy(1, Verb.OFFERED, offered="scale"), ("scale",)), ALIVE, ALIVE),
        (Remedy(1, Verb.RUN, command="flush"), ALIVE, ALIVE),
        (RESTART, ALIVE, AFTER),
        (RESTART, DEAD, AFTER),
        (RESTART, ALIVE, DEAD),
        (RESTART, ALIVE, None),
        (ROLL_BACK, Identity("RUNNING", {"pid": 1}, "v7"), Identity("RUNNING", {"pid": 1}, "v6")),
        (RESTART, process_identity(None, 10.0, "EXITED"), process_identity(None, 11.0, "EXITED")),
    ],
    ids=[
        "a reload keeps its process",
        "a scaling that is undone does too",
        "a command may do anything",
        "another process",
        "one where none was",
        "it was stopped: the verification tells",
        "which one is not known",
        "another release",
        "a job that has ended again",
    ],
)
def test_what_may_keep_its_instance_or_has_another_is_done(
    remedy: Remedy, before: Identity, after: Identity | None
) -> None:
    must_be_another(AT, remedy, before, after, "")


def test_where_its_kind_tells_no_instance_nothing_is_held_against_it() -> None:
    container = replace(AT, kind="container")
    must_be_another(container, RESTART, Identity("running"), Identity("running", {"container": None}), "")


def test_it_is_asked_of_every_change_and_its_outcome_is_on_the_trail(begin: Callable[..., Any]) -> None:
    case = begin()
    case.touch.after = ALIVE
    with pytest.raises(PermanentError) as error:
        case.change()
    why = f"{TARGET} answered that it is done, and nothing has changed: {SAME}"
    assert (str(error.value), len(case.touch.sent)) == (why, 1)
    assert case.results() == ["failed"]
    assert case.events()[-1] == ("restart.failed", why)


def test_a_supervisord_that_says_it_restarted_and_did_not_has_failed(
    begin: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a socket: every part of its multicall succeeds, and the process is the old one."""
    case, others = begin(), reading.reader
    with answering(RUNNING, RUNNING, RESTARTED_NOTHING) as (target, asked):
        monkeypatch.setattr(reading, "reader", lambda of: Reader(target, Local()) if of.id == TARGET else others(of))

        def restart(intent: Any) -> Identity:
            return Changer(target, Local(), timedelta(seconds=5)).restart(intent.identity, intent.last_look)

        case.touch = restart
        with pytest.raises(
            PermanentError, match=r"nothing has changed: the same instance runs as before \(pid 7 since"
        ):
            case.change()
    assert [b"multicall" in one for one in asked] == [False, False, True]
    assert case.results() == ["failed"]
    with case.store.read() as tx:
        [entry] = [entry for entry in trail.entries(tx) if entry.phase == "outcome"]
    assert entry.what == "restart.failed"
    assert re.search(r"pid 7 since 2023-11-14T22:13:20", entry.reason)


def test_which_shipped_remedies_promise_another_instance() -> None:
    shipped = Registry().usable(Room.TARGETS)
    promises = {
        name: [remedy for remedy in kind.REMEDIES if remedy in getattr(kind, "RENEWS", reading.RENEWING)]
        for name, kind in shipped.items()
    }
    asked = {
        "blocklist": [],
        "container": ["restart", "stop_and_start"],
        "daemonset": ["restart", "roll_back_to"],
        "deployment": ["restart", "roll_back_to"],
        "disk": [],
        "machine": ["reboot"],
        "postgres": [],
        "statefulset": ["restart", "roll_back_to"],
        "supervisord": ["restart"],
        "systemd": ["restart"],
    }
    assert {name: promises[name] for name in asked} == asked
