"""`paramedic oncall`, and what doctor says of the ways that people are told by."""

import json
import os
from pathlib import Path

import pytest

from paramedic import secret, settings
from paramedic.cli import main


@pytest.fixture(autouse=True)
def _nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PARAMEDIC_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def _run(*argv: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(argv))
    return int(ended.value.code or 0)


def books(folder: Path, ways: str) -> None:
    folder.mkdir(exist_ok=True)
    for file in (settings.ROOT / "runbooks").iterdir():
        text = file.read_text()
        (folder / file.name).write_text(
            text.replace("email: ada@example.org", ways).replace("email: ben@example.org", ways)
        )


@pytest.mark.parametrize(
    ("channels", "ways", "channels_say", "mail_says"),
    [
        ("", 'ways: ["webhook:ops"]', "webhook:ops leads nowhere", "nobody is told by mail"),
        (
            '{"ops": {"url": "http://h/"}}',
            'ways: ["webhook:ops"]',
            "webhook:ops has no secret",
            "nobody is told by mail",
        ),
        ('{"ops": {"url": "json://h/"}}', 'ways: ["apprise:ops"]', "leads somewhere", "nobody is told by mail"),
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
    found = {one["what"]: one for one in json.loads(capsys.readouterr().out)}
    assert channels_say in found["channels"]["words"]
    assert found["channels"]["well"] == (channels_say == "leads somewhere")
    assert mail_says in found["mail"]["words"]
    assert found["mail"]["well"] == (mail_says == "nobody is told by mail")
    secret.forget_all()
