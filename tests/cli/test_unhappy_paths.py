"""Whatever the folder is like and whatever is typed: an answer in words with the right exit code, and nothing half done."""

import io
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from command_line import paramedic
from typer.core import TyperArgument, TyperCommand, TyperGroup

from paramedic.cli import app, main
from paramedic.cli.init import FILES
from paramedic.store import Store, inbox
from paramedic.store.quarantine import Unreadable

pytestmark = pytest.mark.usefixtures("_nothing_set")

#: These stay, or play for minutes.
_LONG = {"up", "demo"}


def _commands(group: TyperGroup, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], TyperCommand]]:
    context = typer.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, TyperGroup):
            yield from _commands(command, (*above, name))
        elif (*above, name)[0] not in _LONG:
            assert isinstance(command, TyperCommand)
            yield (*above, name), command


COMMANDS = dict(_commands(app))

_VALUES = {"incident": "INC-1", "number": "1", "begins": "2026-12-24 18:00", "ends": "2026-12-27 09:00", "to": "+2h"}


def _argv(words: tuple[str, ...], folder: Path) -> list[str]:
    """The command with everything that it must be given."""
    argv = list(words)
    for one in COMMANDS[words].params:
        value = str(folder / "given") if one.name in {"file", "folder"} else _VALUES.get(one.name or "", "x")
        if one.required and isinstance(one, TyperArgument):
            argv.append(value)
        elif one.required:
            argv += [one.opts[0], value]
    return argv


def nothing(_folder: Path, _template: Path) -> None:
    """No settings, no runbooks, no data folder."""


