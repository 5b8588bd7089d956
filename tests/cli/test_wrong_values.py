"""Each argument of each command with a value that cannot be right: refused in words, and nothing is half done."""

import enum
import gc
import shutil
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from store_states import working
from test_unhappy_paths import COMMANDS, only_made
from typer.core import TyperArgument

from paramedic.cli import main
from paramedic.store import Store, trail

pytestmark = pytest.mark.usefixtures("_nothing_set", "_no_files_left_open")


@pytest.fixture(scope="module")
def _no_files_left_open() -> Iterator[None]:
    """Each command is a process of its own, whose end closes its store: here they are hundreds in one."""
    yield
    gc.unfreeze()
    gc.collect()


CONTROLS = "\x1b[31mred\x07\u202e"
LONG, TOO_LONG = "z" * 9_000, "z" * 20_000
BROKEN = "\udcff"

#: What nothing of this kind can be; texts that people write freely may be anything that has an end.
NUMBERS = ("x", "-1", "1.5", "9" * 40, "", CONTROLS)
CHOICES = ("x", "", CONTROLS, LONG)
PATHS = ("gone/deeper/file", ".", "", CONTROLS, LONG, TOO_LONG, BROKEN)
NAMES = ("", "  ", "no-such-thing", "../../etc/passwd", "--", CONTROLS, LONG, TOO_LONG, BROKEN)

#: The values by which a command would be carried out, where the others are as they are.
RIGHT = {
    "begins": "2036-12-24 18:00",
    "because": "it is a test",
    "by": "ada",
    "ends": "2036-12-27 09:00",
    "incident": "INC-1",
    "number": "1",
    "person": "me",
    "runbook": "my-service-down",
    "service": "my-service",
    "text": "it is a note",
    "to": "+2h",
}
RIGHT_OF = {
    ("runbook", "show"): {"name": "my-service-down"},
    ("runbook", "test"): {"name": "my-service-down"},
    ("runbook", "record"): {"name": "my-service-down"},
    ("check", "run"): {"name": "my-service-down/health"},
    ("playbook", "rehearse"): {"name": "restart-service"},
}

#: Where any text is right: what people say, and who they are, within 200 characters or as it is cut.
ANSWERED = {"no-such-thing", "../../etc/passwd"}


def wrong_for(param: Any) -> tuple[str, ...]:
    """The values of a parameter that cannot be right, by its type."""
    kind = param.bare_type()
    if "int" in str(kind):
        return NUMBERS
    if "Path" in str(kind):
        return PATHS
    kinds = (kind, *typing.get_args(kind))
    if any(isinstance(one, type) and issubclass(one, enum.Enum) for one in kinds):
        return CHOICES
    return NAMES


def settable(words: tuple[str, ...]) -> Iterator[Any]:
    """The parameters that take a value; the data folder has its own test."""
    for param in COMMANDS[words].params:
        if param.name != "data" and not getattr(param, "is_flag", False):
            yield param


def argv(words: tuple[str, ...], folder: Path, wrong: Any, value: str) -> list[str]:
    """The command with this one wrong value, and otherwise what it must be given."""
    options, arguments = [], []
    for param in COMMANDS[words].params:
        right = RIGHT_OF.get(words, {}).get(param.name) or RIGHT.get(param.name, "given")
        if param.name == "data":
            options += ["--data", str(folder / "data")]
        elif param is wrong or param.required:
            written = value if param is wrong else str(folder / "new") if "Path" in str(param.bare_type()) else right
            if isinstance(param, TyperArgument):
                arguments.append(written)
            else:
                options.append(f"{param.opts[-1]}={written}")
    return [*words, *options, "--", *arguments]


def left_in(folder: Path) -> tuple[Any, ...]:
    """The files of the folder, and the trail of its store."""
    kept = ("paramedic.db", "last-good")  # a copy of what was read well is no half of anything
    files = {
        path for file in folder.rglob("*") if not any(name in (path := str(file.relative_to(folder))) for name in kept)
    }
    store = Store(f"sqlite:///{folder}/data/paramedic.db")
    with store.read() as tx:
        entries = [
            entry.what for entry in trail.entries(tx) if entry.what != "person.tested"
        ]  # a test page that failed
    store.close()
    return files, entries


@pytest.fixture
def folder(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As `paramedic init` leaves it, with a store that has one incident."""
    only_made(tmp_path, sqlite_template)
    (tmp_path / "data").mkdir(mode=0o700)
    shutil.copyfile(sqlite_template, tmp_path / "data" / "paramedic.db")
    store = Store(f"sqlite:///{tmp_path}/data/paramedic.db")
    working(store)
    store.close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USER", "ada")
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


WALKED = [words for words in COMMANDS if any(True for _ in settable(words))]


@pytest.mark.parametrize("words", WALKED, ids=" ".join)
def test_a_value_that_cannot_be_right_is_refused_in_words_and_nothing_is_half_done(
    words: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = left_in(folder)
    amiss = []
    for param in settable(words):
        for value in wrong_for(param):
            with pytest.raises(SystemExit) as ended:  # and nothing else: no traceback
                main(argv(words, folder, param, value))
            code, answer = ended.value.code or 0, "".join(capsys.readouterr())
            after = left_in(folder)
            faults = [
                fault
                for fault, is_so in {
                    f"exit code {code}": code not in (0, 1, 2),
                    "nothing is said": code != 0 and not answer.strip(),
                    "a control character is shown": any(not (char.isprintable() or char in "\n\t") for char in answer),
                    f"{len(answer)} characters": code != 0
                    and len(answer) > 2500 + (len(value) if value != TOO_LONG else 0),
                    f"half done: {set(after[0]) - set(before[0])} {after[1][len(before[1]) :]}": code != 0
                    and after != before,
                    "it is what nothing can be": code == 0 and value in (BROKEN, TOO_LONG, "9" * 40),
                }.items()
                if is_so
            ]
            if faults:
                amiss.append((param.name, value[:30], *faults, answer[:300]))
            before = after
    assert amiss == []


def test_every_command_with_a_value_is_walked() -> None:
    assert len(WALKED) > 30
