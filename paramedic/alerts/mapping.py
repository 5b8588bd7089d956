"""A sender whose JSON is mapped by a few lines of YAML: a JSONPath (RFC 9535) for each field, and words for what fires."""

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Any

import jsonpath
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from paramedic.alerts.alert import Alert, Status
from paramedic.alerts.draft import Draft, label_name
from paramedic.alerts.payload import Fields, each, parsed
from paramedic.alerts.reading import Aside, BadPayload, Reading
from paramedic.alerts.severity_words import Meaning
from paramedic.text import yaml_document

#: So many entries of one body are read; a path that finds more is not the one that was meant.
_ENTRIES = 10_000


def _path(text: str) -> str:
    try:
        jsonpath.compile(text)
    except jsonpath.JSONPathError as error:
        raise ValueError(f"is no JSONPath: {str(error).splitlines()[0]:.200}") from error
    if not text.startswith("$"):
        raise ValueError("is no JSONPath: one begins with $, as $.alert.name")
    return text


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _name(text: str) -> str:
    if label_name(text) != text:
        raise ValueError("is no label's name: letters, digits and _, no digit first")
    return text


_Path = Annotated[str, AfterValidator(_path)]

#: One path, or several, of which the first that finds something counts.
_Paths = Annotated[list[_Path], BeforeValidator(_several), Field(min_length=1)]

