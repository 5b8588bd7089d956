"""What a model of an author's document allows at a place of it: its keys, and the words that explain them."""

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.fields import FieldInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

#: A path to a value: keys and places in lists.
At = tuple[str | int, ...]


Model = TypeVar("Model", bound=BaseModel)


def built(model: type[Model]) -> type[Model]:
    """The model, ready to read a document from any thread, where its configuration says `defer_build`."""
    model.model_rebuild()
    return model


class LateShape:
    """A part of a document whose keys are known only when it is read, because plug-ins add to them."""

    @classmethod
    def shape(cls) -> type[BaseModel]:
        """The model of the part as it is now."""
        raise NotImplementedError

    @classmethod
    def shape_of(cls, _written: object) -> type[BaseModel]:
        """The model by which this value is read: `shape()`, or one of only the keys that the value has, which costs less."""
        return cls.shape()

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(lambda value: cls.shape_of(value).model_validate(value))

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(cls.shape().__pydantic_core_schema__)


def keys_at(shape: Any, at: At) -> list[str]:
    """The keys that are allowed at the place: through models, lists, mappings and optional values."""
    *_, (shape, _) = _steps(shape, at)
    return sorted(_fields(shape))


def words_at(shape: Any, at: At) -> str:
    """The description of the field at the place, or of what it is one of; empty where none is described."""
    *_, (_, words) = _steps(shape, at)
    return words


def _steps(shape: Any, at: At) -> Iterator[tuple[Any, str]]:
    """The shape of each part on the way to the place, with its field's description; the last one is the place's own."""
    shape, words = _model(shape), ""
    yield shape, words
    for part in at:
        if _is_model(shape):
            field = _fields(shape).get(str(part))
            shape, words = (_model(field.annotation), field.description or "") if field is not None else (None, "")
        else:
            shape = _model(next(iter(get_args(shape)[-1:]), None))  # what a list or a mapping is of
            words = "" if _is_model(shape) else words
        yield shape, words


def _fields(shape: Any) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in shape.model_fields.items()} if _is_model(shape) else {}


def _is_model(shape: Any) -> bool:
    return isinstance(shape, type) and issubclass(shape, BaseModel)


def _model(shape: Any) -> Any:
    if get_origin(shape) in (Union, UnionType):
        shape = next((option for option in get_args(shape) if option is not NoneType), shape)
    if isinstance(shape, type) and issubclass(shape, LateShape):
        return shape.shape()
    return shape
