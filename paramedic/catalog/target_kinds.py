"""What target kinds say of themselves to those who write files: their keys, their evidence, their remedies."""

import functools
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Optional, cast

from pydantic import BaseModel, BeforeValidator, create_model

from paramedic.kinds import registry
from paramedic.kinds.faces import TargetKind
from paramedic.kinds.registry import Registry, Room
from paramedic.remediation.remedy import Remedy, Verb

#: Looked at by Paramedic itself, whatever the kind: the end of the file that services.yaml names as `log`.
LOG_TAIL = "log-tail"


def usable() -> Mapping[str, TargetKind]:
    """Every kind of target, by the key that files call it by."""
    return cast("Mapping[str, TargetKind]", registry.current().usable(Room.TARGETS))


def of(kind: str) -> TargetKind:
    """The kind of this name. Raises PermanentError if there is none, or none that can be used."""
    return cast("TargetKind", registry.current().plugin(Room.TARGETS, kind))


def with_keys(base: type[BaseModel], words: Any = None) -> type[BaseModel]:
    """`base` with a key for each kind: of the type `words`, or of the kind's own."""
    return _with_keys(registry.current(), base, words)


@functools.lru_cache(maxsize=16)
def _with_keys(plugins: Registry, base: type[BaseModel], words: Any) -> type[BaseModel]:
    kinds = cast("Mapping[str, TargetKind]", plugins.usable(Room.TARGETS))
    keys: dict[str, Any] = {name: (Optional[words or kind.Words], None) for name, kind in kinds.items()}  # noqa: UP045
    broken = [one for one in plugins.broken() if one.room is Room.TARGETS and one.name not in keys]
    keys |= {one.name: (Annotated[Any, BeforeValidator(partial(_refused, str(one)))], None) for one in broken}
    return create_model(base.__name__, __base__=base, __module__=base.__module__, **keys)


def _refused(why: str, _words: object) -> object:
    raise ValueError(why)


def named(model: BaseModel) -> tuple[str, Any]:
    """Which kind a model that `with_keys` made names, and the words of its key. Raises ValueError unless it is exactly one."""
    found = [(name, words) for name in usable() if (words := getattr(model, name, None)) is not None]
    if len(found) != 1:
        raise ValueError(f"name exactly one of {', '.join(f'`{name}: …`' for name in usable())}")
    return found[0]


def evidence(kind: str | None = None) -> tuple[str, ...]:
    """What a runbook may ask to see of targets of the kind; None: of any."""
    kinds = usable().values() if kind is None else [of(kind)]
    return tuple(dict.fromkeys([*(name for one in kinds for name in one.EVIDENCE), LOG_TAIL]))


def refused(kind: str, remedies: Sequence[Remedy]) -> Iterator[tuple[int, str, str]]:
    """The remedies that targets of the kind do not offer: the place in the list, what is wrong, what is offered."""
    can = of(kind).REMEDIES
    if "restart" in can:
        return
    for place, remedy in enumerate(remedies):
        if remedy.verb is not Verb.RUN:  # a roll-back restarts the target into its release
            what = f"targets of the kind {kind} cannot be restarted"
            yield place, f"{what}, which {remedy.name} needs", "they offer: `run: NAME` of a command in services.yaml"
