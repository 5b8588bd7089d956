"""The kinds of probes: what can stand after `check:`, and which metrics can be measured there."""

from collections.abc import Mapping
from typing import cast

from paramedic.kinds import registry
from paramedic.kinds.faces import ProbeKind, check_word
from paramedic.kinds.probing import Option
from paramedic.kinds.registry import Room


def usable() -> Mapping[str, ProbeKind]:
    """Every probe that can be used, by its name. No two have a word or a key in common that is not the same in both."""
    return cast("Mapping[str, ProbeKind]", registry.current().usable(Room.PROBES))


def measuring(check: str) -> tuple[str, ProbeKind]:
    """The probe that an author means by `check:`, and its name. Raises ValueError, saying what is allowed."""
    for name, probe in usable().items():
        if check_word(check) in map(check_word, probe.CHECK):
            return name, probe
    broken = [f"; {one}" for one in registry.current().broken() if one.room is Room.PROBES]
    raise ValueError(f"{check!r:.80} is nothing to check; write {_allowed()}{''.join(broken)}")


def options(probe: ProbeKind) -> tuple[Option, ...]:
    """The keys of its own that the probe's checks have."""
    return getattr(probe, "OPTIONS", ())


def _allowed() -> str:
    words = list(dict.fromkeys(one for probe in usable().values() for one in probe.CHECK))
    words.sort(key=lambda one: "://" not in one)
    return f"{', '.join(words[:-1])} or {words[-1]}" if words[1:] else "".join(words)
