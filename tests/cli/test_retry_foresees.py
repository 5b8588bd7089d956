"""`paramedic incident retry` says in advance which guardrail would refuse; `incident show` has what was only proposed."""

import json
from pathlib import Path

import pytest
from command_line import paramedic
from databases import migrated
from incident_states import PEOPLE
from playbook_runs import FOUR_HOSTS, MEMORY, opened_by
from store_states import ALIVE, HANDED_OVER, TARGET, proposed, working

from paramedic.catalog.library import open_library
from paramedic.remediation.proposal import Verdict
from paramedic.settings import Settings
from paramedic.store import Store, kill_switch, lifecycle, proposals


class Folder:
    """A data folder and its runbooks, with one incident that a run has handed over."""

    def __init__(self, path: Path) -> None:
        self.data, self.runbooks = path / "data", path / "runbooks"
        self.data.mkdir(mode=0o700)
        self.runbooks.mkdir()
        (self.runbooks / "services.yaml").write_text(FOUR_HOSTS)
        (self.runbooks / "oncall.yaml").write_text(PEOPLE)
        self.settings = Settings(data=self.data, runbooks=self.runbooks)
        migrated(self.data / "paramedic.db")
        self.store = Store(self.settings.store())

    def hands_over(self, mode: str = "act") -> None:
        (self.runbooks / "tracking-api-memory.md").write_text(MEMORY.replace("mode: act", f"mode: {mode}"))
        library = open_library(self.settings)
        runbook, at = library.runbooks["tracking-api-memory"], library.services.targets[TARGET]
        incident = opened_by(self.store, runbook, at, begun=True)
        with self.store.record() as tx:
            lifecycle.hand_over(tx, incident.number, HANDED_OVER, actor="run:run-1")

    def command(self, *argv: str, code: int = 0) -> str:
        where = {"PARAMEDIC_RUNBOOKS": str(self.runbooks)}
        return paramedic("incident", *argv, "--data", str(self.data), env=where, code=code)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_retry_that_a_guardrail_would_refuse_is_told_which_and_begins_all_the_same(folder: Folder) -> None:
    folder.hands_over()
    with folder.store.record() as tx:
        kill_switch.pause(tx, by="ada", reason="we look ourselves")
    lines = folder.command("retry", "1", "--by", "ada").splitlines()
    assert lines[0] == "INC-1 is Paramedic's again: attempt 2 begins, as far as every guardrail agrees"
    assert lines[1].startswith("as things are now, the guardrail kill switch would refuse restart: acting is paused")
    assert "we look ourselves" in lines[1]
    assert lines[2:] == ["to see what comes of it: paramedic incident show INC-1"]
    assert json.loads(folder.command("show", "1", "--json"))["state"] == "open"


def test_the_same_is_in_its_json(folder: Folder) -> None:
    folder.hands_over()
    with folder.store.record() as tx:
        kill_switch.pause(tx, by="ada", reason="we look ourselves")
    answer = json.loads(folder.command("retry", "1", "--by", "ada", "--json"))
    [one] = answer["foreseen"]
    assert (one["remedies"], one["guardrail"]) == (["restart"], "kill switch")
    assert "we look ourselves" in one["reason"]
    assert one["words"] == f"as things are now, the guardrail kill switch would refuse restart: {one['reason']}"
    assert answer["attempt"] == 2


def test_where_a_person_is_asked_first_that_is_no_refusal(folder: Folder) -> None:
    folder.hands_over(mode="ask")
    assert folder.command("retry", "1", "--by", "ada").splitlines()[1] == "before restart a person is asked"


def test_where_nothing_is_foreseen_nothing_is_said_and_nothing_promised(folder: Folder) -> None:
    folder.hands_over()
    answer = json.loads(folder.command("retry", "1", "--by", "ada", "--json"))
    assert answer["foreseen"] == []


def test_a_retry_that_is_refused_foresees_nothing(folder: Folder) -> None:
    folder.hands_over()
    with folder.store.record() as tx:
        kill_switch.pause(tx, by="ada", reason="we look ourselves")
    folder.command("retry", "1", "--by", "ada")
    assert "guardrail" not in folder.command("retry", "1", "--by", "ada", code=1)


def test_show_has_what_a_runbook_that_observes_proposed_and_how_it_was_judged(folder: Folder) -> None:
    folder.hands_over()
    claim = working(folder.store, target="web-2/tracking-api")
    with folder.store.record() as tx:
        made = proposed(tx, claim)
    [waits] = json.loads(folder.command("show", "2", "--json"))["proposals"]
    assert (waits["remedy"], waits["why"], waits["words"]) == ("restart", "answered 503", made.words)
    assert waits["identity"] == ALIVE.as_json()
    assert (waits["verdict"], waits["refused_by"]) == (None, None)
    with folder.store.record() as tx:
        proposals.judge(tx, made, Verdict.NEEDED, "it still answered 503", actor=claim.holder)
        after = proposals.get(tx, made.id)
    [judged] = json.loads(folder.command("show", "2", "--json"))["proposals"]
    assert (judged["verdict"], judged["judged"]) == (after.verdict, after.judged)
    assert "it still answered 503" in judged["judged"]
    assert json.loads(folder.command("show", "1", "--json"))["proposals"] == []
