"""The last good copy of a file that authors write, for when the file itself cannot be used."""

import functools
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

from paramedic.text.written_file import Unreadable, read_written
from paramedic.text.yaml_document import BadDocument, Problem

log = logging.getLogger(__name__)

Parsed = TypeVar("Parsed")
Parse = Callable[[str, str], Parsed]


class LastGood(NamedTuple):
    """A usable text of the file, and the file's problems where that text is the copy's."""

    text: str
    problems: tuple[Problem, ...]


def text_of(path: Path) -> str:
    """The file's current text. Raises BadDocument where it cannot be read."""
    try:
        return read_written(path)
    except Unreadable as error:
        near, allowed = path.with_suffix(".yml"), error.allowed
        if path.suffix == ".yaml" and near.exists() and not path.exists():
            allowed = f"{near.name} is there: call it {path.name}"
        raise BadDocument([Problem(str(path), error.line, error.column, error.what, allowed)]) from error


def parsed(parse: Parse[Parsed], text: str, file: str) -> Parsed:
    """The parsed text; the same text is parsed once per process. Raises BadDocument.

    Compared by content and not by time stamps: those are equal for two edits within one tick of the clock, and for files
    that a tool has dated back.
    """
    found: Parsed | BadDocument = _outcome(parse, text, file)
    if isinstance(found, BadDocument):
        raise found.again()  # an exception keeps the traceback of each time that it is raised
    return found


@functools.lru_cache(maxsize=1024)
def _outcome(parse: Parse[Parsed], text: str, file: str) -> Parsed | BadDocument:
    try:
        return parse(text, file)
    except BadDocument as error:
        return error


def last_good(path: Path, copies: Path, parse: Parse[Parsed]) -> LastGood:
    """The file's text if it can be used, else that of its copy in `copies`, which is updated from a good file.

    Raises BadDocument, about the file, where there is no usable copy either.
    """
    copy = copies / path.name
    try:
        text = text_of(path)
        parsed(parse, text, str(path))
    except BadDocument as error:
        try:
            text = text_of(copy)
            parsed(parse, text, str(copy))
        except BadDocument:
            raise error from None
        return LastGood(text, error.problems)
    _replace_copy(copy, text)
    return LastGood(text, ())


def _replace_copy(copy: Path, text: str) -> None:
    """Replace the copy atomically, readable by its owner alone. A write that fails is only logged.

    Another user than the data folder's owner, as root at the command line, leaves it to the owner.
    """
    if not copy.parent.parent.exists():  # the first `up` makes the data folder
        return
    try:
        if copy.parent.parent.stat().st_uid != os.geteuid() or (
            copy.exists() and copy.read_text(encoding="utf-8") == text
        ):
            return
        copy.parent.mkdir(mode=0o700, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=copy.parent, prefix=f".{copy.name}.") as aside:
            fresh = Path(aside) / copy.name
            fresh.touch(mode=0o600)
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(copy)
    except (OSError, UnicodeDecodeError) as error:
        log.warning("the last good copy %s could not be written: %s", copy, error)
