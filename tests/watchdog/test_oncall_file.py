"""oncall.yaml changes while the watchdog runs."""

from pathlib import Path

import pytest
from patients import PEOPLE

from paramedic.document import BadDocument
from paramedic.watchdog.oncall import OncallFile


def test_a_change_is_read_and_a_broken_one_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "oncall.yaml"
    path.write_text(PEOPLE)
    file = OncallFile(path)
    assert file.oncall.rotation.people == ("ada",)
    path.write_text(PEOPLE.replace("people: [ada]", "people: [bob]"))
    assert file.oncall.rotation.people == ("bob",)
    path.write_text("people: [nobody")
    assert file.oncall.rotation.people == ("bob",)
    assert "the last good one is used" in caplog.text
    path.unlink()
    assert file.oncall.rotation.people == ("bob",)
    path.write_text(PEOPLE)
    assert file.oncall.rotation.people == ("ada",)


def test_without_a_first_good_one_there_is_no_watchdog(tmp_path: Path) -> None:
    with pytest.raises(BadDocument, match="cannot be read"):
        OncallFile(tmp_path / "oncall.yaml")
