"""`paramedic up` names at its start what of the settings and files is not used."""

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from paramedic.catalog.library import Library
from paramedic.cli.up import _announce_faults
from paramedic.oncall.contact import parse_contact_method
from paramedic.oncall.rotation import Person
from paramedic.settings import Channel, Settings
from paramedic.text.yaml_document import Problem


def test_each_is_a_line_and_no_secret_is_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ways = tuple(parse_contact_method(way) for way in ("webhook:ops", "webhook:nowhere", "email:ada@example.org"))
    library = Library.unusable((Problem("runbooks/a.md", 3, 1, "no such key 'wen'", "when"),))
    library = replace(library, oncall=replace(library.oncall, people={"ada": Person("ada", "Ada", ways)}))
    settings = Settings(data=tmp_path, channels={"ops": Channel(url=SecretStr("https://here.example/hidden-path"))})
    _announce_faults(settings, library)
    output = capsys.readouterr().out
    assert "mail       none can leave" in output
    assert "channel    webhook:ops: the setting channels.ops has no `secret`" in output
    assert "channel    webhook:nowhere: the setting `channels` names no nowhere" in output
    assert "refused    runbooks/a.md:3:1" in output
    assert "hidden-path" not in output
