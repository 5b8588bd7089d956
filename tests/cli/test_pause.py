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
from paramedic.store import Store, attempts, claims, kill_switch, lifecycle, maintenance

SHIPPED = Path(__file__).parents[2] / "runbooks"


@pytest.fixture(autouse=True)
def _ada(_nothing_set: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "ada")


@pytest.fixture
def data(tmp_path: Path, sqlite_template: Path) -> Path:
    """A data folder with the shipped runbooks, a service more, and one incident that a run works on."""
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copyfile(sqlite_template, folder / "paramedic.db")
    shutil.copytree(SHIPPED, folder / "runbooks")
    with (folder / "runbooks" / "services.yaml").open("a") as services:
        services.write(
            "  courier-api: {targets: [{host: web-7, supervisord: {program: couriers, address: 'unix:///s'}}]}\n"
        )
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


def test_what_left_services_yaml_while_it_was_paused_is_resumed_by_its_name(say: CommandLine, data: Path) -> None:
    with _store(data).record() as tx:
        kill_switch.pause(tx, by="ben", reason="it is moved", scope="service:gone-api")
        kill_switch.pause(tx, by="ben", reason="it is moved", scope="runbook:gone-api-hangs")
    assert "still paused: runbook gone-api-hangs" in say("resume", "--service", "gone-api")
    assert "acting is allowed" in say("resume", "--runbook", "gone-api-hangs")
    refused = say("resume", "--service", "gone-api", code=1)
    assert refused.startswith("there is no service 'gone-api', and none of that name is paused; paused now: nothing; ")


def test_what_is_not_paused_is_resumed_as_often_as_one_likes_and_is_said_not_to_have_been(
    say: CommandLine, data: Path
) -> None:
    not_paused = "nothing changes: there was no pause of"
    assert say("resume", "--service", "tracking-api") == f"{not_paused} service tracking-api\n"
    assert say("resume", "--runbook", "tracking-api-memory") == f"{not_paused} runbook tracking-api-memory\n"
    assert say("resume", "--service", "courier-api") == f"{not_paused} service courier-api\n", (
        "it never had an incident"
    )
    (data / "runbooks" / "tracking-api-memory.md").unlink()
    assert say("resume", "--runbook", "tracking-api-memory") == f"{not_paused} runbook tracking-api-memory\n", (
        "it had one"
    )
    assert say("resume") == f"{not_paused} everything\n"
    say("pause")
    still = "\nstill paused: everything, by ada since"
    assert f"{not_paused} service tracking-api{still}" in say("resume", "--service", "tracking-api")


def test_a_misspelt_name_resumes_nothing_and_is_no_success(say: CommandLine) -> None:
    say("pause", "--service", "tracking-api")
    for kind in ("--service", "--runbook"):
        refused = say("resume", kind, "traking-api", "--json", code=1)
        assert "paused now: service tracking-api; did you mean tracking-api" in refused
    assert [row["scope"] for row in json.loads(say("pauses", "--json"))] == ["service:tracking-api"]


def test_where_the_folder_cannot_be_read_a_resume_is_taken_at_its_word(say: CommandLine, data: Path) -> None:
    (data / "runbooks" / "services.yaml").write_text("services: [")
    assert "no pause of service traking-api" in say("resume", "--service", "traking-api")


def test_a_list_of_a_misspelt_service_is_not_an_empty_one(say: CommandLine, data: Path) -> None:
    for group in ("incident", "maintenance"):
        assert "did you mean tracking-api?" in say(group, "list", "--service", "traking-api", code=1)
        assert json.loads(say(group, "list", "--service", "courier-api", "--json")) == [], "it has none yet"
    with _store(data).record() as tx:
        window = (tx.now + timedelta(hours=1), tx.now + timedelta(hours=2))
        maintenance.add(
            tx, service="gone-api", target=None, starts_at=window[0], ends_at=window[1], by="ada", reason="a disk"
        )
        maintenance.end(tx, 1, by="ada", reason="done")
    assert json.loads(say("maintenance", "list", "--service", "gone-api", "--json")) == [], "it had one"


def test_a_runbook_that_is_broken_can_be_paused(say: CommandLine, data: Path) -> None:
    (data / "runbooks" / "never-had-an-incident.md").write_text("no runbook at all")
    assert "runbook never-had-an-incident, by ada" in say("pause", "--runbook", "never-had-an-incident")


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
    assert found("--service", "courier-api") == []
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
