"""Pauses, maintenance windows and reports, as a person on call uses them."""

import json
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from incident_states import asking
from store_states import PLAN, TARGET, alert, claimed, intended

from paramedic.cli import incident as incident_command
from paramedic.cli import main
from paramedic.incidents.incident import Incident
from paramedic.store import Store, attempts, claims, lifecycle

SHIPPED = Path(__file__).parents[2] / "runbooks"


@pytest.fixture(autouse=True)
def _ada(_nothing_set: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "ada")


@pytest.fixture
def data(tmp_path: Path, sqlite_template: Path) -> Path:
    """A data folder with the shipped runbooks and one incident that a run works on."""
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copyfile(sqlite_template, folder / "paramedic.db")
    shutil.copytree(SHIPPED, folder / "runbooks")
    with _store(folder).record() as tx:
        number = lifecycle.open_incident(
            tx, alert(), service="tracking-api", target=TARGET, policy="default", reason="a test", plan=PLAN
        ).number
        assert attempts.begin_attempt(tx, number, 1, flow_run="run-1") is None
        assert claims.renew(tx, claimed(tx, number), timedelta(hours=1))
    return folder


def _store(folder: Path) -> Store:
    return Store(f"sqlite:///{folder}/paramedic.db")


class CommandLine:
    """Runs commands on the data folder; what each printed."""

    def __init__(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._data = data
        self._capsys = capsys

    def __call__(self, *argv: str, code: int = 0) -> str:
        with pytest.raises(SystemExit) as ended:
            main([*argv, "--data", str(self._data)])
        printed = self._capsys.readouterr()
        assert int(ended.value.code or 0) == code, printed
        return printed.out + printed.err


@pytest.fixture
def say(data: Path, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(data, capsys)


def test_one_service_is_paused_listed_and_resumed(say: CommandLine) -> None:
    assert "`paramedic resume --service tracking-api`" in say(
        "pause", "--service", "tracking-api", "--because", "a look"
    )
    listed = json.loads(say("pauses", "--json"))
    assert [(row["scope"], row["by"], row["reason"]) for row in listed] == [("service:tracking-api", "ada", "a look")]
    assert "service:tracking-api" in say("pause", "--list")
    assert "still paused: service tracking-api" in say("resume")
    assert "acting is allowed" in say("resume", "--service", "tracking-api")
    assert "nothing is paused" in say("pauses")


def test_a_pause_and_its_end_are_said_to_a_program_as_pauses_lists_it(say: CommandLine) -> None:
    everything = json.loads(say("pause", "--json"))
    service = json.loads(say("pause", "--service", "tracking-api", "--because", "a look", "--json"))
    assert [everything, service] == json.loads(say("pauses", "--json")) == json.loads(say("pause", "--list", "--json"))
    asked = ("resume", "--service", "tracking-api", "--json")
    assert json.loads(say(*asked)) == {"lifted": service, "left": [everything]}
    assert json.loads(say(*asked)) == {"lifted": None, "left": [everything]}


def test_what_a_person_does_with_an_incident_is_said_to_a_program_as_show_begins_it(say: CommandLine) -> None:
    for *done, state in (
        ("note", "INC-1", "a word", "working"),
        ("ack", "INC-1", "acknowledged"),
        ("resolve", "INC-1", "resolved"),
    ):
        answer = json.loads(say("incident", *done, "--json"))
        assert (answer["id"], answer["state"]) == ("INC-1", state)
        shown = json.loads(say("incident", "show", "1", "--json"))
        fields = ("id", *Incident.__slots__)
        assert [answer[field] for field in fields] == [shown[field] for field in fields]
    assert "allowed: nothing" in say("incident", "ack", "1", "--json", code=1)


def test_an_answer_is_said_to_a_program_as_show_has_it(say: CommandLine, data: Path) -> None:
    incident, asked = asking(_store(data), "web-2/tracking-api")
    answer = json.loads(say("incident", "approve", incident.id, "--deny", "--json"))
    assert (answer["id"], answer["state"], answer["decided_by"]) == (asked.id, "denied", "ada")
    assert json.loads(say("incident", "show", incident.id, "--json"))["approvals"] == [answer]


def test_a_misspelt_name_pauses_nothing_and_says_what_was_meant(say: CommandLine) -> None:
    assert "did you mean tracking-api?" in say("pause", "--service", "traking-api", code=1)
    assert "did you mean tracking-api-memory?" in say("pause", "--runbook", "tracking-api-memroy", code=1)
    assert "one scope at a time" in say("pause", "--service", "a", "--runbook", "b", code=2)
    assert json.loads(say("pauses", "--json")) == []


def test_a_runbook_that_is_broken_can_be_paused(say: CommandLine, data: Path) -> None:
    (data / "runbooks" / "tracking-api-memory.md").write_text("no runbook at all")
    assert "runbook tracking-api-memory, by ada" in say("pause", "--runbook", "tracking-api-memory")


def test_where_the_folder_cannot_be_read_a_pause_is_taken_at_its_word(say: CommandLine, data: Path) -> None:
    (data / "runbooks" / "services.yaml").write_text("services: [")
    assert "acting is paused" in say("pause", "--service", "tracking-api")
    assert "acting is paused" in say("pause")


def test_what_a_pause_was_not_compared_with_is_no_part_of_its_answer(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "runbooks" / "services.yaml").write_text("services: [")
    with pytest.raises(SystemExit):
        main(["pause", "--service", "tracking-api", "--json", "--data", str(data)])
    captured = capsys.readouterr()
    assert json.loads(captured.out)["scope"] == "service:tracking-api"
    assert captured.err.startswith("not compared with the runbooks, which cannot be read: ")


def test_an_incident_s_first_two_lines_say_what_acts_and_how_to_stop_it(say: CommandLine, data: Path) -> None:
    def lines() -> list[str]:
        return say("incident", "show", "1").splitlines()[:2]

    assert lines() == [
        "acting now: run:run-1",
        "to stop it: cancel the run in the Prefect UI, or `paramedic pause --service tracking-api`",
    ]
    say("pause", "--service", "tracking-api", "--because", "a look")
    first, second = lines()
    assert first == "acting now: run:run-1"
    assert second.startswith("no further change is begun; acting is paused: service tracking-api, by ada since")
    assert second.endswith("(`paramedic resume --service tracking-api`)")
    assert json.loads(say("incident", "show", "1", "--json"))["paused"][0]["resume"].startswith("paramedic resume")


def test_an_act_whose_run_died_is_no_nothing(say: CommandLine, data: Path) -> None:
    with _store(data).record() as tx:
        held = claims.current(tx, TARGET)
        assert held is not None
        intended(tx, held[0])
        claims.release(tx, held[0])
    assert say("incident", "show", "1").startswith(
        "acting now: nobody knows: the restart of web-1/tracking-api by INC-1"
    )


def test_a_window_is_planned_listed_shown_and_ended(say: CommandLine) -> None:
    about = ("--service", "tracking-api", "--because", "a new disk")
    assert "1: service tracking-api is in maintenance from" in say("maintenance", "add", *about, "--to", "+2h")
    say("maintenance", "add", *about, "--target", TARGET, "--from", "+1d", "--to", "+30m")
    listed = json.loads(say("maintenance", "list", "--json"))
    assert [(row["id"], row["stands"], row["target"]) for row in listed] == [(2, "planned", TARGET), (1, "in it", None)]
    assert "a new disk" in say("maintenance", "list")
    second = say("incident", "show", "1").splitlines()[1]
    assert second.startswith("no further change is begun; service tracking-api is in maintenance until")
    assert second.endswith("(`paramedic maintenance end 1`)")
    assert "watched and healed again" in say("maintenance", "end", "1")
    assert [row["stands"] for row in json.loads(say("maintenance", "list", "--past", "--json"))] == ["planned", "over"]
    assert "no maintenance window 9" in say("maintenance", "end", "9", code=1)


def test_a_window_is_said_to_a_program_as_the_list_has_it(say: CommandLine) -> None:
    added = json.loads(
        say("maintenance", "add", "--service", "tracking-api", "--to", "+2h", "--because", "a disk", "--json")
    )
    assert added["stands"] == "in it"
    assert json.loads(say("maintenance", "list", "--json")) == [added]
    ended = json.loads(say("maintenance", "end", "1", "--json"))
    assert ended["stands"] == "over"
    assert json.loads(say("maintenance", "list", "--past", "--json")) == [ended]


@pytest.mark.parametrize(
    ("asked", "code", "why"),
    [
        (("--service", "traking-api", "--to", "+2h"), 1, "did you mean tracking-api?"),
        (("--service", "tracking-api", "--target", "web-2/tracking-api", "--to", "+2h"), 1, "did you mean web-1/"),
        (("--service", "tracking-api", "--to", "22:00"), 2, "--to '22:00' is not a moment"),
        (("--service", "tracking-api", "--from", "2026-01-31T22:00", "--to", "+2h"), 2, "names no time zone"),
        (("--service", "tracking-api", "--to", "-2h"), 2, "write a later end"),
    ],
)
def test_a_window_that_cannot_be_meant_is_refused_with_what_is_allowed(
    say: CommandLine, asked: tuple[str, ...], code: int, why: str
) -> None:
    assert why in " ".join(say("maintenance", "add", "--because", "a disk", *asked, code=code).replace("│", "").split())
    assert json.loads(say("maintenance", "list", "--past", "--json")) == []


def test_incidents_are_filtered_and_reported(say: CommandLine) -> None:
    def found(*asked: str) -> list[str]:
        return [row["id"] for row in json.loads(say("incident", "list", "--json", *asked))]

    assert found("--service", "tracking-api", "--severity", "critical", "--since", "-1h") == ["INC-1"]
    assert found("--severity", "warning") == []
    assert found("--service", "shop") == []
    assert found("--since", "+1h") == []
    assert "--since 'yesterday' is not a moment" in " ".join(
        say("incident", "list", "--since", "yesterday", code=2).replace("│", "").split()
    )
    report = say("incident", "report", "1")
    assert report.startswith(f"# INC-1: TrackingApiMemory on {TARGET}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(incident_command.console, "_force_terminal", True)
        assert "# INC-1" not in say("incident", "report", "1"), "a terminal shows headings, not their signs"
    assert json.loads(say("incident", "report", "INC-1", "--json"))["incident"]["id"] == "INC-1"
    assert "there is no INC-9" in say("incident", "report", "9", code=1)
