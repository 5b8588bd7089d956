"""`paramedic playbook lint · rehearse · new`: an own playbook is judged and tried before production meets it."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import paramedic
from faulty_playbooks import FAULTS, WELL

ROOT = Path(__file__).parents[2]
RUNBOOK = "tracking-api-memory"


@pytest.fixture
def flows(tmp_path: Path) -> Path:
    folder = tmp_path / "flows"
    folder.mkdir(mode=0o755)
    return folder


@pytest.fixture
def output(flows: Path, tmp_path: Path) -> Callable[..., str]:
    """What `paramedic ARGV` says where the folder of playbooks is `flows`."""

    def say(*argv: str, code: int = 0, **env: str) -> str:
        mine = {
            "PARAMEDIC_FLOWS": str(flows),
            "PARAMEDIC_DATA": str(tmp_path),
            "PARAMEDIC_RUNBOOKS": str(ROOT / "runbooks"),
        }
        return paramedic(*argv, code=code, env=mine | env)

    return say


def test_lint_says_of_each_fault_where_it_is_and_what_is_allowed(flows: Path, output: Callable[..., str]) -> None:
    for name, (text, _) in FAULTS.items():
        (flows / f"{name}.py").write_text(text)
    found = json.loads(output("playbook", "lint", "--json", code=1))
    for name, (_, wanted) in FAULTS.items():
        of_it = [problem for problem in found if problem["file"] == str(flows / f"{name}.py")]
        lines = [(problem["line"], f"{problem['what']}; {problem['allowed']}") for problem in of_it]
        assert [line for line, _ in lines] == [line for line, _ in wanted], (name, lines)
        assert all(words in line for (_, line), (_, words) in zip(lines, wanted, strict=True)), (name, lines)


def test_lint_lets_pass_what_the_responder_can_run_and_helpers_are_no_playbooks(
    flows: Path, output: Callable[..., str]
) -> None:
    for name, text in WELL.items():
        (flows / f"{name}.py").write_text(text)
    (flows / "_ours.py").write_text("x = 1\n")
    assert output("playbook", "lint") == "3 playbooks: nothing wrong\n"


def test_a_file_that_others_can_change_is_not_imported(flows: Path, output: Callable[..., str], tmp_path: Path) -> None:
    (flows / "our_shared.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    (flows / "our_shared.py").chmod(0o666)
    assert "it is not imported: others can change it; " in output("playbook", "lint", code=1)
    assert not (tmp_path / "ran").exists()


def test_an_import_that_ends_the_process_hides_no_other_fault(flows: Path, output: Callable[..., str]) -> None:
    (flows / "our_exit.py").write_text("import os, sys\nprint('gone', file=sys.stderr, flush=True)\nos._exit(7)\n")
    (flows / "our_import.py").write_text("import nothing_like_this\n")
    words = output("playbook", "lint", code=1)
    assert "our_exit.py:1:1: it cannot be imported: the playbooks' process ended with 7: gone" in words
    assert "No module named 'nothing_like_this'" in words


def test_runbook_lint_and_doctor_name_the_playbook_that_cannot_be_imported(
    flows: Path, output: Callable[..., str], tmp_path: Path
) -> None:
    (flows / "our_import.py").write_text("\nimport nothing_like_this\n")
    assert "our_import.py:2:1: it cannot be imported: ModuleNotFoundError" in output("runbook", "lint", code=1)
    from paramedic.cli import doctor_playbooks
    from paramedic.settings import Settings

    finding = doctor_playbooks.playbooks(Settings(data=tmp_path, flows=flows))
    assert not finding.well
    assert "`paramedic playbook lint`" in finding.words
    (flows / "our_import.py").unlink()
    assert doctor_playbooks.playbooks(Settings(data=tmp_path, flows=flows)).well


def test_without_a_folder_of_playbooks_the_commands_say_how_to_name_one(output: Callable[..., str]) -> None:
    for argv in (("lint",), ("new", "our-restart"), ("rehearse", "our-restart", "--runbook", RUNBOOK)):
        assert "set PARAMEDIC_FLOWS" in paramedic("playbook", *argv, code=1)
    assert "there is no playbook 'our-x' in" in output("playbook", "lint", "our-x", code=1)


# --- rehearse


def _rehearsed(output: Callable[..., str], name: str, *argv: str, code: int = 0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        output("playbook", "rehearse", name, "--runbook", RUNBOOK, "--json", *argv, code=code)
    )
    return found


@pytest.mark.costly
def test_what_new_writes_is_called_well_by_lint_and_by_every_common_world_and_its_test_passes(
    flows: Path, output: Callable[..., str], tmp_path: Path
) -> None:
    assert "our_first.py" in output("playbook", "new", "our-first", "--runbook", RUNBOOK)
    assert "exists already" in output("playbook", "new", "our-first", code=1)
    assert output("playbook", "lint") == "1 playbooks: nothing wrong\n"
    found = _rehearsed(output, "our-first")
    assert {play["world"]: (play["ending"], play["changes"]) for play in found} == {
        "seen well": ("recovered", []),
        "seen failing, then well": ("remediated", ["restart"]),
        "seen failing": ("handed_over", ["restart"]),
        "seen unknown": ("handed_over", []),
        "seen failing, then unknown": ("handed_over", ["restart"]),
        "seen failing; changes failed": ("handed_over", ["restart"]),
        "seen failing, then well; changes unknown": ("remediated", ["restart"]),
        "seen failing; changes not-sent": ("handed_over", []),
    }
    assert not any(play["fault"] for play in found)
    assert not (tmp_path / "paramedic.db").exists(), "a rehearsal has a store of its own"
    env = os.environ | {"PARAMEDIC_FLOWS": str(flows), "PARAMEDIC_RUNBOOKS": str(ROOT / "runbooks")}
    env |= {"PARAMEDIC_DATA": str(tmp_path)}
    one_test = flows / "tests" / "test_our_first.py::test_what_one_restart_heals_is_resolved"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(one_test)]
    done = subprocess.run(command, env=env, cwd=flows, capture_output=True, text=True, check=False)
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_a_rehearsal_shows_each_verb_with_its_answer(flows: Path, output: Callable[..., str]) -> None:
    output("playbook", "new", "our-story")
    [found] = _rehearsed(output, "our-story", "--seen", "failing,well")
    assert [step["verb"] for step in found["steps"]] == [
        "exclusive",
        "still_failing",
        "gather_evidence",
        "restart",
        "stays_healthy",
        "exclusive",
        "resolved",
    ]
    words = output("playbook", "rehearse", "our-story", "--runbook", RUNBOOK, "--seen", "failing")
    assert "restart          not made: it would be sent here, and is done" in words
    assert "=> handed_over: restarted, still failing" in words
    assert "changes that would have been sent: restart" in words


@pytest.mark.costly
def test_what_cannot_be_rehearsed_is_said_before_anything_is_played(flows: Path, output: Callable[..., str]) -> None:
    output("playbook", "new", "our-try")
    rehearse = ("playbook", "rehearse", "our-try", "--runbook")
    assert "there is no usable runbook 'nothing'" in output(*rehearse, "nothing", code=1)
    assert "cannot mean web-9/x; it can mean: web-1/tracking-api" in output(
        *rehearse, RUNBOOK, "--target", "web-9/x", code=1
    )
    assert "--seen:1:1: Input should be" in output(*rehearse, RUNBOOK, "--seen", "broken", code=2)
    (flows / "our_try.py").write_text(
        "import nothing_like_this\nfrom tasks.playbook import playbook\n@playbook\n"
        "def our_try(incident, runbook):\n    raise ValueError\n"
    )
    assert "our_try.py:1:1: it cannot be imported: ModuleNotFoundError" in output(*rehearse, RUNBOOK, code=1)
