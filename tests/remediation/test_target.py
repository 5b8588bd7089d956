"""Whether its owner says that a target is up, whichever system owns it."""

from dataclasses import replace
from typing import Any

import pytest

from paramedic.doors import reading
from paramedic.kinds import process_target
from paramedic.kinds.process_target import process_identity
from paramedic.remediation.approval import describe_instance
from paramedic.remediation.target import Identity, Target


def running(kind: str, identity: Identity) -> bool:
    return reading.running(Target("h/app", "app", "h", kind, "app", ""), identity)


@pytest.mark.parametrize(
    ("kind", "state"), [("supervisord", "RUNNING"), ("systemd", "active/running"), ("systemd", "reloading/reload")]
)
def test_a_process_in_a_running_state_is_up(kind: str, state: str) -> None:
    assert running(kind, process_identity(1, 1.0, state))
    assert not running(kind, process_identity(None, None, state))  # active/exited, or told between two lives


@pytest.mark.parametrize(
    ("kind", "state"),
    [
        ("supervisord", "STOPPED"),
        ("supervisord", "STARTING"),
        ("supervisord", "FATAL"),
        ("systemd", "activating/start"),
        ("systemd", "activating/auto-restart"),
        ("systemd", "deactivating/stop-sigterm"),
        ("systemd", "failed/failed"),
    ],
)
def test_any_other_state_is_not(kind: str, state: str) -> None:
    assert not running(kind, process_identity(1, 1.0, state))


KEPT = {"pid": 77, "started_at": 1769850000.0, "state": "active/running", "revision": "2", "invocation": "c036"}


def test_what_the_store_kept_of_an_identity_is_read_written_and_said_as_ever() -> None:
    unit = Identity.from_json(KEPT)
    assert unit == replace(process_identity(77, 1769850000.0, "active/running", invocation="c036"), revision="2")
    assert unit.as_json() == KEPT
    assert (
        describe_instance(unit)
        == "pid 77 since 2026-01-31T09:00:00.000000Z, active/running, revision 2, invocation c036"
    )
    stopped = {"pid": None, "started_at": None, "state": "STOPPED"}
    assert Identity.from_json(stopped).as_json() == stopped
    assert describe_instance(Identity.from_json(stopped)) == "no process, STOPPED"


def test_an_approval_of_an_older_version_means_the_instance_that_it_meant() -> None:
    asked = Identity.from_json({"pid": 7, "started_at": 1.0, "state": "RUNNING", "revision": None, "invocation": None})
    assert asked.means(process_identity(7, 1.0, "STARTING"))
    assert not asked.means(process_identity(8, 1.0, "RUNNING"))
    assert not asked.means(process_identity(7, 1.0, "RUNNING", invocation="c036"))
    assert not asked.means(replace(process_identity(7, 1.0, "RUNNING"), revision="2"))


def test_an_instance_without_a_process_is_said_in_its_kind_s_own_words() -> None:
    assert describe_instance(Identity("up", {"generation": 7})) == "generation 7, up"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        # the owner corrected its start time after the clock was set
        ({"started_at": 1.0, "invocation": "a"}, {"started_at": 3_601.0, "invocation": "a"}, True),
        # another process with the same number, in the same second of a clock that was set back
        ({"started_at": 1.0, "invocation": "a"}, {"started_at": 1.0, "invocation": "b"}, False),
        # without a name of the instance the owner's start time decides
        ({"started_at": 1.0}, {"started_at": 2.0}, False),
        ({"started_at": 1.0, "invocation": "a"}, {"started_at": 1.0}, False),
    ],
)
def test_no_setting_of_a_clock_makes_one_instance_two_or_two_one(
    one: dict[str, Any], other: dict[str, Any], same: bool
) -> None:
    before, now = Identity("RUNNING", {"pid": 7, **one}), Identity("RUNNING", {"pid": 7, **other})
    assert before.means(now) is same
    assert now.means(before) is same
    assert process_target.restarted(before, now) is not same
    stored = Identity.from_json(before.as_json())
    assert stored.means(now) is same
