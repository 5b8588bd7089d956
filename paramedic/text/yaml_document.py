"""Parses authors' YAML: reports every problem at once, each with file, line, column and what is allowed."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from paramedic.errors import PermanentError

Shape = TypeVar("Shape", bound=BaseModel)


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


class LateShape:
    """A part of a document whose keys are known only when it is read, because plug-ins add to them."""

    @classmethod
    def shape(cls) -> type[BaseModel]:
        """The model of the part as it is now."""
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(lambda value: cls.shape().model_validate(value))

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(cls.shape().__pydantic_core_schema__)


def read(text: str, file: str, shape: type[Shape], *, first_line: int = 1) -> Shape:
    """The YAML text, parsed as `shape`. Raises BadDocument with every problem, each at its place in the file."""
    try:
        document = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        what = f"this is not YAML: {error.problem or error.context}"
        raise BadDocument([Problem(file, first_line + line, column + 1, what)]) from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise BadDocument([Problem(file, first_line, 1, f"this is not YAML: {error}")]) from error
    if not isinstance(document, CommentedMap):
        raise BadDocument([Problem(file, first_line, 1, "there is nothing to read here", "write `key: value` lines")])
    try:
        return shape.model_validate(_plain(document))
    except ValidationError as error:
        raise BadDocument(
            [_problem(fault, document, file, first_line, shape) for fault in error.errors(include_url=False)]
        ) from error


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
    line, column = _place(YAML(typ="rt").load(text), tuple(at))
    return first_line + line, column + 1


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _problem(fault: Any, document: CommentedMap, file: str, first_line: int, shape: type[BaseModel]) -> Problem:
    at: tuple[Any, ...] = fault["loc"]
    line, column = _place(document, at)
    where = ".".join(str(part) for part in at)
    if fault["type"] == "extra_forbidden":
        known = _keys(shape, at[:-1])
        allowed = nearest(str(at[-1]), known)
        return Problem(
            file, first_line + line, column + 1, f"{where}: no such key, or one that is not enforced", allowed
        )
    what = "is missing" if fault["type"] == "missing" else str(fault["msg"]).removeprefix("Value error, ")
    return Problem(file, first_line + line, column + 1, f"{where}: {what}" if where else what)


def nearest(name: str, known: Sequence[str], otherwise: str = "allowed:") -> str:
    """A hint: the known name nearest to `name`, else, after `otherwise`, all known names."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"{otherwise} {', '.join(known)}" if known else ""


def _place(document: Any, at: tuple[Any, ...]) -> tuple[int, int]:
    line, column = 0, 0
    here = document
    for part in at:
        if isinstance(here, CommentedMap) and part in here:
            line, column = here.lc.key(part)
        elif isinstance(here, CommentedSeq) and isinstance(part, int) and part < len(here):
            line, column = here.lc.item(part)
        else:
            break
        here = here[part]
    return line, column


def _keys(shape: Any, at: tuple[Any, ...]) -> list[str]:
    """The keys that are allowed at the place: through models, lists, mappings and optional values."""
    for part in at:
        shape = _model(shape)
        if isinstance(shape, type) and issubclass(shape, BaseModel):
            named = {field.alias or name: field for name, field in shape.model_fields.items()}
            if part not in named:
                return []
            shape = named[part].annotation
        else:
            shape = next(iter(get_args(shape)[-1:]), None)  # what a list or a mapping is of
    shape = _model(shape)
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        return sorted(field.alias or name for name, field in shape.model_fields.items())
    return []


def _model(shape: Any) -> Any:
    if get_origin(shape) in (Union, UnionType):
        shape = next((option for option in get_args(shape) if option is not NoneType), shape)
    if isinstance(shape, type) and issubclass(shape, LateShape):
        return shape.shape()
    return shape