def only_made(folder: Path, _template: Path) -> None:
    """As `paramedic init` leaves it."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def newer_store(folder: Path, template: Path) -> None:
    """A newer version has migrated the store."""
    only_made(folder, template)
    (folder / "data").mkdir(mode=0o700)
    shutil.copyfile(template, folder / "data" / "paramedic.db")
    with sqlite3.connect(folder / "data" / "paramedic.db") as store:
        store.execute("UPDATE alembic_version SET version_num = '9999'")


def no_database(folder: Path, template: Path) -> None:
    """What is called paramedic.db is something else."""
    only_made(folder, template)
    (folder / "data").mkdir(mode=0o700)
    (folder / "data" / "paramedic.db").write_text("Dear reader, this is no database. " * 100)


def data_is_a_file(folder: Path, template: Path) -> None:
    """The data folder is no folder."""
    only_made(folder, template)
    (folder / "data").write_text("")


def wide_files(folder: Path, template: Path) -> None:
    """An editor has saved everything as UTF-16."""
    only_made(folder, template)
    for name in FILES:
        if name.startswith("runbooks/"):
            (folder / name).write_text((folder / name).read_text(), encoding="utf-16")


def broken_settings(folder: Path, template: Path) -> None:
    """The settings are no TOML."""
    only_made(folder, template)
    (folder / "paramedic.toml").write_text("smtp_url: smtp://localhost\n")


World = Callable[[Path, Path], None]


@pytest.mark.parametrize(
    "world", [nothing, only_made, newer_store, no_database, data_is_a_file, wide_files, broken_settings]
)
def test_every_command_answers_in_words_whatever_the_folder_is_like(
    world: World,
    tmp_path: Path,
    sqlite_template: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USER", "ada")
    unsaid = []
    for number, words in enumerate(COMMANDS):
        folder = tmp_path / str(number)
        folder.mkdir(mode=0o755)
        world(folder, sqlite_template)
        (folder / "given").write_text("{}")
        monkeypatch.chdir(folder)
        with pytest.raises(SystemExit) as ended:  # and nothing else: no traceback
            main(_argv(words, folder))
        said = capsys.readouterr()
        if ended.value.code not in (0, 1, 2, None) or not (said.out + said.err).strip():
            unsaid.append((words, ended.value.code, said))
        assert words == ("restore",) or not (home / ".local").exists(), f"{words} makes no data folder"
        shutil.rmtree(home / ".local", ignore_errors=True)
    assert unsaid == []


def test_a_folder_that_cannot_be_made_whole_is_not_begun(tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "runbooks").write_text("a file of mine\n")
    said = paramedic("init", str(tmp_path / "ours"), code=2)
    assert said == f"{tmp_path}/ours/runbooks cannot be made: File exists; nothing was written\n"
    assert [path.name for path in tmp_path.rglob("*")] == ["ours", "runbooks"]


def test_of_a_disk_that_is_full_nothing_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, left = os.open, 2

    def full(path: str | os.PathLike[str], flags: int, *more: int, **named: int) -> int:
        nonlocal left
        if flags & os.O_EXCL:
            left -= 1
            if left < 0:
                raise OSError(28, "No space left on device", str(path))
        return real(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", full)
    said = paramedic("init", str(tmp_path / "a" / "b"), code=2)
    assert "oncall.yaml cannot be made: No space left on device; nothing was written" in said
    assert list(tmp_path.iterdir()) == []


def test_settings_behind_a_symlink_that_leads_nowhere_are_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("paramedic.toml").symlink_to("gone.toml")
    said = paramedic("config", code=2)
    assert said == "paramedic.toml: cannot be read: No such file or directory: it is a symlink to gone.toml\n"
    Path("paramedic.toml").unlink()
    Path("paramedic.toml").symlink_to("paramedic.toml")
    assert "Too many levels of symbolic links" in paramedic("config", code=2)


def test_settings_that_windows_saved_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("paramedic.toml").write_bytes('port = 8651\r\nhost = "::1"\r\n'.encode("utf-8-sig"))
    assert "8651" in paramedic("config")
    Path("paramedic.toml").write_bytes('port = 8651\nmail_from = "ä"\n'.encode("latin-1"))
    assert paramedic("config", code=2) == "paramedic.toml:2:14: what stands here is not UTF-8; save it as UTF-8\n"


NOBODY = "names nobody; write 1 to 200 characters"


@pytest.mark.parametrize(
    ("by", "words"),
    [
        ("", NOBODY),
        ("  ", NOBODY),
        ("ada\nben", NOBODY),
        ("a" * 201, NOBODY),
        ("\udcff", "is not UTF-8; write it in UTF-8"),
    ],
)
def test_who_acts_has_a_name(data: Path, by: str, words: str) -> None:
    assert words in paramedic("pause", "--by", by, "--data", str(data), code=2, env={"COLUMNS": "400"})
    assert "nothing is paused" in paramedic("pauses", "--data", str(data))


def test_what_the_system_refuses_is_told_in_words(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "/somewhere/ours")

    monkeypatch.setattr("paramedic.cli.resume.opened", full)
    assert paramedic("pauses", "--data", str(data), code=1) == "/somewhere/ours: No space left on device\n"


def test_what_a_terminals_encoding_has_not_is_shown_as_an_escape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("paramedic.toml").write_text('mail_from = "žofia@example.org"\n')
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    with pytest.raises(SystemExit) as ended:
        main(["config", "--json"])
    assert not ended.value.code
    terminal.flush()
    assert "mail_from" in terminal.buffer.getvalue().decode()  # type: ignore[attr-defined]


def test_what_is_no_backup_leaves_no_store_behind(tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("Dear reader")
    said = paramedic("restore", str(tmp_path / "letter"), "--by", "ada", "--data", str(tmp_path / "data"), code=2)
    assert "is not a complete backup" in said
    assert not (tmp_path / "data" / "paramedic.db").exists()
    said = paramedic("restore", str(tmp_path / "gone"), "--by", "ada", "--data", str(tmp_path / "other"), code=2)
    assert "gone' does not exist" in said
    assert not (tmp_path / "other").exists()


def test_where_there_is_no_store_the_way_to_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    said = paramedic("incident", "list", code=2)
    assert said.startswith(f"there is no store in {tmp_path}/.local/share/paramedic: `paramedic up` makes one.")
    assert "Usage" not in said, "nothing is wrong with how it was called"


@pytest.fixture
def data(tmp_path: Path, sqlite_template: Path) -> Path:
    """A data folder with an empty store."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    shutil.copyfile(sqlite_template, folder / "paramedic.db")
    return folder


def test_a_body_that_could_not_be_read_is_shown_by_its_beginning(data: Path) -> None:
    store = Store(f"sqlite:///{data}/paramedic.db")
    bad = [Unreadable(body="\x00" * 4096, error="body: too large"), Unreadable(body="short", error="body: is no JSON")]
    inbox.receive(store, [], source="alertmanager", sender="am", bad=bad)
    store.close()
    said = paramedic("alert", "refused", "--data", str(data))
    assert "… (--json has the rest)" in said
    assert len(said.replace("\n", "")) < 5000
    assert "  short\n" in said
    assert r"\\x00" * 4096 in paramedic("alert", "refused", "--json", "--data", str(data))


def test_playbooks_of_a_folder_that_is_not_there_are_not_called_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARAMEDIC_FLOWS", str(tmp_path / "gone"))
    said = paramedic("playbook", "lint", code=1)
    assert said == f"there is no folder {tmp_path}/gone: `paramedic playbook new NAME` makes it, with a playbook\n"


def test_before_the_first_up_the_shift_is_told_without_a_word_about_the_store(
    tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_made(tmp_path, sqlite_template)
    monkeypatch.chdir(tmp_path)
    assert paramedic("oncall", "who").startswith("me (Me) until ")


def test_a_key_that_up_has_not_made_yet_is_missed_in_words(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o700)
    said = paramedic("audit", "key", "--data", str(tmp_path / "data"), code=2)
    assert said.endswith(
        "signing.pub: the public key cannot be read: No such file or directory; `paramedic up` makes it\n"
    )
