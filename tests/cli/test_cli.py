"""The command line, as a person and as a program use it."""

import json
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from paramedic import checkpoints, settings
from paramedic.alert import Alert, Severity, Status
from paramedic.store import Store, incidents
from paramedic.store.migrations import migrate

PARAMEDIC = Path(sys.executable).parent / "paramedic"


def _say(*argv: str, code: int = 0) -> str:
    done = subprocess.run([PARAMEDIC, *argv], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A store with one incident and a signed checkpoint."""
    chosen = settings.Settings(data=tmp_path)
    migrate(chosen.store())
    store = Store(chosen.store())
    title = "Slow\x1b[2J[red]not red[/red]"
    alert = Alert("alertmanager", title, Severity.CRITICAL, Status.FIRING, datetime.now(UTC), "f", {})
    with store.record() as tx:
        incidents.open_incident(tx, alert, service="s", target="t", policy="default", reason="a test", plan=None)
        incidents.note(tx, 1, by="ada", text="looks like the cache")
    checkpoints.write(store, settings.signing_key(chosen), chosen.checkpoints())
    store.close()
    return tmp_path


def test_help_loads_neither_prefect_nor_the_store() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", PARAMEDIC, "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    heavy = {"prefect", "sqlalchemy", "fastapi", "httpx", "alembic", "rich", "pydantic", "cryptography"}
    assert loaded & heavy == set()
    assert "incident" in done.stdout


@pytest.mark.parametrize(
    "command", ["up", "demo", "doctor", "config", "alert", "incident", "runbook", "audit", "pause"]
)
def test_every_command_explains_itself(command: str) -> None:
    assert "Usage" in _say(command, "--help")


def test_wrong_use_is_2_and_a_negative_answer_1(data: Path) -> None:
    assert "No such command" in _say("incidents", code=2)
    assert "is no incident" in _say("incident", "show", "x", "--data", str(data), code=2)
    assert "there is no INC-9" in _say("incident", "show", "9", "--data", str(data), code=1)
    assert "no such folder" in _say("incident", "list", "--data", str(data / "nothing"), code=2)
    assert "no store" in _say("incident", "list", "--data", str(data.parent), code=2)


def test_an_incident_is_listed_shown_noted_acknowledged_and_resolved(data: Path) -> None:
    where = ("--data", str(data))
    assert json.loads(_say("incident", "list", "--json", *where))[0]["id"] == "INC-1"
    shown = _say("incident", "show", "INC-1", *where)
    assert shown.splitlines()[0] == "acting now: nothing"
    assert "\x1b" not in shown
    assert "[red]not red[/red]" in shown
    _say("incident", "note", "INC-1", "a word", "--by", "ada", *where)
    assert "is yours, ada" in _say("incident", "ack", "INC-1", "--by", "ada", *where)
    _say("incident", "resolve", "INC-1", "--by", "ada", *where)
    assert "allowed: nothing" in _say("incident", "ack", "INC-1", "--by", "ben", *where, code=1)
    assert json.loads(_say("incident", "show", "1", "--json", *where))["state"] == "resolved"


def test_the_trail_verifies_and_an_entry_changed_by_hand_is_named(data: Path) -> None:
    assert "trail verified: 2 entries" in _say("audit", "verify", "--data", str(data))
    database = sqlite3.connect(data / "paramedic.db")
    for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type='trigger'").fetchall():
        database.execute(f"DROP TRIGGER {trigger}")
    database.execute("UPDATE trail SET reason = 'another reason' WHERE seq = 1")
    database.commit()
    database.close()
    assert "entry 1 was changed" in _say("audit", "verify", "--data", str(data), code=1)
    told = json.loads(_say("audit", "verify", "--json", "--data", str(data), code=1))
    assert told["verified"] is False
    assert [fault["entry"] for fault in told["faults"]] == [1]


def test_a_trail_cut_off_below_its_checkpoint_is_named(data: Path) -> None:
    database = sqlite3.connect(data / "paramedic.db")
    for (trigger,) in database.execute("SELECT name FROM sqlite_master WHERE type='trigger'").fetchall():
        database.execute(f"DROP TRIGGER {trigger}")
    database.execute("DELETE FROM trail WHERE seq = 2")
    database.commit()
    database.close()
    assert "cut off" in _say("audit", "verify", "--data", str(data), code=1)


def test_the_kill_switch_is_thrown_and_taken_back_with_a_name(data: Path) -> None:
    where = ("--data", str(data))
    _say("pause", "--by", "ada", "--because", "a test", *where)
    _say("resume", "--by", "ada", *where)
    whats: list[Any] = [entry["what"] for entry in json.loads(_say("audit", "show", "--json", *where))]
    assert whats[-2:] == ["acts.paused", "acts.resumed"]


def test_lint_names_the_fault_and_fails(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "runbooks"
    for file in shipped.iterdir():
        (tmp_path / file.name).write_text(file.read_text().replace("settle:", "setle:"))
    assert "did you mean settle?" in _say("runbook", "lint", "--folder", str(tmp_path), code=1)
    assert "nothing wrong" in _say("runbook", "lint", "--folder", str(shipped))


def test_doctor_says_what_to_mend(data: Path) -> None:
    told = json.loads(_say("doctor", "--json", "--data", str(data), code=1))
    found = {one["what"]: one for one in told}
    assert found["versions"]["well"]
    assert found["modules"]["well"]
    assert not found["mail"]["well"]
    assert "PARAMEDIC_SMTP_URL" in found["mail"]["words"]


def test_config_hides_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARAMEDIC_SMTP_URL", "smtp://u:correct-horse@mail.example.org")
    told = _say("config", "--json")
    assert "correct-horse" not in told
    assert {"setting": "smtp_url", "value": "[hidden]", "origin": "environment"} in json.loads(told)
