"""What a runbook asks of a remedy beside its name, filled in from the alerts of the incident."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from paramedic.text import template


@dataclass(frozen=True, slots=True)
class Asked:
    """What one change is about."""

    words: Any  # what the runbook writes, as the kind's model has it: nothing is filled in
    about: tuple[
        Mapping[str, str], ...
    ]  # its texts with `{label}`, filled in: once for each alert that says something else
    ours: frozenset[str]  # the addresses of Paramedic and of what it needs: Prefect, its database

    @property
    def content(self) -> Mapping[str, Any]:
        """What stands on the trail, where it can be erased: text from alerts."""
        return {"about": [dict(one) for one in self.about]}


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


def labels_of(words: BaseModel) -> tuple[str, ...]:
    """The labels that its texts need."""
    return tuple(label for _, text in words if isinstance(text, str) for label in template.fields(text))
