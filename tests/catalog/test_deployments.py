"""A playbook is one file: what prefect.yaml does not list is deployed under its own name, and a runbook may name it."""

import os
from pathlib import Path

import pytest

from paramedic.catalog import deployments
from paramedic.catalog.library import read_folder

LISTED = """\
deployments:
  - name: restart-service
    entrypoint: flows.restart_service.restart_service
    tags: [paramedic, playbook]
  - name: prune
    entrypoint: flows.prune.prune
    tags: [paramedic]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "prefect.yaml").write_text(LISTED)
    (tmp_path / "flows").mkdir()
    for name in ("__init__", "restart_service", "prune"):
        (tmp_path / "flows" / f"{name}.py").touch()
    return tmp_path


def test_a_file_beside_the_shipped_ones_is_a_playbook_and_nothing_else_is_touched(root: Path) -> None:
    assert deployments.playbooks(None, root) == ("restart-service",)
    (root / "flows" / "drain_host.py").touch()
    assert deployments.playbooks(None, root) == ("restart-service", "drain-host")
    assert deployments.own_deployments(None, root) == [
        {"name": "drain-host", "entrypoint": "flows.drain_host.drain_host", "tags": ["paramedic", "playbook"]}
    ]


def test_a_team_s_own_folder_adds_its_files(root: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "restart_twice.py").touch()
    (own / "_helper.py").touch()
    assert deployments.playbooks(own, root) == ("restart-service", "restart-twice")


def test_a_file_of_the_name_of_a_shipped_one_is_not_used(root: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (root / "flows" / "drain_host.py").touch()
    for name in ("prune", "drain_host"):
        (own / f"{name}.py").touch()
    assert deployments.shadowed(own, root) == [own / "drain_host.py", own / "prune.py"]
    assert [deployment["name"] for deployment in deployments.own_deployments(own, root)] == ["drain-host"]


def test_and_lint_says_so(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "prune.py").touch()
    [problem] = read_folder(Path(__file__).parents[2] / "runbooks", own).problems
    assert str(problem).startswith(f"{own}/prune.py:1:1: is not used")


def test_what_is_written_into_prefect_yaml_is_read_again(root: Path) -> None:
    assert len(deployments.declared(root)) == 2
    listed = root / "prefect.yaml"
    listed.write_text(LISTED + LISTED.removeprefix("deployments:\n").replace("prune", "later"))
    assert [deployment["name"] for deployment in deployments.declared(root)][-1] == "later"


def test_one_that_is_put_in_its_place_with_an_equal_time_is_read_again(root: Path) -> None:
    """As tools do that keep times (`cp -p`, `tar`), and a clock that was set back may do."""
    listed = root / "prefect.yaml"
    assert [one["name"] for one in deployments.declared(root)][-1] == "prune"
    written = listed.stat()
    listed.with_name("new").write_text(LISTED.replace("prune", "prone"))
    os.utime(listed.with_name("new"), ns=(written.st_atime_ns, written.st_mtime_ns))
    listed.with_name("new").replace(listed)
    assert [one["name"] for one in deployments.declared(root)][-1] == "prone"


def test_the_shipped_playbooks_are_what_runbooks_may_name() -> None:
    assert deployments.playbooks(None) == ("restart-service", "restore-service")
