"""Plug-ins are found by name wherever they are; one that cannot be used is named, and stops no other."""

import os
import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest

from paramedic.checks.check import SOURCE as SOURCE_OF_CHECKS
from paramedic.errors import PermanentError
from paramedic.kinds import registry
from paramedic.kinds.registry import Registry, Room
from paramedic.settings import authored, load_settings

SOURCE = """
BODY = "One line of text."
EXAMPLE = "{}"

def read(headers, body):
    raise NotImplementedError
"""

SHIPPED = Registry().names(Room.SOURCES)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sources").mkdir(mode=0o755)
    return tmp_path


def write(folder: Path, name: str, text: str = SOURCE) -> Path:
    file = folder / "sources" / f"{name}.py"
    file.write_text(text)
    return file


def test_the_shipped_ones_are_there_and_whole() -> None:
    shipped = Registry()
    assert "alertmanager" in shipped.names(Room.SOURCES)
    assert set(shipped.usable(Room.CHANNELS)) == {"apprise", "email", "webhook"}
    assert shipped.broken() == ()


def test_a_team_s_own_is_found_by_the_name_of_its_file(folder: Path) -> None:
    write(folder, "pigeon")
    found = Registry(folder)
    assert found.names(Room.SOURCES) == tuple(sorted({*SHIPPED, "pigeon"}))
    assert found.plugin(Room.SOURCES, "pigeon").BODY == "One line of text."


def test_names_are_told_without_running_any_code(folder: Path) -> None:
    write(folder, "loud", "raise SystemExit('it ran')")
    assert "loud" in Registry(folder).names(Room.SOURCES)


def test_only_what_is_broken_in_the_rooms_that_are_asked_for_is_looked_for(folder: Path) -> None:
    write(folder, "loud", "raise SystemExit('it ran')")
    found = Registry(folder)
    assert found.broken(Room.TARGETS, Room.PROBES) == ()
    assert (Room.SOURCES, "loud") not in found._loaded
    assert [fault.name for fault in found.broken(Room.SOURCES)] == ["loud"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("this is no Python", "SyntaxError"),
        ("import a_module_that_is_nowhere", "ModuleNotFoundError: No module named 'a_module_that_is_nowhere'"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("BODY = 'x'\nEXAMPLE = '{}'", "it has no function or class 'read'"),
        (SOURCE.replace("BODY", "BODIES"), "it has no text 'BODY'"),
        (SOURCE.replace('"{}"', "{}"), "it has no text 'EXAMPLE'"),
    ],
)
def test_a_broken_one_is_named_and_stops_no_other(folder: Path, text: str, why: str) -> None:
    write(folder, "broken", text)
    write(folder, "pigeon")
    found = Registry(folder)
    assert set(found.usable(Room.SOURCES)) == {*SHIPPED, "pigeon"}
    [fault] = found.broken()
    assert (fault.room, fault.name, fault.where) == (Room.SOURCES, "broken", str(folder / "sources" / "broken.py"))
    assert why in fault.why
    with pytest.raises(PermanentError, match=r"the plug-in broken of sources \(.*\) cannot be used"):
        found.plugin(Room.SOURCES, "broken")


@pytest.mark.parametrize("name", ["Pigeon", "pig-eon", "p" * 41, "1st", "pig.eon"])
def test_a_file_whose_name_is_no_word_for_files_and_addresses_is_refused(folder: Path, name: str) -> None:
    write(folder, name, "raise SystemExit('it ran')")
    [fault] = Registry(folder).broken()
    assert fault.name == name
    assert "small letters" in fault.why


def test_a_shipped_name_is_not_taken_over(folder: Path) -> None:
    write(folder, "alertmanager", "raise SystemExit('it ran')")
    found = Registry(folder)
    assert found.plugin(Room.SOURCES, "alertmanager").__name__ == "paramedic.sources.alertmanager"
    [fault] = found.broken()
    assert str(fault) == (
        f"the plug-in alertmanager of sources ({folder}/sources/alertmanager.py) cannot be used: shipped has this name"
    )


def test_no_sender_speaks_as_paramedic_s_own_checks(folder: Path) -> None:
    write(folder, "check")
    [fault] = Registry(folder).broken()
    assert fault.why == f"alerts of the source {SOURCE_OF_CHECKS!r} are those of Paramedic's own checks"
    assert "check" not in Registry(folder).usable(Room.SOURCES)


@pytest.mark.parametrize("name", ["", "os", "..store", "alertmanager.read", "__init__", "alertmanager\n", "x" * 5000])
def test_a_name_from_data_imports_nothing(folder: Path, name: str) -> None:
    found = Registry(folder)
    before = set(sys.modules)
    with pytest.raises(PermanentError, match="there is no plug-in") as refusal:
        found.plugin(Room.SOURCES, name)
    assert set(sys.modules) == before
    assert len(str(refusal.value)) < 200 + len(", ".join(SHIPPED))


def test_a_file_that_others_can_write_does_not_run(folder: Path) -> None:
    write(folder, "pigeon", "raise SystemExit('it ran')").chmod(0o666)
    [fault] = Registry(folder).broken()
    assert "chmod" in fault.why


def test_an_installed_package_s_entry_point_is_found(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "a_package_of_pigeons.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(folder))
    asked: list[EntryPoints] = []

    def entry_points() -> EntryPoints:
        asked.append(
            EntryPoints(
                (
                    EntryPoint("pigeon", "a_package_of_pigeons", "paramedic.sources"),
                    EntryPoint("crow", "a_package_of_crows", "paramedic.sources"),
                    EntryPoint("owl", "a_package_of_pigeons:read", "paramedic.sources"),
                )
            )
        )
        return asked[-1]

    monkeypatch.setattr(registry, "entry_points", entry_points)
    found = Registry()
    assert set(found.usable(Room.SOURCES)) == {*SHIPPED, "pigeon"}
    assert {fault.name: fault.why.partition(":")[0] for fault in found.broken()} == {
        "crow": "ModuleNotFoundError",
        "owl": "ImportError",
    }
    assert len(asked) == 1, "every installed package is looked into once, and not for each room"


def test_the_setting_names_the_folder_and_it_is_watched_over_like_all_code(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write(folder, "pigeon")
    monkeypatch.setenv("PARAMEDIC_PLUGINS", str(folder))
    settings = load_settings(data=tmp_path / "data")
    assert registry.current().plugin(Room.SOURCES, "pigeon").__file__ == str(file)
    assert {folder, folder / "sources", file} <= set(authored(settings))
    assert settings.as_env()["PARAMEDIC_PLUGINS"] == str(folder)
    monkeypatch.delenv("PARAMEDIC_PLUGINS")
    load_settings(data=tmp_path / "data")
    assert "pigeon" not in registry.current().names(Room.SOURCES)
    assert not os.environ.get("PARAMEDIC_PLUGINS")
