"""Parses authors' YAML: reports every problem at once, each with file, line, column and what is allowed."""

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from paramedic.errors import PermanentError
from paramedic.text.model_words import At, keys_at, words_at
from paramedic.text.nearest import nearest

Shape = TypeVar("Shape", bound=BaseModel)

#: So often what is wrong is left out, and the rest read again.
_ROUNDS = 12

#: How the names of faults end about which pydantic's message does not say what is allowed.
_OF_FORM = ("missing", "_type", "_mismatch", "too_short")

#: Our words for some faults, by pydantic's names for them.
_FAULTS = {
    "missing": "is missing",
    "model_type": "is not a mapping of keys",
    "model_attributes_type": "is not a mapping of keys",
    "dict_type": "is not a mapping of keys",
    "list_type": "is not a list",
}

#: Values, lists and mappings of a document: far more than people write.
_PARTS = 200_000

_QUOTES = "text with { } is written in quotes"


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem, its place, and what is allowed there."""

    file: str
    line: int
    column: int
    what: str
    allowed: str = ""

    def __str__(self) -> str:
        hint = f"; {self.allowed}" if self.allowed else ""
        return f"{self.file}:{self.line}:{self.column}: {self.what}{hint}"


class BadDocument(PermanentError):
    """The document cannot be used; `problems` has everything that is wrong with it."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)

    def again(self) -> "BadDocument":
        """The same, as another exception."""
        return BadDocument(self.problems)


class _AsWritten(RoundTripConstructor):
    """Dates stay the text that their author wrote: YAML's own reading of them loses an offset."""


_AsWritten.add_constructor("tag:yaml.org,2002:timestamp", RoundTripConstructor.construct_yaml_str)


@dataclass(frozen=True, slots=True)
class _Missing:
    """What of a document is left out to read the rest. Paths are those of the document."""

    left_out: set[At] = field(default_factory=set)
    filled: dict[At, Any] = field(default_factory=dict)  # what stands in for required parts
    doubtful: set[At] = field(default_factory=set)  # of both, those without which other parts may look wrong

    def plain(self, value: Any, at: At = ()) -> Any:
        """The document as plain values, without what is left out."""
        if at in self.filled:
            return self.filled[at]
        if isinstance(value, dict):
            inner = {str(key): (*at, str(key)) for key in value}
            found = {
                str(key): self.plain(item, inner[str(key)])
                for key, item in value.items()
                if inner[str(key)] not in self.left_out
            }
            return found | {str(path[-1]): stand_in for path, stand_in in self.filled.items() if path[:-1] == at}
        if isinstance(value, list):
            kept = [(number, item) for number, item in enumerate(value) if (*at, number) not in self.left_out]
            return [self.plain(item, (*at, number)) for number, item in kept]
        return value

    def in_document(self, at: At) -> At:
        """The path in the document of what is at `at` in what is left of it: lists are shorter there."""
        found: At = ()
        for part in at:
            found = (*found, self._number(found, part) if isinstance(part, int) else part)
        return found

    def _number(self, items: At, number: int) -> int:
        there = (each for each in itertools.count() if (*items, each) not in self.left_out)
        return next(itertools.islice(there, number, None))

    def leave_out(self, fault: Mapping[str, Any], document: CommentedMap, stand_ins: Mapping[At, Any]) -> At:
        """Leave out the innermost part that holds the fault, or replace it; its path, empty where none can be."""
        at: At = fault["loc"]
        if at in self.left_out and fault["type"] != "missing":
            return at  # by another fault of it
        while at:
            if at in stand_ins and at not in self.filled:
                self.filled[at] = stand_ins[at]
                return at
            if _has(document, at) and at not in self.left_out and at not in self.filled:
                self.left_out.add(at)
                return at
            at = at[:-1]
        return at

    def concerns(self, at: At) -> bool:
        """Whether something is left out of what is there, or of what holds it."""
        return any(at[: len(other)] == other[: len(at)] for other in self.doubtful)


