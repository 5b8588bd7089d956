"""The command line, as a person and as a program use it."""

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from command_line import paramedic
from databases import edited
from incident_states import asking

from paramedic import keys
from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.settings import Settings
from paramedic.store import Store, incident_page, incidents, lifecycle
from paramedic.upkeep import checkpoints

PARAMEDIC = Path(sys.executable).parent / "paramedic"


@pytest.fixture
def data(tmp_path: Path, sqlite_template: Path) -> Path:
    """A store with one incident and a signed checkpoint."""
    settings = Settings(data=tmp_path)
    shutil.copyfile(sqlite_template, tmp_path / "paramedic.db")
    store = Store(settings.store())
    title = "Slow\x1b[2J[red]not red[/red]"
    alert = Alert("alertmanager", title, Severity.CRITICAL, Status.FIRING, datetime.now(UTC), "f", {})
    with store.record() as tx:
        lifecycle.open_incident(tx, alert, service="s", target="t", policy="default", reason="a test", plan=None)
        incidents.note(tx, 1, by="ada", text="looks like the cache")
    checkpoints.write(store, keys.signing_key(settings), settings.checkpoints())
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
    "command",
    [
        "up",
        "demo",
        "doctor",
        "config",
        "alert",
        "incident",
        "runbook",
        "audit",
        "maintenance",
        "breaker",
        "pause",
        "resume",
        "pauses",
    ],
)
def test_every_command_explains_itself(command: str) -> None:
    assert "Usage" in paramedic(command, "--help")


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("incident", "list"), 0, "INC-1"),
        (("incident", "show", "9"), 1, "there is no INC-9"),
        (("incident", "show", "x"), 2, "is not an incident"),
    ],
)
def test_the_program_ends_as_its_command_does(data: Path, argv: tuple[str, ...], code: int, words: str) -> None:
    done = subprocess.run(
        [PARAMEDIC, *argv, "--data", str(data)], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, words in (done.stderr if code else done.stdout)) == (code, True), done


def test_wrong_use_is_2_and_a_negative_answer_1(data: Path) -> None:
    assert "No such command" in paramedic("incidents", code=2)
    assert "is not an incident" in paramedic("incident", "show", "x", "--data", str(data), code=2)
    assert "there is no INC-9" in paramedic("incident", "show", "9", "--data", str(data), code=1)
    assert "no such folder" in paramedic("incident", "list", "--data", str(data / "nothing"), code=2)
    assert "no store" in paramedic("incident", "list", "--data", str(data.parent), code=2)


@pytest.mark.parametrize(
    ("argv", "near"),
    [(("runbok", "list"), "runbook"), (("incident", "shwo"), "show"), (("runbook", "tset"), "test")],
)
def test_a_mistyped_command_is_answered_with_the_near_one(argv: tuple[str, ...], near: str) -> None:
    assert f"Did you mean '{near}'?" in paramedic(*argv, code=2)


@pytest.mark.parametrize(
    "argv",
    [
        ("incident", "note", "INC-1"),
        ("incident", "resolve", "INC-1", "--because"),
        ("incident", "retry", "INC-1", "--because"),
        ("maintenance", "add", "--service", "tracking-api", "--to", "+2h", "--because"),
        ("maintenance", "end", "1", "--because"),
        ("pause", "--because"),
        ("resume", "--because"),
        ("breaker", "reset", "web-1/tracking-api", "--because"),
        ("audit", "vouch", "--because"),
    ],
)
def test_what_a_person_writes_for_the_trail_is_words(data: Path, argv: tuple[str, ...]) -> None:
    assert "nothing is written" in paramedic(*argv, " ", "--by", "ada", "--data", str(data), code=2)
    assert "is not UTF-8" in paramedic(*argv, "tea\udcff", "--by", "ada", "--data", str(data), code=2)