_Words = Annotated[list[str], BeforeValidator(_several)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StatusWords(_Part):
    """Where the sender says whether an alert fires, and by which words; case does not count."""

    path: _Paths
    firing: _Words = Field(default_factory=list)
    resolved: _Words = Field(default_factory=list)
    acknowledged: _Words = Field(default_factory=list)
    ignored: _Words = Field(default_factory=list)


class SeverityWords(_Part):
    """Where the sender says how bad it is, and what its words mean. The table of severities has the others."""

    path: _Paths
    words: dict[str, Meaning] = Field(default_factory=dict)


class Mapped(_Part):
    """One sender's mapping: `sources/NAME.yaml` in a team's own folder, for POST /alerts/NAME."""

    about: str = "A body that a mapping of your own reads."
    each: _Path | None = None
    name: _Paths
    status: StatusWords | None = None
    severity: SeverityWords | None = None
    identity: _Paths | None = None
    starts_at: _Paths | None = None
    ends_at: _Paths | None = None
    by: _Paths | None = None
    link: _Paths | None = None
    labels: dict[Annotated[str, AfterValidator(_name)], _Paths] = Field(default_factory=dict)
    annotations: dict[Annotated[str, AfterValidator(_name)], _Paths] = Field(default_factory=dict)
    example: str = "{}"


class MappedSource:
    """A kind of sender by its mapping."""

    def __init__(self, name: str, text: str, file: str) -> None:
        """`text`: the YAML of `file`. Raises yaml_document.BadDocument, with each problem and its place."""
        self.NAME = name
        self._words = yaml_document.read(text, file, Mapped)
        self.BODY = self._words.about
        self.EXAMPLE = self._words.example
        severity = self._words.severity
        meanings = {} if severity is None else severity.words
        self.SEVERITIES: Mapping[str, str] = {word: meaning.value for word, meaning in meanings.items()}
        self._meanings = {word.casefold(): meaning for word, meaning in self.SEVERITIES.items()}

    @cached_property
    def _by_word(self) -> Mapping[str, Status | None]:
        status = self._words.status
        if status is None:
            return {}
        ways: Sequence[tuple[list[str], Status | None]] = (
            (status.ignored, None),
            (status.acknowledged, Status.ACKNOWLEDGED),
            (status.resolved, Status.RESOLVED),
            (status.firing, Status.FIRING),
        )
        return {word.casefold(): meaning for words, meaning in ways for word in words}

    def read(self, _headers: Mapping[str, str], body: bytes) -> Reading:
        """The alerts of the body. Raises BadPayload for what is no JSON, or has none of the entries that `each` means."""
        payload = parsed(body, self.NAME)
        entries = [payload] if self._words.each is None else self._entries(self._words.each, payload)
        if len(entries) > _ENTRIES:
            raise BadPayload("body", "has too many entries", f"{_ENTRIES} of them", readable=True)
        if not entries:
            return Reading(asides=(_aside(payload, f"has nothing at {self._words.each}"),))
        ignored = [entry for entry in entries if self._status(entry)[0] is None]
        known = [entry for entry in entries if self._status(entry)[0] is not None]
        alerts, bad = each(known, self._words.each or "$", self._alert)
        asides = tuple(_aside(entry, "has a status that its mapping ignores") for entry in ignored[:20])
        return Reading(alerts, bad, asides=asides)

    @staticmethod
    def _entries(path: str, payload: Any) -> list[Any]:
        """The entries, each with the whole body beside its own fields, as `$.body`, unless it has a field of that name."""
        found = _found(path, payload, most=_ENTRIES + 1)
        return [{"body": payload, **entry} if isinstance(entry, dict) else entry for entry in found]

    def _status(self, entry: Any) -> tuple[Status | None, str]:
        """How the entry stands (None: it is ignored), and a note on a word that the mapping does not know."""
        if self._words.status is None:
            return Status.FIRING, ""
        word = _text(self._words.status.path, entry)
        if word.casefold() in self._by_word:
            return self._by_word[word.casefold()], ""
        if not self._words.status.firing:
            return Status.FIRING, ""
        return Status.FIRING, "status: none of the mapping's words, taken as firing"

    def _alert(self, entry: Any, at: str) -> Alert:
        words = self._words
        notes: list[str] = []
        status, note = self._status(entry)
        fields = Fields({}, at, notes)
        name = _text(words.name, entry, fields)
        if not name:
            raise ValueError(f"{at}: there is no name at {' or '.join(words.name)}")
        severity = _text(words.severity.path, entry, fields) if words.severity else ""
        if note:
            notes.append(note)
        return Draft(
            source=self.NAME,
            name=name,
            status=status or Status.FIRING,
            identity=[_text([path], entry) for path in words.identity or ()],
            severity=self._meanings.get(severity.casefold(), severity),
            starts_at=_moment("starts_at", words.starts_at, entry, fields),
            ends_at=_moment("ends_at", words.ends_at, entry, fields) if status is Status.RESOLVED else None,
            labels={label: _text(paths, entry, fields) for label, paths in words.labels.items()},
            annotations={label: _text(paths, entry, fields) for label, paths in words.annotations.items()},
            link=_text(words.link, entry) if words.link else "",
            by=(_text(words.by, entry) if words.by else "") or None,
            notes=notes,
        ).alert()


def _found(path: str, value: Any, *, most: int = 1) -> list[Any]:
    """The first values that the path finds; none where the value is not one that a path leads into."""
    if not isinstance(value, (dict, list)):
        return []
    found = []
    for match in jsonpath.finditer(path, value):
        found.append(match.obj)
        if len(found) == most:
            break
    return found


def _text(paths: Sequence[str], value: Any, fields: Fields | None = None) -> str:
    """What the first of these paths finds that is not empty, as text."""
    for path in paths:
        for found in _found(path, value):
            if isinstance(found, (dict, list)):
                return json.dumps(found, ensure_ascii=False, separators=(",", ":"))
            holder = Fields({path: found}, notes=fields.notes if fields else None)
            if text := holder.text(path):
                return text
    return ""


def _moment(name: str, paths: Sequence[str] | None, value: Any, fields: Fields) -> Any:
    for path in paths or ():
        for found in _found(path, value):
            return Fields({name: found}, notes=fields.notes).moment(name)
    return None


def _aside(value: Any, what: str) -> Aside:
    try:
        own = {key: part for key, part in value.items() if key != "body"} if isinstance(value, dict) else value
        return Aside(json.dumps(own), what)
    except RecursionError:
        return Aside("[nested too deep to be kept]", what)