@dataclass(frozen=True, slots=True)
class Draft(Generic[Shape]):
    """What a document says, without what is wrong in it, so that the rest can be checked as well."""

    value: Shape | None  # None: too little of it is left
    problems: tuple[Problem, ...]
    _document: CommentedMap
    _file: str
    _first_line: int
    _missing: _Missing

    def problem(self, at: At, what: str, allowed: str = "") -> Problem:
        """A problem of a part of `value`, in its own place."""
        line, column = _place(self._document, self._missing.in_document(at))
        return Problem(self._file, self._first_line + line, column + 1, what, allowed)

    def name(self, at: At) -> str:
        """The part's path in the document, for people: `when.1.check`."""
        return ".".join(map(str, self._missing.in_document(at)))

    def is_sound(self, *at: str | int) -> bool:
        """Whether this part of `value` is as its author wrote it: nothing in it, and nothing that holds it, was wrong."""
        return not self._missing.concerns(self._missing.in_document(at))

    def keys(self, key: str) -> list[str]:
        """The keys of the mapping that stands there, those that were wrong among them."""
        found = _inner(self._document, key)
        return [str(name) for name in found] if isinstance(found, dict) else []


def read(text: str, file: str, shape: type[Shape], *, first_line: int = 1) -> Shape:
    """The YAML text, parsed as `shape`. Raises BadDocument with every problem, each at its place in the file."""
    draft = read_draft(text, file, shape, first_line=first_line)
    if draft.problems or draft.value is None:
        raise BadDocument(draft.problems)
    return draft.value


def read_draft(
    text: str, file: str, shape: type[Shape], *, first_line: int = 1, stand_ins: Callable[[], Mapping[At, Any]] = dict
) -> Draft[Shape]:
    """The YAML text, read as far as it can be. `stand_ins()`: values for required parts, asked where one is wrong or missing.

    Raises BadDocument where it is not YAML.
    """
    document, missing = _loaded(text, file, first_line), _Missing()
    problems: list[Problem] = []
    value: Shape | None = None
    for _ in range(_ROUNDS):
        try:
            value = shape.model_validate(missing.plain(document))
        except ValidationError as error:
            faults = [fault | {"loc": missing.in_document(fault["loc"])} for fault in _faults(error)]
        else:
            break
        # what was left out in a round before may make other parts look wrong
        problems += [
            _problem(fault, document, file, first_line, shape) for fault in faults if not missing.concerns(fault["loc"])
        ]
        filling = stand_ins()
        left_out = [(fault, missing.leave_out(fault, document, filling)) for fault in faults]
        if not all(at for _, at in left_out):
            break
        missing.doubtful.update(at for fault, at in left_out if not _is_a_stray_key(fault, shape))
    return Draft(value, tuple(problems), document, file, first_line, missing)


def _faults(error: ValidationError) -> list[dict[str, Any]]:
    return [dict(fault) for fault in error.errors(include_url=False)]


def _is_a_stray_key(fault: Mapping[str, Any], shape: type[BaseModel]) -> bool:
    """Whether it is a key that is not allowed, and not a slip for one that is."""
    at: At = fault["loc"]
    known = keys_at(shape, at[:-1])
    return fault["type"] == "extra_forbidden" and not nearest(str(at[-1]), known).startswith("did you mean")


