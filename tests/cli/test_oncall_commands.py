"""`paramedic oncall`, and what doctor says of the ways that people are told by."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mail_server import Postbox, text_of
from webhook_receiver import SECRET, Hooks

from paramedic.cli import main
from paramedic.oncall import overrides_file as copy
from paramedic.settings import ROOT
from paramedic.store import Store, trail
from paramedic.text import redaction

pytestmark = pytest.mark.usefixtures("_nothing_set")


def _run(*argv: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(argv))
    return int(ended.value.code or 0)


def books(folder: Path, ways: str) -> None:
    folder.mkdir(exist_ok=True)
    for file in (ROOT / "runbooks").glob("*.*"):
        text = file.read_text()
        (folder / file.name).write_text(
            text.replace("email: ada@example.org", ways).replace("email: ben@example.org", ways)
        )


@pytest.mark.parametrize(
    ("channels", "ways", "channels_say", "mail_says"),
    [
        ("", 'ways: ["webhook:ops"]', "webhook:ops leads nowhere", "nobody is told by mail"),
        (
            "",
            'ways: ["webhook:ops", "apprise:all"]',
            "apprise:all leads nowhere: set PARAMEDIC_CHANNELS for it; webhook:ops: the setting `channels` names no ops",
            "nobody is told by mail",
        ),
        (
            '{"ops": {"url": "http://h/"}}',
            'ways: ["webhook:ops"]',
            "webhook:ops: the setting channels.ops has no `secret`",
            "nobody is told by mail",
        ),
        ('{"ops": {"url": "ntfy://alerts"}}', 'ways: ["apprise:ops"]', "leads somewhere", "nobody is told by mail"),
        ("", "email: ada@example.org", "leads somewhere", "set PARAMEDIC_SMTP_URL"),
    ],
)
def test_doctor_names_a_way_that_leads_nowhere(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    channels: str,
    ways: str,
    channels_say: str,
    mail_says: str,
) -> None:
    books(tmp_path / "books", ways)
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("PARAMEDIC_RUNBOOKS", str(tmp_path / "books"))
    monkeypatch.setenv("PARAMEDIC_CHANNELS", channels)
    _run("doctor", "--json", "--data", str(tmp_path / "data"))
    found = {row["what"]: row for row in json.loads(capsys.readouterr().out)}
    assert channels_say in found["channels"]["words"]
    assert found["channels"]["well"] == (channels_say == "leads somewhere")
    assert mail_says in found["mail"]["words"]
    assert found["mail"]["well"] == (mail_says == "nobody is told by mail")
    redaction.forget_all()


@pytest.fixture
def data(tmp_path: Path, sqlite_template: Path) -> Path:
    """An empty store, and its people beside it."""
    folder = tmp_path / "data"
    folder.mkdir()
    shutil.copyfile(sqlite_template, folder / "paramedic.db")
    books(folder / "runbooks", "email: ada@example.org")
    return folder


Say = Callable[..., Any]


@pytest.fixture
def say(data: Path, capsys: pytest.CaptureFixture[str]) -> Say:
    """What the command answers in JSON, and that it ends with `code`."""

    def run(*argv: str, code: int = 0) -> Any:
        assert _run("oncall", *argv, "--json", "--data", str(data)) == code
        return json.loads(capsys.readouterr().out)

    return run


def rewrite(data: Path, before: str, after: str) -> None:
    file = data / "runbooks" / "oncall.yaml"
    assert before in file.read_text()
    file.write_text(file.read_text().replace(before, after))


def test_who_is_on_call_at_a_moment_by_any_clock(say: Say, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert say("who", "--at", "2026-03-30 08:59")["person"] == "ben"
    assert say("who", "--at", "2026-03-30 09:00")["person"] == "ada"
    assert say("who", "--at", "2026-03-30T06:59Z")["person"] == "ben", "nine in Berlin is seven in UTC by then"
    assert say("who", "--at", "2026-03-30T03:00-04:00")["ends"] == "2026-04-06T07:00:00.000000Z"
    assert _run("oncall", "who", "--at", "2026-10-25 08:00", "--data", str(data)) == 0
    assert capsys.readouterr().out == "ben (Ben on call) until Mon 2026-10-26 09:00 (+0100)\n"


def test_nobody_on_call_is_a_negative_answer(say: Say) -> None:
    assert say("who", "--at", "2026-01-05 08:59", code=1)["gap"] == "nobody is on call"


def test_an_override_is_heard_at_once_and_kept_on_disk_and_on_the_trail(
    say: Say, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = ("--from", "2099-12-24 18:00", "--to", "2099-12-27 09:00", "--by", "ada")
    before = say("who", "--at", "2099-12-25 12:00")["person"]
    other = {"ada": "ben", "ben": "ada"}[before]
    assert say("override", "--person", other, *args)["begins"] == "2099-12-24T17:00:00.000000Z"
    now = say("who", "--at", "2099-12-25 12:00")
    assert (now["person"], now["overridden_by"], now["ends"]) == (other, "ada", "2099-12-27T08:00:00.000000Z")
    assert [override.person for override in copy.read_copy(data)] == [other]
    store = Store(f"sqlite:///{data}/paramedic.db")
    with store.read() as tx:
        assert [(entry.actor, entry.what) for entry in trail.entries(tx)] == [("person:ada", "oncall.overridden")]
    store.close()
    (data / "paramedic.db").rename(data / "away.db")
    assert _run("oncall", "who", "--at", "2099-12-25 12:00", "--data", str(data)) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{other} (")
    assert "because ada said so" in captured.out
    assert "by the copy on disk, which has 1 overrides" in captured.err
    assert not (data / "paramedic.db").exists(), "a question makes no store"


@pytest.mark.parametrize(
    ("person", "begins", "ends", "says"),
    [
        ("eve", "2099-12-24", "2099-12-25", "oncall.yaml knows no 'eve'; there are ada, ben"),
        ("ben", "2099-12-25", "2099-12-24", "--to 2099-12-24 is not after --from 2099-12-25"),
        ("ben", "2099-12-25", "2099-12-25", "is not after"),
        ("ben", "2020-12-24", "2020-12-25", "--to 2020-12-25 is over already"),
        ("ben", "tomorrow", "2099-12-25", "'tomorrow' is not a moment; write 2026-12-24 18:00 in the rotation's zone"),
        ("ben", "0001-01-01T00:00+14:00", "2099-12-25", "is not a moment"),
    ],
)
def test_an_override_that_cannot_be_meant_is_wrong_use(
    data: Path, capsys: pytest.CaptureFixture[str], person: str, begins: str, ends: str, says: str
) -> None:
    args = ("--person", person, "--from", begins, "--to", ends, "--by", "ada", "--data", str(data))
    assert _run("oncall", "override", *args) == 2
    assert says in re.sub(r"[\s\u2500-\u257f]+", " ", capsys.readouterr().err)
    assert copy.read_copy(data) == ()


def test_the_schedule_has_every_shift(say: Say, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shifts = say("schedule", "--days", "28")
    assert {shift["person"] for shift in shifts} == {"ada", "ben"}
    assert [shift["begins"] for shift in shifts[1:]] == [shift["ends"] for shift in shifts[:-1]]
    assert 4 <= len(shifts) <= 5
    assert _run("oncall", "schedule", "--data", str(data)) == 0
    assert "Ada on call" in capsys.readouterr().out


def test_gaps_are_a_negative_answer(say: Say, data: Path) -> None:
    assert say("gaps") == []
    rewrite(data, "ben: {name: Ben on call, email: ada@example.org}", "ben: {name: Ben on call}")
    found = say("gaps", "--days", "28", code=1)
    assert {shift["gap"] for shift in found} == {"ben has no way to be told"}


@pytest.fixture
def reachable(data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Postbox, Hooks]]:
    """Ada by mail and by webhook, for real."""
    rewrite(
        data,
        "ada: {name: Ada on call, email: ada@example.org}",
        "ada: {name: Ada, ways: [email:ada@example.org, webhook:ops]}",
    )
    hooks = Hooks()
    with Postbox() as postbox:
        monkeypatch.setenv("PARAMEDIC_SMTP_URL", postbox.url)
        monkeypatch.setenv("PARAMEDIC_CHANNELS", json.dumps({"ops": {"url": hooks.url, "secret": SECRET}}))
        yield postbox, hooks
    hooks.close()
    redaction.forget_all()


def test_a_test_page_arrives_by_every_way_and_says_what_it_is(
    say: Say, data: Path, reachable: tuple[Postbox, Hooks], capsys: pytest.CaptureFixture[str]
) -> None:
    postbox, hooks = reachable
    assert _run("oncall", "test", "ada", "--by", "ben", "--data", str(data)) == 0
    assert capsys.readouterr().out == "email:ada@example.org: it left\nwebhook:ops: it left\n"
    assert postbox.recipients == ["ada@example.org"]
    assert "This is a test, for Ada, sent by ben. Nothing is wrong" in text_of(postbox.letters[0])
    assert [payload["type"] for payload in hooks.payloads] == ["paramedic.test"]
    hooks.says = 404
    assert say("test", "ada", "--by", "ben") == [
        {"way": "email:ada@example.org", "left": True, "answer": None},
        {"way": "webhook:ops", "left": False, "answer": "the webhook answered 404"},
    ]
    store = Store(f"sqlite:///{data}/paramedic.db")
    with store.read() as tx:
        assert [entry.reason for entry in trail.entries(tx)] == [
            "ben had a test sent to ada; it left by email, webhook:ops",
            "ben had a test sent to ada; it left by email",
        ]
    store.close()


def test_a_test_page_that_did_not_leave_is_a_negative_answer(
    data: Path, reachable: tuple[Postbox, Hooks], capsys: pytest.CaptureFixture[str]
) -> None:
    postbox, hooks = reachable
    postbox.says["*"], hooks.says = "550 5.1.1 no", 503
    assert _run("oncall", "test", "ada", "--by", "ben", "--data", str(data)) == 1
    captured = capsys.readouterr()
    assert "email:ada@example.org: the mail server answered 550" in captured.out
    assert "webhook:ops: the webhook answered 503" in captured.out
    assert "no page to ada left" in captured.err
    assert _run("oncall", "test", "eve", "--by", "ben", "--data", str(data)) == 2
