"""What a runbook asks of a remedy beside its name, filled in from the alerts of the incident."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from paramedic.machine.clock import spoken
from paramedic.text import template
from paramedic.text.sanitize import one_line

#: So many characters of a text from an alert are shown.
_SHOWN = 200

#: What an alert's text may be made of to stand beside our own words as it is; any other is shown in quotes.
_PLAIN = re.compile(r"[A-Za-z0-9_.:/@%+-]+")


@dataclass(frozen=True, slots=True)
class Asked:
    """What one change is about."""

    words: Any  # what the runbook writes, as the kind's model has it: nothing is filled in
    about: tuple[
        Mapping[str, str], ...
    ]  # its texts with `{label}`, filled in: once for each alert that says something else
    ours: frozenset[str]  # the addresses of Paramedic and of what it needs: Prefect, its database


def filled(words: BaseModel, alerts: Sequence[Mapping[str, str]]) -> tuple[Mapping[str, str], ...]:
    """The texts of the words that name labels, filled in from each alert's labels that has them all; none twice."""
    texts = {name: text for name, text in words if isinstance(text, str) and template.fields(text)}
    found: list[Mapping[str, str]] = []
    for labels in alerts:
        try:
            one = {name: template.filled(text, labels) for name, text in texts.items()}
        except LookupError:
            continue
        found += [] if one in found else [one]
    return tuple(found)


def in_words(words: BaseModel, about: Sequence[Mapping[str, str]]) -> str:
    """What a change is about, for a person, on one line: `address 203.0.113.7, 203.0.113.9; for 1h`.

    Only what the runbook writes is in it, not what a kind takes where nothing is written. Text from alerts is data: on one
    line, bounded, and in quotes where it could be read as more than one word.
    """
    return "; ".join(_each(words, about))


def _each(words: BaseModel, about: Sequence[Mapping[str, str]]) -> Iterator[str]:
    for name, field in type(words).model_fields.items():
        called = field.alias or name
        if texts := [_shown(one[name]) for one in about if name in one]:
            yield f"{called} {', '.join(dict.fromkeys(texts))}"
        elif name in words.model_fields_set:
            value = getattr(words, name)
            yield f"{called} {spoken(value) if isinstance(value, timedelta) else one_line(str(value))}"


def _shown(text: str) -> str:
    words = one_line(text[: 4 * _SHOWN])
    cut = words if len(words) <= _SHOWN else f"{words[:_SHOWN]} …"
    return cut if _PLAIN.fullmatch(cut) else json.dumps(cut, ensure_ascii=False)


def labels_of(words: BaseModel) -> tuple[str, ...]:
    """The labels that its texts need."""
    return tuple(label for _, text in words if isinstance(text, str) for label in template.fields(text))