def json_schema(shape: type[BaseModel], title: str) -> dict[str, Any]:
    """The JSON Schema of the shape, for editors; `read` checks more than it."""
    model = shape.model_json_schema(by_alias=True)
    model |= {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
    cleaned: dict[str, Any] = _without_defaults(model)
    return cleaned


def _without_defaults(value: Any) -> Any:
    """The schema without defaults, which are internal values, not what an author would write."""
    if isinstance(value, dict):
        return {key: _without_defaults(item) for key, item in value.items() if key != "default"}
    return [_without_defaults(item) for item in value] if isinstance(value, list) else value


def place(text: str, at: Sequence[str | int], *, first_line: int = 1) -> tuple[int, int]:
    """Line and column of a key in YAML that `read` accepted, or of its nearest parent."""
    line, column = _place(_yaml().load(text), tuple(at))
    return first_line + line, column + 1


def wrong(title: str, *faults: tuple[At, str]) -> ValidationError:
    """What a validator raises for several faults at once: each with its path below the validated value, and its words."""
    lines = [
        InitErrorDetails(type=PydanticCustomError("wrong", "{what}", {"what": what}), loc=at, input=None)
        for at, what in faults
    ]
    return ValidationError.from_exception_data(title, lines)


def _yaml() -> YAML:
    yaml = YAML(typ="rt")
    yaml.Constructor = _AsWritten
    return yaml


def _loaded(text: str, file: str, first_line: int) -> CommentedMap:
    """The YAML mapping, with the places of its parts. Raises BadDocument."""
    try:
        document = _yaml().load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        twice = re.match(r'found duplicate key "(.*?)"', error.problem or "")
        what = f"{twice[1]} stands here twice" if twice else f"this is not YAML: {error.problem or error.context}"
        lines = text.split("\n")
        hint = _QUOTES if line < len(lines) and "{" in lines[line] else ""
        raise BadDocument([Problem(file, first_line + line, column + 1, what, hint)]) from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise BadDocument([Problem(file, first_line, 1, f"this is not YAML: {error}")]) from error
    if not isinstance(document, CommentedMap):
        raise BadDocument([Problem(file, first_line, 1, "there is nothing to read here", "write `key: value` lines")])
    if _has_too_many_parts(document):
        what = f"it has more than {_PARTS} parts, each alias (`*`) counted with all that it stands for"
        raise BadDocument([Problem(file, first_line, 1, what, "write fewer")])
    return document


def _has_too_many_parts(document: CommentedMap) -> bool:
    """Whether it is too large to read whole: aliases make a short text long."""
    waiting: list[Any] = [document]
    for _ in range(_PARTS):
        if not waiting:
            return False
        here = waiting.pop()
        waiting += here.values() if isinstance(here, dict) else here if isinstance(here, list) else ()
    return True


def _problem(fault: Any, document: CommentedMap, file: str, first_line: int, shape: type[BaseModel]) -> Problem:
    at: At = fault["loc"]
    line, column = _place(document, at)
    where = ".".join(str(part) for part in at)
    if fault["type"] == "extra_forbidden":
        known = keys_at(shape, at[:-1])
        allowed = nearest(str(at[-1]), known)
        return Problem(
            file, first_line + line, column + 1, f"{where}: no such key, or one that is not enforced", allowed
        )
    kind, value = fault["type"], _value(document, at)
    what = _FAULTS.get(kind) or str(fault["msg"]).removeprefix("Value error, ")
    hint = _to_quote(value, kind)
    if not hint and kind.endswith(_OF_FORM) and (meant := words_at(shape, at)):
        hint = f"write {meant}"
        what = "does not fit" if kind == "string_pattern_mismatch" else what  # its text may hold a password
    return Problem(file, first_line + line, column + 1, f"{where}: {what}" if where else what, hint)


def _to_quote(value: Any, kind: str) -> str:
    """A hint, where YAML reads a text as something else because it has no quotes."""
    if isinstance(value, dict) and value and all(item is None for item in value.values()):
        inner = ", ".join(map(str, value))
        quote = "'" if '"' in inner else '"'
        return f"{_QUOTES}: {quote}{{{inner}}}{quote}"
    if kind == "string_type" and isinstance(value, bool | int | float):
        return f'text that YAML reads as a number or a yes is written in quotes: "{value}"'
    return ""


def _value(document: Any, at: At) -> Any:
    for part in at:
        document = _inner(document, part)
    return document


def _inner(holder: Any, part: str | int) -> Any:
    if isinstance(holder, dict):
        return next((item for key, item in holder.items() if str(key) == str(part)), None)
    return holder[part] if isinstance(holder, list) and isinstance(part, int) and part < len(holder) else None


def _has(document: Any, at: At) -> bool:
    holder = _value(document, at[:-1])
    if isinstance(holder, dict):
        return any(str(key) == str(at[-1]) for key in holder)
    return isinstance(holder, list) and isinstance(at[-1], int) and at[-1] < len(holder)


def _place(document: Any, at: tuple[Any, ...]) -> tuple[int, int]:
    """Line and column, from 0, of the deepest part of the path that the document has."""
    line, column = 0, 0
    here = document
    for part in at:
        if (
            isinstance(here, CommentedMap)
            and (key := next((key for key in here if str(key) == str(part)), None)) is not None
        ):
            if key in (here.lc.data or {}):  # one that is merged in (`<<`) stands elsewhere
                line, column = here.lc.key(key)
            here = here[key]
        elif isinstance(here, CommentedSeq) and isinstance(part, int) and part < len(here):
            line, column = here.lc.item(part)
            here = here[part]
        else:
            break
    return line, column
