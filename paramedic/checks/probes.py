"""The kinds of probes: what can follow `check:`, and which metrics each measures."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from paramedic.kinds import registry
from paramedic.kinds.probe_face import ProbeKind
from paramedic.kinds.probing import Option, Written, check_word
from paramedic.kinds.registry import Room


def usable() -> Mapping[str, ProbeKind]:
    """Every usable probe, by its name. A word or key that two of them share is the same in both."""
    return cast("Mapping[str, ProbeKind]", registry.current().usable(Room.PROBES))


def measuring(check: str) -> tuple[str, ProbeKind]:
    """The name and module of the probe that `check:` selects. Raises ValueError, saying what is allowed."""
    for name, probe in usable().items():
        if check_word(check) in map(check_word, probe.CHECK):
            return name, probe
    broken = [f"; {problem}" for problem in registry.current().broken(Room.PROBES)]
    raise ValueError(f"{check!r:.80} is nothing to check; write {_allowed()}{''.join(broken)}")


def pattern() -> str:
    """What may follow `check:`, as a pattern of a JSON Schema."""
    words = dict.fromkeys(check_word(word) for probe in usable().values() for word in probe.CHECK)
    return f"^({'|'.join(re.escape(word) + ('.+' if word.endswith('://') else '') for word in words)})$"


def missing(kind: str, target_kind: object) -> Iterator[str]:
    """What the probe of this name looks by and the target's kind does not offer, in words."""
    needs: Mapping[str, str] = getattr(usable()[kind], "NEEDS", {})
    return (word for part, word in needs.items() if not hasattr(target_kind, part))


def looks_by(kind: str, part: str) -> bool:
    """Whether the probe of this name looks by this optional part of a target's kind."""
    return part in getattr(usable()[kind], "NEEDS", {})


def listed(kind: str) -> Mapping[str, str]:
    """The keys of a target in services.yaml that the probe of this name looks by, each with an example."""
    return getattr(usable()[kind], "LISTED", {})


def options(probe: ProbeKind) -> tuple[Option, ...]:
    """The additional keys that the probe's checks have."""
    return getattr(probe, "OPTIONS", ())


def having(option: str) -> Iterator[tuple[ProbeKind, Option]]:
    """Every usable probe that has an option of this name, and that option."""
    for probe in usable().values():
        yield from ((probe, found) for found in options(probe) if found.name == option)


def misfits(probe: ProbeKind, written: Written) -> Iterable[tuple[str, str]]:
    """What is wrong with the probe's own keys together, each key with the words for it."""
    judge = getattr(probe, "misfits", None)
    return () if judge is None else judge(written)


def _allowed() -> str:
    words = list(dict.fromkeys(word for probe in usable().values() for word in probe.CHECK))
    words.sort(key=lambda word: "://" not in word)
    return f"{', '.join(words[:-1])} or {words[-1]}" if words[1:] else "".join(words)
