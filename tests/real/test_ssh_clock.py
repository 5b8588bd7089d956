"""The clock of a host by SSH is measured before a deployment there is blamed: a real OpenSSH server, whose `date` may be off."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deployed_releases import Deployed
from playbook_runs import MEMORY, opened_by, playbook_run
from ssh_servers import Sshd, relay, running
from store_states import TARGET, alert

from paramedic.catalog.runbook_file import parse
from paramedic.change.ladder import suits
from paramedic.change.run import PlaybookRun
from paramedic.doors.clocks import clock_distance
from paramedic.errors import PermanentError, TemporaryError
from paramedic.machine.clock import boottime, iso, utc_now
from paramedic.remediation.host import Host
from paramedic.remediation.remedy import Remedy, Verb
from paramedic.remediation.target import Target
from paramedic.settings import Settings
from paramedic.store import Store, trail

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("nothing_warm")]

WITHIN = timedelta(seconds=5)
SLOW = timedelta(minutes=-2)
ON_CAUSE = Remedy(1, Verb.ROLL_BACK, deployed_within=timedelta(minutes=30))


@pytest.fixture(scope="module")
def slow(require: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    """A host whose clock is two minutes slow: the `date` that is first in its PATH says so."""
    folder = tmp_path_factory.mktemp("slow")
    folder.chmod(0o755)
    date = folder / "date"
    date.write_text('#!/bin/sh\nexec /bin/date -d "2 minutes ago" "$@"\n')
    date.chmod(0o755)
    path = (
        f"SetEnv PATH={folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin XDG_STATE_HOME={folder}\n"
    )
    with running(require, more=path) as server:  # sshd takes the first SetEnv alone
        yield server


def at(host: Host, releases: str | None = None) -> Target:
    here = Target(TARGET, "tracking", "web-7", "supervisord", "tracking-api", "unix:///nowhere")
    return replace(here, releases=releases, machine=host)


def test_a_host_s_clock_is_measured_to_a_part_of_a_second(sshd: Sshd, slow: Sshd) -> None:
    right, wrong = (clock_distance(at(server.host()), WITHIN) for server in (sshd, slow))
    assert right is not None
    assert wrong is not None
    for seen, truth in ((right, timedelta()), (wrong, SLOW)):
        assert abs(seen.apart - truth) <= seen.uncertain + timedelta(milliseconds=1)
        assert seen.uncertain < timedelta(seconds=2)


def test_a_host_that_does_not_answer_is_waited_for_no_longer_than_its_time(sshd: Sshd) -> None:
    with relay(sshd) as way:
        host = sshd.through(way)
        assert clock_distance(at(host), WITHIN) is not None  # the connection is warm
        way.hold()
        began = boottime()
        with pytest.raises(TemporaryError):
            clock_distance(at(host), timedelta(seconds=1))
        assert boottime() - began < 4


def test_a_host_that_lets_nobody_in_has_no_clock(sshd: Sshd) -> None:
    with pytest.raises((TemporaryError, PermanentError), match="web-7"):
        clock_distance(at(sshd.host(user="nobody-of-this-name")), WITHIN)


def test_a_date_that_is_none_is_not_taken_for_one(require: Callable[[str], str], tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "date").write_text("#!/bin/sh\necho half past nine\n")
    (tmp_path / "date").chmod(0o755)
    with (
        running(require, more=f"SetEnv PATH={tmp_path}:/usr/bin:/bin XDG_STATE_HOME={tmp_path}\n") as server,
        pytest.raises(TemporaryError, match="web-7 does not tell its time: 'half past nine'"),
    ):
        clock_distance(at(server.host()), WITHIN)


@pytest.fixture
def deployed(store: Store, tmp_path: Path) -> Callable[..., PlaybookRun]:
    """Makes the run of an incident on a host where v7 was deployed, by that host's clock, and an alert began, by ours."""

    def made(server: Sshd, *, deployed_at: datetime, began_at: datetime) -> PlaybookRun:
        folder = Deployed(tmp_path / "app")
        for name, moment in (("v6", deployed_at - timedelta(days=1)), ("v7", deployed_at)):
            (folder.folder / "releases" / name).mkdir()
            folder.point(f"releases/{name}")
            folder.say(what="deployed", release=name, at=iso(moment), reversible=True)
        folder.say(what="healthy", release="v6")
        runbook = parse(MEMORY, "tracking-api-memory.md")
        there = at(server.host(), str(folder.folder))
        incident = opened_by(store, runbook, there, alert(starts_at=began_at), begun=True)
        return playbook_run(store, Settings(data=tmp_path), incident, runbook, there)

    return made


def said(run: PlaybookRun) -> Any:
    with run.store.read() as tx:
        [entry] = [entry for entry in trail.entries(tx) if entry.what in ("cause.found", "rung.skipped")]
    return entry


def test_a_breach_from_before_the_deployment_on_a_slow_host_rolls_nothing_back(
    slow: Sshd, deployed: Callable[..., PlaybookRun]
) -> None:
    """It was deployed 3 minutes ago and its log says 5; the breach began 4 minutes ago."""
    now = utc_now()
    run = deployed(slow, deployed_at=now - timedelta(minutes=3) + SLOW, began_at=now - timedelta(minutes=4))
    assert not suits(run, ON_CAUSE)
    entry = said(run)
    assert entry.what == "rung.skipped"
    assert (
        "(its clock is 2m behind ours), and is not shown to be the cause: the clock that dates it is 2m behind ours"
        in entry.reason
    )
    assert -121 < entry.data["clock_distance_seconds"] < -119
    assert 0 < entry.data["clock_uncertain_seconds"] < 2


def test_a_breach_from_after_the_deployment_on_a_host_in_time_is_rolled_back_with_the_distance_on_the_trail(
    sshd: Sshd, deployed: Callable[..., PlaybookRun]
) -> None:
    now = utc_now()
    run = deployed(sshd, deployed_at=now - timedelta(minutes=5), began_at=now - timedelta(minutes=4))
    assert suits(run, ON_CAUSE), said(run).reason
    entry = said(run)
    assert entry.what == "cause.found"
    assert abs(entry.data["clock_distance_seconds"]) <= entry.data["clock_uncertain_seconds"] + 0.001


def test_a_host_that_falls_silent_before_its_clock_was_read_leaves_a_doubt(
    sshd: Sshd, deployed: Callable[..., PlaybookRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = utc_now()
    with relay(sshd) as way:
        run = deployed(sshd, deployed_at=now - timedelta(minutes=5), began_at=now - timedelta(minutes=4))
        run.target = replace(run.target, machine=sshd.through(way))

        def held_up(target: Target, within: timedelta) -> Any:
            way.hold()
            assert within == WITHIN
            return clock_distance(target, timedelta(seconds=1))

        monkeypatch.setattr("paramedic.change.cause.clock_distance", held_up)
        assert not suits(run, ON_CAUSE)
    assert "how far the clock that dates it is from ours is not known: " in said(run).reason
