"""Moments and durations as people write them; what is not one is refused with what is allowed."""

import importlib
import pkgutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic.fields import FieldInfo

import paramedic
from paramedic.text.units import Between, duration, moment

NOON = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("now", NOON),
        ("+1h 30m", datetime(2026, 1, 31, 13, 30, tzinfo=UTC)),
        ("-2d", datetime(2026, 1, 29, 12, 0, tzinfo=UTC)),
        (" 2026-01-31T22:00+01:00 ", datetime(2026, 1, 31, 21, 0, tzinfo=UTC)),
        ("2026-01-31 21:00Z", datetime(2026, 1, 31, 21, 0, tzinfo=UTC)),
    ],
)
def test_a_moment_is_read(text: str, meant: datetime) -> None:
    assert moment(text, after=NOON) == meant


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-01-31T22:00", "names no time zone"),
        ("2026-02-30T22:00Z", "day is out of range"),
        ("22:00", "Invalid isoformat"),
        ("+soon", "is not a duration"),
        ("+999999999w", "not a moment"),
        ("", "not a moment"),
        ("0001-01-01T00:00+14:00", "not a moment"),
    ],
)
def test_what_is_no_moment_is_refused_with_what_is_allowed(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why) as caught:
        moment(text, after=NOON)
    assert "write 2026-01-31T22:00+01:00" in str(caught.value)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        assert moment(text, after=NOON).tzinfo is not None
    except ValueError as error:
        assert "is not a moment" in str(error)


class _Written(BaseModel):
    every: Annotated[timedelta, duration("1s", "1d")]


def test_a_duration_field_reads_what_people_write_within_its_range_and_its_schema_is_text() -> None:
    assert _Written(every="1m 30s").every == timedelta(seconds=90)  # type: ignore[arg-type]
    for wrong, words in ((10, "it has a unit"), ("2d", "too long; allowed: from 1s to 1d"), ("soon", "not a duration")):
        with pytest.raises(ValidationError, match=words):
            _Written(every=wrong)  # type: ignore[arg-type]
    assert _Written.model_json_schema()["properties"]["every"]["type"] == "string"


def test_every_duration_that_people_write_is_such_a_field() -> None:
    for _, name, _ in pkgutil.walk_packages(paramedic.__path__, "paramedic."):
        if name.split(".")[1] in ("catalog", "checks", "oncall", "settings", "kinds", "integrations"):
            importlib.import_module(name)
    fields = {
        f"{model.__name__}.{name}": field
        for model in _models(BaseModel)
        if model.__module__.startswith("paramedic.")
        for name, field in model.model_fields.items()
        if timedelta in (field.annotation, *get_args(field.annotation))
    }
    assert {"Settings.lease", "_Policy.repeat"} <= set(fields)
    others = {name for name, field in fields.items() if not any(_is_duration(mark) for mark in _marks(field))}
    assert others == {"_Rotation.every"}, "which is a day or a week, and no other"


def _models(of: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in of.__subclasses__():
        yield model
        yield from _models(model)


def _marks(field: FieldInfo) -> Iterator[object]:
    yield from field.metadata
    for argument in get_args(field.annotation):
        yield from getattr(argument, "__metadata__", ())


def _is_duration(mark: object) -> bool:
    return isinstance(mark, BeforeValidator) and isinstance(mark.func, Between)
