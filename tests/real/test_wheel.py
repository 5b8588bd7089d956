"""The wheel, installed where no checkout is: a stranger's first commands, and a whole Paramedic."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from whole_paramedic import Paramedic

from paramedic.settings import ROOT

pytestmark = [pytest.mark.real, pytest.mark.costly]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of a fresh environment with the wheel in it; what it depends on is lent by ours."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    [wheel] = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=True)
    python = folder / "env" / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--disable-pip-version-check"]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True, timeout=120)
    where = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(where, check=True, capture_output=True, text=True, timeout=60).stdout.strip())
    # Lent by its path alone: the links of ours to the checkout are in files that nobody reads there.
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "env" / "bin"


@pytest.fixture
def own(installed: Path, tmp_path: Path) -> Path:
    """A folder that its `init` has made."""
    folder = tmp_path / "own"
    assert ask(installed, tmp_path, "init", str(folder)).returncode == 0
    return folder


def ask(installed: Path, folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    ours = ("PARAMEDIC_", "PREFECT_", "PYTHON")
    plain = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    command = [str(installed / "paramedic"), *argv]
    return subprocess.run(command, env=plain, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def test_a_strangers_first_commands_need_no_checkout(installed: Path, own: Path) -> None:
    assert ask(installed, own, "--version").stdout.startswith("paramedic ")
    assert "init" in ask(installed, own, "--help").stdout
    lint = ask(installed, own, "runbook", "lint")
    assert (lint.returncode, lint.stdout) == (0, "1 runbooks, 1 targets: nothing wrong\n"), lint.stderr
    listed = json.loads(ask(installed, own, "runbook", "list", "--json").stdout)
    assert [runbook["name"] for runbook in listed] == ["my-service-down"]
    found = {row["what"]: row for row in json.loads(ask(installed, own, "doctor", "--json").stdout)}
    assert {what for what, row in found.items() if not row["well"]} <= {"targets", "mail", "trust"}, found
    assert str(ROOT) not in json.dumps(found), "nothing of it is ours"


def test_without_a_folder_of_ones_own_it_says_how_to_make_one(installed: Path, tmp_path: Path) -> None:
    linted = ask(installed, tmp_path, "runbook", "lint")
    assert linted.returncode != 0
    assert "`paramedic init FOLDER`" in linted.stdout + linted.stderr


def test_a_whole_paramedic_runs_from_it(installed: Path, own: Path) -> None:
    up = Paramedic(own, "up", command=[str(installed / "paramedic")])
    try:
        up.says("Prefect UI")
        there = ask(installed, own, "doctor", "--json")
        found = {row["what"]: row for row in json.loads(there.stdout)}
        assert found["prefect"]["well"], found["prefect"]
        assert not [child for child in up.children().values() if str(ROOT) in child.environ().get("PYTHONPATH", "")]
    finally:
        up.ends(signal.SIGTERM)
