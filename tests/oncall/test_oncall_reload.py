"""oncall.yaml changes while somebody tells people by it."""

import shutil
from pathlib import Path

import pytest
from incident_states import PEOPLE

from paramedic.oncall.oncall_reload import OncallFile
from paramedic.settings import Settings
from paramedic.text.yaml_document import BadDocument


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "runbooks").mkdir()
    return Settings(data=tmp_path, runbooks=tmp_path / "runbooks")


def test_a_change_is_read_and_a_broken_one_changes_nothing(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    path = settings.runbooks / "oncall.yaml"
    path.write_text(PEOPLE)
    file = OncallFile(settings)
    assert file.oncall.rotation.people == ("ada",)
    path.write_text(PEOPLE.replace("people: [ada]", "people: [bob]"))
    assert file.oncall.rotation.people == ("bob",)
    path.write_text("people: [nobody")
    assert file.oncall.rotation.people == ("bob",)
    assert caplog.text.count("the last good copy of oncall.yaml is used") == 1
    assert file.oncall.rotation.people == ("bob",)
    assert caplog.text.count("the last good copy of oncall.yaml is used") == 1
    path.unlink()
    assert file.oncall.rotation.people == ("bob",)
    path.write_text(PEOPLE)
    assert file.oncall.rotation.people == ("ada",)


def test_a_process_that_starts_while_the_file_is_broken_tells_by_the_last_good_one(settings: Settings) -> None:
    path = settings.runbooks / "oncall.yaml"
    path.write_text(PEOPLE)
    OncallFile(settings)
    path.write_text("people: [nobody")
    assert OncallFile(settings).oncall.rotation.people == ("ada",)


def test_a_copy_that_is_lost_as_well_leaves_the_word_that_was_read(settings: Settings) -> None:
    path = settings.runbooks / "oncall.yaml"
    path.write_text(PEOPLE)
    file = OncallFile(settings)
    path.unlink()
    shutil.rmtree(settings.last_good())
    assert file.oncall.rotation.people == ("ada",)


def test_without_a_first_good_one_nobody_tells(settings: Settings) -> None:
    with pytest.raises(BadDocument, match="cannot be read"):
        OncallFile(settings)
