"""`paramedic silence`: what people type, and what it answers."""

import json
import shutil
from pathlib import Path

import pytest
from command_line import paramedic
from sqlalchemy import select
from store_states import alert, opened

from paramedic.catalog.services import parse_services
from paramedic.cli.doctor_quiet import quiet
from paramedic.settings import Settings
from paramedic.store import Store, trail
from paramedic.store.tables import silences
from paramedic.text.yaml_document import BadDocument


@pytest.fixture(autouse=True)
def _ada(_nothing_set: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USER", "ada")


@pytest.fixture
def data(tmp_path: Path, sqlite_template: Path) -> str:
    shutil.copyfile(sqlite_template, tmp_path / "paramedic.db")
    tmp_path.chmod(0o700)
    return str(tmp_path)


def _store(data: str) -> Store:
    return Store(f"sqlite:///{data}/paramedic.db")


ADD = ("silence", "add", "--matcher", 'service="shop"', "--for", "2h", "--reason", "a move", "--author", "ben")


def test_a_silence_is_added_listed_and_ended(data: str) -> None:
    added = json.loads(paramedic(*ADD, "--matcher", 'env=~"prod|canary"', "--data", data, "--json"))
    assert added["matchers"] == ['service="shop"', 'env=~"prod|canary"']
    assert (added["author"], added["reason"], added["stands"], added["matches_now"]) == ("ben", "a move", "in force", 0)
    [listed] = json.loads(paramedic("silence", "list", "--data", data, "--json"))
    assert (listed["id"], listed["holds"], listed["last_matched_at"]) == (1, 0, None)
    assert 'service="shop"' in paramedic("silence", "list", "--data", data)
    assert "silence 1 is over" in paramedic("silence", "expire", "1", "--data", data)
    assert json.loads(paramedic("silence", "list", "--data", data, "--json")) == []
    [over] = json.loads(paramedic("silence", "list", "--past", "--data", data, "--json"))
    assert over["stands"] == "over"
    with _store(data).read() as tx:
        entries = [(entry.what, entry.actor) for entry in trail.entries(tx) if entry.what.startswith("silence.")]
    assert entries == [("silence.added", "person:ben"), ("silence.expired", "person:ada")]


def test_it_says_how_many_alerts_that_fire_it_matches_and_that_their_incidents_go_on(data: str) -> None:
    with _store(data).record() as tx:
        opened(tx, received=alert("Down", service="shop"))
    assert "it matches 1; those incidents go on" in paramedic(*ADD, "--data", data)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--matcher", 'team!="x"', "--for", "1h"), "an alert without any of these labels would match"),
        (("--matcher", 'service=~"("', "--for", "1h"), "is not a pattern"),
        (("--matcher", "Down", "--for", "100d"), "--for"),
        (("--matcher", "Down", "--for", "soon"), "--for"),
        (("--matcher", "Down"), "--for"),
        (("--for", "1h"), "--matcher"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_silences_nothing(data: str, options: tuple[str, ...], words: str) -> None:
    refused = paramedic("silence", "add", *options, "--reason", "r", "--data", data, code=2)
    assert words in " ".join(refused.replace("│", " ").split())
    with _store(data).read() as tx:
        assert tx.conn.execute(select(silences)).all() == []


def test_doctor_says_which_rules_and_silences_hide_alerts(data: str) -> None:
    folder = Path(data) / "runbooks"
    folder.mkdir()
    shipped = Path(__file__).parents[2] / "runbooks"
    rule = "inhibit:\n  - {source_matchers: [HostDown], target_matchers: [Slow], equal: [instance]}\n"
    (folder / "services.yaml").write_text((shipped / "services.yaml").read_text() + rule)
    (folder / "oncall.yaml").write_text((shipped / "oncall.yaml").read_text())
    settings = Settings(data=Path(data), runbooks=folder)
    assert quiet(settings).words.startswith(
        "1 inhibition rule, 0 silences in force; HostDown inhibits Slow, equal inst"
    )
    paramedic(*ADD, "--data", data)
    assert 'service="shop": silence 1 holds it until' in quiet(settings).words
    (folder / "services.yaml").write_text(
        "inhibit: [{source_matchers: ['a!=\"b\"'], target_matchers: [Slow]}]\nservices: {}"
    )
    assert not quiet(settings).well


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("{source_matchers: ['a!=\"b\"'], target_matchers: [Slow]}", "nearly every alert"),
        ("{source_matchers: ['a=~\"(\"'], target_matchers: [Slow]}", "is not a pattern"),
        ("{source_matchers: [], target_matchers: [Slow]}", "source_matchers"),
        ("{source: [HostDown], target_matchers: [Slow]}", "source"),
    ],
)
def test_lint_refuses_a_rule_that_cannot_be_meant(rule: str, words: str) -> None:
    text = (Path(__file__).parents[2] / "runbooks" / "services.yaml").read_text()
    with pytest.raises(BadDocument) as caught:
        parse_services(f"{text}inhibit:\n  - {rule}\n", "services.yaml")
    assert words in str(caught.value)
    assert "inhibit" in str(caught.value)


def test_a_silence_that_is_none_is_a_negative_answer(data: str) -> None:
    assert "there is no silence 7" in paramedic("silence", "expire", "7", "--data", data, code=1)
