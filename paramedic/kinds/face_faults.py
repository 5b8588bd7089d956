"""Whether a plug-in's module has what the interface of its kind asks (`paramedic.kinds.faces`), and what it lacks, in words."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from types import ModuleType

from pydantic import BaseModel, PydanticSchemaGenerationError, PydanticUserError, TypeAdapter

from paramedic.kinds.channel_face import Able
from paramedic.kinds.evidence_scope import Of
from paramedic.kinds.metric import Metric
from paramedic.kinds.probing import Option, check_word
from paramedic.kinds.remedy_names import remedies_fault

#: Keys and labels that have a meaning beside every target: no kind is called so, or names its targets so.
_TAKEN_KEYS = frozenset({"host", "health", "log", "releases", "commands", "also"})

_TAKEN_LABELS = frozenset(
    {"alertname", "check", "host", "instance", "metric", "runbook", "service", "severity", "alertstate"}
)


def _target_fault(module: ModuleType) -> str | None:
    if (name := module.__name__.rpartition(".")[2]) in _TAKEN_KEYS:
        return f"services.yaml has a key {name!r} for every target"
    try:
        TypeAdapter(module.Words)
    except (AttributeError, PydanticSchemaGenerationError, PydanticUserError) as error:
        return f"its 'Words' is not a type that pydantic can read: {error}"
    if module.LABEL in _TAKEN_LABELS:
        return f"its LABEL {module.LABEL!r} has another meaning in every alert"
    evidence = getattr(module, "EVIDENCE", None)
    if not isinstance(evidence, Mapping) or not all(
        isinstance(kind, str) and callable(evidence[kind]) for kind in evidence
    ):
        return "its 'EVIDENCE' is not a mapping of names to functions"
    return remedies_fault(module)


def _source_fault(module: ModuleType) -> str | None:
    if (name := module.__name__.rpartition(".")[2]) in _TAKEN_SOURCES:
        return f"alerts of the source {name!r} are those of Paramedic's own checks"
    return None


#: Sources that speak from within: no sender does under their name.
_TAKEN_SOURCES = frozenset({"check"})


def _keys(probe: ModuleType) -> dict[str, str]:
    """The keys that the probe adds to checks, each with its meaning: a metric, or an option."""
    options = {option.name: _option_words(option) for option in getattr(probe, "OPTIONS", ())}
    return options | {metric.name: "a metric" for metric in probe.METRICS}


def _option_words(option: Option) -> str:
    return (
        f"an option like {option.form}"
        if isinstance(option.form, str)
        else f"the option {option.what} read by {option.form!r}"
    )


def _probe_fault(module: ModuleType) -> str | None:
    names = [offered.name for offered in (*module.METRICS, *getattr(module, "OPTIONS", ()))]
    taken = next((metric.by for metric in module.METRICS if metric.by in _TAKEN_LABELS), None)
    if taken is not None:
        return f"its label {taken!r} has another meaning in every alert"
    twice = next((name for name in names if names.count(name) > 1), None)
    return None if twice is None else f"two of its metrics and options are called {twice}"


def _probe_clash(second: ModuleType, first: ModuleType) -> str | None:
    """The word or key that both probes claim with another meaning; None without one."""
    words = set(map(check_word, first.CHECK))
    for check in second.CHECK:
        if check_word(check) in words:
            return f"`check: {check_word(check)}`"
    known = _keys(first)
    for name, what in _keys(second).items():
        if known.get(name, what) != what:
            return f"the key {name} of checks, {known[name]} there and {what} here,"
    return None


def _channel_fault(module: ModuleType) -> str | None:
    if not isinstance(getattr(module, "ABLE", None), Able):
        return "it has no 'ABLE': an Able of paramedic.kinds.faces"
    settings = getattr(module, "Settings", None)
    if not isinstance(settings, type) or not issubclass(settings, BaseModel):
        return "it has no pydantic model 'Settings'"
    from_settings = getattr(module, "FROM_SETTINGS", ())
    if unknown := sorted(set(from_settings) - set(settings.model_fields)):
        return f"its 'FROM_SETTINGS' names {', '.join(unknown)}, which its 'Settings' lacks"
    return None


_Part = tuple[str, Callable[[object], bool]]


def _tuple_of(kind: type, words: str, *, least: int = 1) -> _Part:
    def fits(found: object) -> bool:
        return isinstance(found, tuple) and len(found) >= least and all(isinstance(item, kind) for item in found)

    return words, fits


_TEXT: _Part = ("text", lambda found: isinstance(found, str))

_WORDS: _Part = (
    "mapping of texts",
    lambda found: (
        isinstance(found, Mapping) and all(isinstance(key, str) and isinstance(found[key], str) for key in found)
    ),
)

_SPAN: _Part = ("timedelta", lambda found: isinstance(found, timedelta))

_CALLABLE: _Part = ("function or class", callable)

#: What each face must have: a name, and what it must be, in words and as a question.
_FACES: Mapping[str, Mapping[str, _Part]] = {
    "sources": {"BODY": _TEXT, "EXAMPLE": _TEXT, "read": _CALLABLE},
    "targets": {
        "LABEL": _TEXT,
        "name_of": _CALLABLE,
        "address_of": _CALLABLE,
        "running": _CALLABLE,
        "restarted": _CALLABLE,
        "Reader": _CALLABLE,
        "Changer": _CALLABLE,
    },
    "probes": {
        "CHECK": _tuple_of(str, "tuple of texts"),
        "ABOUT": _TEXT,
        "METRICS": _tuple_of(Metric, "tuple of Metric"),
        "subject": _CALLABLE,
        "look": _CALLABLE,
    },
    "channels": {"ADDRESS": _TEXT, "address": _CALLABLE, "Teller": _CALLABLE},
    "evidence": {
        "ABOUT": _TEXT,
        "OF": ("Of of paramedic.kinds.evidence", lambda found: isinstance(found, Of)),
        "gather": _CALLABLE,
    },
}

#: What it may have, and what it must be then.
_OPTIONAL: Mapping[str, Mapping[str, _Part]] = {
    "sources": {
        "TEMPLATE": _TEXT,
        "SEVERITIES": _WORDS,
        "authentic": _CALLABLE,
        "confirm": _CALLABLE,
        "CREDENTIALS": _TEXT,
    },
    "targets": {
        "REACHED_BY": _TEXT,
        "Releases": _CALLABLE,
        "needs": _CALLABLE,
        "owner_clock": _CALLABLE,
        "UNDOES": _tuple_of(str, "tuple of texts", least=0),
        "RENEWS": _tuple_of(str, "tuple of texts", least=0),
    },
    "probes": {
        "OPTIONS": _tuple_of(Option, "tuple of Option", least=0),
        "NEEDS": _WORDS,
        "LISTED": _WORDS,
        "WINDOW": _SPAN,
        "misfits": _CALLABLE,
    },
    "channels": {"FROM_SETTINGS": _tuple_of(str, "tuple of texts", least=0)},
    "evidence": {"LISTED": _WORDS},
}

#: What else is wrong with a module whose names are all there, in words.
_FAULTS: Mapping[str, Callable[[ModuleType], str | None]] = {
    "sources": _source_fault,
    "targets": _target_fault,
    "probes": _probe_fault,
    "channels": _channel_fault,
}

#: What the second of two modules of different names takes that the first one has, in words; None where both have room.
_CLASHES: Mapping[str, Callable[[ModuleType, ModuleType], str | None]] = {"probes": _probe_clash}


def face(room: str) -> tuple[str, ...]:
    """The names that a module of the room must have."""
    return tuple(_FACES[room])


def missing(room: str, module: ModuleType) -> str | None:
    """What the module lacks of its room's interface, in words; None where it is complete."""
    optional = {name: part for name, part in _OPTIONAL.get(room, {}).items() if hasattr(module, name)}
    for name, (words, fits) in {**_FACES.get(room, {}), **optional}.items():
        if not fits(getattr(module, name, None)):
            return f"it has no {words} {name!r}"
    fault = _FAULTS.get(room)
    return None if fault is None else fault(module)


def can_clash(room: str) -> bool:
    """Whether two modules of the room, with different names, may offer the same word."""
    return room in _CLASHES


def clash(room: str, second: ModuleType, first: ModuleType) -> str | None:
    """What both modules offer, in words; None where they offer nothing in common."""
    return _CLASHES[room](second, first) if room in _CLASHES else None
