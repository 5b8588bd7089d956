"""Every contract between the rooms can fail: each is shown an import that breaks it, and must name itself."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: contract id -> (file that sins, what it imports)
SINS = {
    "story": ("paramedic/incidents/incident.py", "import tasks.guard"),
    "flows-apart": ("flows/other_flow.py", "import flows.restart_service"),
    "flows-without-prefect": ("flows/restart_service.py", "import prefect"),
    "nouns-pure": ("paramedic/intake/triage.py", "import paramedic.store"),
    "no-cycles": ("paramedic/alerts/alert.py", "import paramedic.incidents.incident"),
    "prefect-in-three-rooms": ("paramedic/change/guarded.py", "import prefect"),
    "integrations-apart": (
        "paramedic/integrations/probes/host.py",
        "import paramedic.integrations.targets.supervisord",
    ),
    "sources-apart": ("paramedic/sources/other.py", "import paramedic.sources.alertmanager"),
    "integrations-behind-doors": ("paramedic/paging/pager.py", "import paramedic.integrations.targets.supervisord"),
    "targets-by-transport": ("paramedic/integrations/remedies/command.py", "import subprocess"),
    "one-hand-on-production": ("paramedic/change/guarded.py", "import paramedic.doors.changing"),
    "one-voice": ("tasks/notify.py", "import paramedic.doors.telling"),
    "tables-behind-the-store": ("paramedic/watchdog/stuck_work.py", "import paramedic.store.tables"),
    "sql-in-the-store": ("paramedic/upkeep/backup.py", "import sqlalchemy"),
    "rooms": ("paramedic/store/claims.py", "import paramedic.intake.intake"),
}


def _contracts(root: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tree")
    for room in ("paramedic", "tasks", "flows"):
        shutil.copytree(ROOT / room, root / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


def test_the_tree_as_it_is_keeps_every_contract() -> None:
    done = _contracts(ROOT)
    assert done.returncode == 0, done.stdout


def test_every_contract_has_its_sin() -> None:
    import tomllib

    written = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert {contract["id"] for contract in written} == set(SINS)


@pytest.mark.parametrize("contract", SINS)
def test_a_broken_contract_is_named(copy: Path, contract: str) -> None:
    import tomllib

    written = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    name = next(row["name"] for row in written if row["id"] == contract)
    file, sin = SINS[contract]
    path = copy / file
    before = path.read_text() if path.exists() else None
    path.write_text((before or '"""A sinner."""\n') + f"\n{sin}\n")
    try:
        done = _contracts(copy)
    finally:
        if before is None:
            path.unlink()
        else:
            path.write_text(before)
    assert done.returncode == 1, done.stdout
    assert f"{name} BROKEN" in " ".join(done.stdout.split()), done.stdout