def test_an_incident_is_listed_shown_noted_acknowledged_and_resolved(data: Path) -> None:
    where = ("--data", str(data))
    assert json.loads(paramedic("incident", "list", "--json", *where))[0]["id"] == "INC-1"
    shown = paramedic("incident", "show", "INC-1", *where)
    assert shown.splitlines()[0] == "acting now: nothing"
    assert "\x1b" not in shown
    assert "[red]not red[/red]" in shown
    paramedic("incident", "note", "INC-1", "a word", "--by", "ada", *where)
    assert "is yours, ada" in paramedic("incident", "ack", "INC-1", "--by", "ada", *where)
    paramedic("incident", "resolve", "INC-1", "--by", "ada", *where)
    assert "allowed: nothing" in paramedic("incident", "ack", "INC-1", "--by", "ben", *where, code=1)
    assert json.loads(paramedic("incident", "show", "1", "--json", *where))["state"] == "resolved"


def test_what_a_change_would_touch_is_shown_to_who_is_asked(data: Path) -> None:
    store = Store(Settings(data=data).store())
    incident, _ = asking(store, remedy="block_address", touches='address "[red]203.0.113.7\x1b[2J"; for 1h')
    shown = paramedic("incident", "show", incident.id, "--data", str(data))
    assert 'it would touch: address "[red]203.0.113.7\\x1b[2J"; for 1h\n' in shown
    whole = json.loads(paramedic("incident", "show", incident.id, "--json", "--data", str(data)))
    assert whole["approvals"][0]["touches"] == 'address "[red]203.0.113.7\x1b[2J"; for 1h'
    with store.read() as tx:
        page = incident_page.page(tx, incidents.get(tx, incident.number), oncall=None)
    store.close()
    assert '```\naddress "[red]203.0.113.7\\x1b[2J"; for 1h\n```' in page, "fenced: it is no markup in the Prefect UI"


def test_what_a_run_asks_for_is_shown_approved_and_denied(data: Path) -> None:
    store = Store(Settings(data=data).store())
    incident, _ = asking(store)
    shown = paramedic("incident", "show", incident.id, "--data", str(data))
    assert "for a person's word: the restart of web-1/tracking-api" in shown
    assert f"paramedic incident approve {incident.id} --by YOU" in shown
    assert "asks for no approval" in paramedic("incident", "approve", "1", "--by", "ada", "--data", str(data), code=1)
    paramedic("incident", "approve", "77", "--by", "ada", "--data", str(data), code=1)
    output = paramedic("incident", "approve", incident.id, "--by", "ada", "--data", str(data))
    assert "ada approved the restart of web-1/tracking-api at " in output
    late = paramedic("incident", "approve", incident.id, "--deny", "--by", "bob", "--data", str(data), code=1)
    assert "too late: ada approved" in late
    other, _ = asking(store, "web-2/tracking-api")
    assert "bob denied" in paramedic("incident", "approve", other.id, "--deny", "--by", "bob", "--data", str(data))
    whole = json.loads(paramedic("incident", "show", other.id, "--json", "--data", str(data)))
    assert [(approval["state"], approval["decided_by"], approval["how"]) for approval in whole["approvals"]] == [
        ("denied", "bob", "command line")
    ]
    store.close()


def test_the_trail_verifies_and_an_entry_changed_by_hand_is_named(data: Path) -> None:
    assert "trail verified: 2 entries" in paramedic("audit", "verify", "--data", str(data))
    edited(data / "paramedic.db", "UPDATE trail SET reason = 'another reason' WHERE seq = 1")
    assert "entry 1 was changed" in paramedic("audit", "verify", "--data", str(data), code=1)
    answer = json.loads(paramedic("audit", "verify", "--json", "--data", str(data), code=1))
    assert answer["verified"] is False
    assert [fault["entry"] for fault in answer["faults"]] == [1]


def test_a_trail_cut_off_below_its_checkpoint_is_named(data: Path) -> None:
    edited(data / "paramedic.db", "DELETE FROM trail WHERE seq = 2")
    assert "cut off" in paramedic("audit", "verify", "--data", str(data), code=1)


VERIFIER = Path(__file__).parents[2] / "docs" / "verify_trail.py"


