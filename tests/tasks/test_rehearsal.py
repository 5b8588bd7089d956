"""A rehearsal plays a playbook against a fake world: it finds its faults, shows every change, and lets nothing out."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from faulty_playbooks import BUGS, HEAD

import flows
from paramedic.catalog.rehearsal_world import World, world_of, world_with
from paramedic.text.yaml_document import BadDocument
from tasks.rehearsal import Played, rehearse

ROOT = Path(__file__).parents[2]
RUNBOOK = "tracking-api-memory"

#: A ladder of its own, with a look that asks production.
LADDER = """\
from datetime import timedelta
from tasks.kinds import reads


@reads(retries=0, timeout=timedelta(seconds=1))
def queue_length(target):
    raise RuntimeError("production")


@playbook
def our_ladder(incident, runbook):
    with exclusive(incident.target):
        evidence = gather_evidence(incident, runbook)
        for remedy in runbook.remedies:
            if suits(incident, remedy):
                apply(remedy, incident.target)
                if stays_healthy(incident, runbook) and queue_length(incident.target) < 3:
                    return resolved(incident, evidence)
    return hand_over(incident, because=f"still failing: {evidence[0].body}", evidence=evidence)
"""

Play = Callable[..., Played]


@pytest.fixture
def books(tmp_path: Path) -> Path:
    """The shipped folder; its runbook climbs a ladder and asks a person."""
    folder = tmp_path / "books"
    folder.mkdir()
    for file in ("services.yaml", "oncall.yaml"):
        text = (ROOT / "runbooks" / file).read_text()
        (folder / file).write_text(
            text.replace(
                "        also:", "        commands: {clear: {run: [/no/such/program], timeout: 10s}}\n        also:"
            )
        )
    text = (ROOT / "runbooks" / f"{RUNBOOK}.md").read_text().replace("mode: observe", "mode: ask")
    text = text.replace("restart-service", "restore-service")
    text = text.replace(
        "  evidence:", "  remedies: [rollback-if-deployed-within: 1h, restart, run: clear]\n  evidence:"
    )
    (folder / f"{RUNBOOK}.md").write_text(text)
    return folder


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, _nothing_set: None) -> Play:
    """Plays the playbook of this name and text in one world, in this process."""
    own, home = tmp_path / "flows", tmp_path / "home"
    own.mkdir()
    (home / "data").mkdir(parents=True, mode=0o700)
    monkeypatch.setattr(flows, "__path__", [*flows.__path__, str(own)])

    def play(name: str, text: str, world: World, books: Path = ROOT / "runbooks") -> Played:
        (own / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, f"flows.{name}", raising=False)
        asked = {"playbook": str(own / f"{name}.py"), "runbook": RUNBOOK, "folder": str(books), "target": None}
        [found] = rehearse(asked | {"worlds": [world.model_dump(mode="json", exclude_unset=True)]}, home)
        return found

    return play


@pytest.mark.parametrize("name", BUGS)
def test_a_rehearsal_finds_what_lint_cannot_see_and_lets_nothing_out(play: Play, name: str, tmp_path: Path) -> None:
    text, words = BUGS[name]
    found = play(name, text.replace("TOUCHED", str(tmp_path / "touched")), World())
    assert words in found.fault
    assert not (tmp_path / "touched").exists()


def test_a_world_in_yaml_has_recorded_answers_evidence_releases_and_a_persons_answer(
    play: Play, books: Path, tmp_path: Path
) -> None:
    file = tmp_path / "world.yaml"
    file.write_text(
        "seen: [well]\nchanges: [failed, done]\ndeployed: 5m\nevidence: {process-tree: a tree}\n"
        "answers: {queue_length: [7, 1]}\n"
    )
    world = world_of(file)
    found = play("our_ladder", HEAD + LADDER, world, books)
    assert (found.ending, found.changes) == ("remediated", ["rollback-if-deployed-within: 1h", "restart"]), found
    assert [step["answer"] for step in found.steps if step["verb"] == "queue_length"] == ["7", "1"]
    assert any("a person is asked about restart, and it is granted" in step["answer"] for step in found.steps)

    denied = play("our_ladder", HEAD + LADDER, world_with(world, approval="denied"), books)
    assert (denied.ending, denied.changes) == ("refused", [])
    old = play("our_ladder", HEAD + LADDER, world_with(world, deployed="2h"), books)
    assert old.changes == ["restart", "run: clear"]
    ill = play("our_ladder", HEAD + LADDER, world_with(world, seen=["failing"], changes=["done"]), books)
    assert ill.changes == ["rollback-if-deployed-within: 1h", "restart", "run: clear"]
    assert (ill.ending, "still failing: a tree" in ill.because) == ("handed_over", True)


def test_other_targets_of_the_service_are_well_in_a_rehearsal_and_are_not_asked(
    play: Play, books: Path, tmp_path: Path
) -> None:
    services, runbook = books / "services.yaml", books / f"{RUNBOOK}.md"
    other = (
        '      - {host: web-2, supervisord: {program: tracking-api, address: "unix:///run/supervisor.sock"},\n'
        "         releases: /srv/tracking-api, commands: {clear: {run: [/no/such/program], timeout: 10s}}}\n"
    )
    services.write_text(services.read_text().rstrip() + "\n" + other)
    runbook.write_text(runbook.read_text().replace("guardrails: {", "guardrails: {keep_healthy: 1 of 2, "))
    file = tmp_path / "world.yaml"
    file.write_text("seen: [well]\ndeployed: 5m\nanswers: {queue_length: [1]}\n")
    found = play("our_ladder", HEAD + LADDER, world_of(file), books)
    assert (found.ending, found.changes) == ("remediated", ["rollback-if-deployed-within: 1h"]), found


def test_a_look_of_ones_own_without_a_recorded_answer_is_played_and_its_error_shown(play: Play, books: Path) -> None:
    found = play("our_ladder", HEAD + LADDER, World(seen=["well"]), books)
    assert "raises RuntimeError: production" in [step["answer"] for step in found.steps]
    assert found.fault.startswith("our_ladder.py:")


def test_a_world_that_no_rehearsal_can_play_is_refused_in_its_place(tmp_path: Path) -> None:
    file = tmp_path / "world.yaml"
    file.write_text("seen: [well]\nchange: [failed]\nanswers: 3\n")
    with pytest.raises(BadDocument) as error:
        world_of(file)
    assert {problem.what.split(":")[0]: problem.line for problem in error.value.problems} == {"change": 2, "answers": 3}
    with pytest.raises(BadDocument, match="--seen:1:1: Input should be"):
        world_with(World(), seen=["broken"])
