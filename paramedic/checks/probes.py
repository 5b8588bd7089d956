"""The kinds of probes: what can stand after `check:`, and which metrics can be measured there."""

from collections.abc import Mapping
from typing import cast

from paramedic.kinds import registry
from paramedic.kinds.faces import ProbeKind
from paramedic.kinds.probing import Option
from paramedic.kinds.registry import Room


def usable() -> Mapping[str, ProbeKind]:
    """Every probe that can be used, by its name; the shipped ones first, whose words no other takes over."""
    found = registry.current().usable(Room.PROBES)
    shipped_first = sorted(found, key=lambda name: not found[name].__name__.startswith("paramedic."))
    return {name: cast("ProbeKind", found[name]) for name in shipped_first}


def measuring(check: str) -> tuple[str, ProbeKind]:
    """The probe that an author means by `check:`, and its name. Raises ValueError, saying what is allowed."""
    for name, probe in usable().items():
        if _word(check) in map(_word, probe.CHECK):
            return name, probe
    broken = [f"; {one}" for one in registry.current().broken() if one.room is Room.PROBES]
    raise ValueError(f"{check!r:.80} is nothing to check; write {_allowed()}{''.join(broken)}")


def options(probe: ProbeKind) -> tuple[Option, ...]:
    """The keys of its own that the probe's checks have."""
    return getattr(probe, "OPTIONS", ())


def _word(check: str) -> str:
    scheme, is_address, _ = check.partition("://")
    return scheme + is_address


def _allowed() -> str:
    words = list(dict.fromkeys(one for probe in usable().values() for one in probe.CHECK))
    words.sort(key=lambda one: "://" not in one)
    return f"{', '.join(words[:-1])} or {words[-1]}" if words[1:] else "".join(words)