@pytest.fixture
def exported(data: Path) -> tuple[Path, Path]:
    """The trail and the public key, as an auditor gets them."""
    trail, key = data / "trail.jsonl", data / "trail.pem"
    paramedic("audit", "export", str(trail), "--data", str(data))
    key.write_text(paramedic("audit", "key", "--data", str(data)))
    return trail, key


def _verifier(*files: Path) -> tuple[int, str]:
    done = subprocess.run([sys.executable, VERIFIER, *files], capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_an_exported_trail_is_verified_without_anything_of_paramedic(exported: tuple[Path, Path]) -> None:
    assert "paramedic" not in "".join(line for line in VERIFIER.read_text().splitlines() if "import" in line)
    assert _verifier(*exported) == (0, "the trail is whole\n")


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ('"reason": "a test"', '"reason": "a lie!"', "entry 1 was changed"),
        ("looks like the cache", "looks like the crash", "the content beside entry 2 was changed"),
        ('"generation": 1', '"generation": 2', "the checkpoint at entry 2 is not signed by this key"),
    ],
)
def test_the_verifier_names_what_was_changed(exported: tuple[Path, Path], before: str, after: str, found: str) -> None:
    text = exported[0].read_text()
    assert before in text
    exported[0].write_text(text.replace(before, after))
    code, output = _verifier(*exported)
    assert (code, found in output) == (1, True), output


@pytest.mark.parametrize(
    ("left", "found"),
    [
        ((0, 2, 3), "entry 2 does not follow entry 0"),
        ((0, 2, 1, 3), "entry 1 does not follow entry 1"),
        ((0, 1, 3), "the checkpoint at entry 2 saw another trail, or one that was cut off since"),
    ],
    ids=["removed", "moved", "cut off"],
)
def test_the_verifier_names_what_is_missing(exported: tuple[Path, Path], left: tuple[int, ...], found: str) -> None:
    lines = exported[0].read_text().splitlines(keepends=True)
    exported[0].write_text("".join(lines[number] for number in left))
    code, output = _verifier(*exported)
    assert (code, found in output) == (1, True), output


def test_an_export_overwrites_nothing_and_can_leave_out_what_people_wrote(
    exported: tuple[Path, Path], data: Path
) -> None:
    assert "exists already" in paramedic("audit", "export", str(exported[0]), "--data", str(data), code=2)
    output = paramedic("audit", "export", "-", "--no-contents", "--data", str(data))
    assert "the cache" not in output
    assert [json.loads(line)["kind"] for line in output.splitlines()] == ["trail", "entry", "entry", "checkpoint"]


def test_the_kill_switch_is_thrown_and_taken_back_with_a_name(data: Path) -> None:
    where = ("--data", str(data))
    paramedic("pause", "--by", "ada", "--because", "a test", *where)
    paramedic("resume", "--by", "ada", *where)
    whats: list[Any] = [entry["what"] for entry in json.loads(paramedic("audit", "show", "--json", *where))]
    assert whats[-2:] == ["acts.paused", "acts.resumed"]


def test_lint_names_the_fault_and_fails(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "runbooks"
    for file in (file for file in shipped.iterdir() if file.is_file()):
        (tmp_path / file.name).write_text(file.read_text().replace("settle:", "setle:"))
    assert "did you mean settle?" in paramedic("runbook", "lint", "--folder", str(tmp_path), code=1)
    assert "nothing wrong" in paramedic("runbook", "lint", "--folder", str(shipped))


def test_doctor_says_what_to_mend(data: Path) -> None:
    rows = json.loads(paramedic("doctor", "--json", "--data", str(data), code=1))
    found = {row["what"]: row for row in rows}
    assert found["versions"]["well"]
    assert found["modules"]["well"]
    assert not found["mail"]["well"]
    assert "PARAMEDIC_SMTP_URL" in found["mail"]["words"]


def test_config_hides_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARAMEDIC_SMTP_URL", "smtp://u:correct-horse@mail.example.org")
    output = paramedic("config", "--json")
    assert "correct-horse" not in output
    assert {"setting": "smtp_url", "value": "[hidden]", "origin": "environment"} in json.loads(output)
