"""`paramedic breaker`: what is blocked, and its reset by a person, who is named on the trail."""

import json
import shutil
from pathlib import Path

import pytest
from command_line import paramedic
from store_states import TARGET, intended, refused, working

from paramedic.incidents.incident import State
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.store import Store, acts, breakers, claims, incidents, kill_switch, lifecycle, trail


@pytest.fixture
def data(tmp_path: Path, sqlite_template: Path) -> Path:
    """A data folder whose target had three restarts that did not help, and an incident that waits for the reset."""
    shutil.copyfile(sqlite_template, tmp_path / "paramedic.db")
    store = Store(f"sqlite:///{tmp_path}/paramedic.db")
    for _ in range(3):
        claim = working(store)
        with store.record() as tx:
            acts.close(tx, intended(tx, claim), result="failed", why="no", actor=claim.holder)
            claims.release(tx, claim)
            lifecycle.resolve(tx, claim.incident, Outcome(Ending.HANDED_OVER, "mended"), actor="person:ada")
    claim = working(store)
    no = refused(store, claim)
    with store.record() as tx:
        claims.release(tx, claim)
        lifecycle.hand_over(tx, claim.incident, Outcome(Ending.REFUSED, no.reason), actor=claim.holder)
    store.close()
    return tmp_path


def said(data: Path, *argv: str, code: int = 0) -> str:
    return paramedic("breaker", *argv, "--data", str(data), code=code)


def test_the_list_says_what_is_blocked_what_waits_and_the_command_that_resets_it(data: Path) -> None:
    listed = json.loads(said(data, "list", "--json"))
    assert listed["fleet"] == {"tripped": False, "waiting": []}
    [blocked] = listed["remedies"]
    assert (blocked["target"], blocked["remedy"], blocked["waiting"]) == (TARGET, "restart", ["INC-4"])
    assert (len(blocked["at"]), blocked["reset"]) == (3, f"paramedic breaker reset {TARGET} --remedy restart")
    for word in (TARGET, "restart", "INC-4", "3 times"):
        assert word in said(data, "list")


def test_a_reset_is_the_person_s_by_name_and_measures_again_what_waited(data: Path) -> None:
    words = said(data, "reset", TARGET, "--by", "ada", "--because", "the disk was full")
    assert f"restart of {TARGET} is allowed again" in words
    assert "measured again: INC-4" in words
    store = Store(f"sqlite:///{data}/paramedic.db")
    with store.read() as tx:
        entry = next(one for one in trail.entries(tx) if one.what == "breaker.reset")
        assert incidents.get(tx, 4).state is State.OPEN
    store.close()
    assert (entry.actor, entry.reason) == ("person:ada", "the disk was full")
    assert "nothing is blocked" in said(data, "list")


def test_what_is_not_blocked_is_said_so_and_wrong_use_is_wrong_use(data: Path) -> None:
    assert "no breaker is tripped for reload at" in said(
        data, "reset", TARGET, "--remedy", "reload", "--by", "ada", code=1
    )
    assert "the fleet's breaker is not tripped" in said(data, "reset", "--fleet", "--by", "ada", code=1)
    for argv in (("reset", "--by", "ada"), ("reset", TARGET, "--fleet", "--by", "ada")):
        assert "name the TARGET" in said(data, *argv, code=2)


def test_the_fleet_s_breaker_is_listed_and_reset(data: Path) -> None:
    store = Store(f"sqlite:///{data}/paramedic.db")
    with store.record() as tx:
        kill_switch.pause(tx, by="guardrails", reason="6 of 20 targets", scope="fleet", actor="guardrails")
        assert breakers.fleet_is_tripped(tx)
    assert "`paramedic breaker reset --fleet` allows acts again" in said(data, "list")
    assert json.loads(said(data, "list", "--json"))["fleet"]["tripped"] is True
    pauses = paramedic("pauses", "--data", str(data))
    assert "paramedic breaker reset --fleet" in " ".join(pauses.split())
    assert json.loads(said(data, "reset", "--fleet", "--by", "ada", "--json")) == {
        "allowed": ["every act"],
        "measured_again": [],
    }
    with store.read() as tx:
        assert kill_switch.standing(tx) == []
    store.close()
