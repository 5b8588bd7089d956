"""What target kinds offer in authors' files: their keys, evidence and remedies."""

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Optional, cast

from pydantic import BaseModel, BeforeValidator, Field, create_model

from paramedic.errors import PermanentError
from paramedic.kinds import registry
from paramedic.kinds.evidence import LOG_TAIL, EvidenceKind, Of, name_of, word
from paramedic.kinds.faces import TargetKind
from paramedic.kinds.registry import Registry, Room
from paramedic.remediation.remedy import Remedy, Verb
from paramedic.remediation.target import Target
from paramedic.text.model_words import built


def usable() -> Mapping[str, TargetKind]:
    """Every usable kind of target, by its key in files."""
    return cast("Mapping[str, TargetKind]", registry.current().usable(Room.TARGETS))


def of(kind: str) -> TargetKind:
    """The kind of this name. Raises PermanentError if there is none, or it cannot be used."""
    return cast("TargetKind", registry.current().plugin(Room.TARGETS, kind))


def with_keys(base: type[BaseModel], words: Any = None) -> type[BaseModel]:
    """`base` with a key for each kind: of the type `words`, or of the kind's own."""
    plugins = registry.current()
    return _with_keys(plugins, base, words, plugins.names(Room.TARGETS))


def with_keys_of(written: object, base: type[BaseModel], words: Any = None) -> type[BaseModel]:
    """As `with_keys`, to read this value: where it names one kind, and no key that `base` lacks, that kind alone is loaded."""
    plugins = registry.current()
    there = set(written) if isinstance(written, dict) else set()
    named = there.intersection(plugins.names(Room.TARGETS))
    is_sound = len(named) == 1 and there <= named | base.model_fields.keys()
    return _with_keys(plugins, base, words, tuple(named)) if is_sound else with_keys(base, words)


@functools.lru_cache(maxsize=64)
def _with_keys(plugins: Registry, base: type[BaseModel], words: Any, names: tuple[str, ...]) -> type[BaseModel]:
    """The model with one key for each of these kinds of target."""
    keys: dict[str, Any] = {name: _key(plugins, name, words) for name in names}
    return built(create_model(base.__name__, __base__=base, __module__=base.__module__, **keys))


def _key(plugins: Registry, name: str, words: Any) -> tuple[Any, Any]:
    """The type of a kind's key, and its field. The key of a kind that cannot be used is refused with its fault."""
    try:
        kind = cast("TargetKind", plugins.plugin(Room.TARGETS, name))
    except PermanentError as error:
        return Annotated[Any, BeforeValidator(partial(_refused, str(error)))], None
    return Optional[words or kind.Words], Field(default=None, description=f"the {name} {kind.LABEL} that it is")  # noqa: UP045


def _refused(why: str, _words: object) -> object:
    raise ValueError(why)


def named(model: BaseModel) -> tuple[str, Any]:
    """The kind that a model from `with_keys` names, and the value of its key. Raises ValueError unless it is exactly one."""
    kinds = registry.current().names(Room.TARGETS)
    found = [(name, words) for name in kinds if (words := getattr(model, name, None)) is not None]
    if len(found) != 1:
        raise ValueError(f"name exactly one of {', '.join(f'`{name}: …`' for name in usable())}")
    return found[0]


def evidence(kind: str | None = None) -> tuple[str, ...]:
    """The words of the evidence that a runbook may ask of targets of the kind; None: of any kind."""
    kinds = usable() if kind is None else {kind: of(kind)}
    own = [name for kind_module in kinds.values() for name in kind_module.EVIDENCE]
    can_be_of = _can_be_of(kinds)
    found = cast("Mapping[str, EvidenceKind]", registry.current().usable(Room.EVIDENCE))
    plugins = [word(name) for name, module in found.items() if module.OF in can_be_of]
    return tuple(dict.fromkeys([*own, LOG_TAIL, *plugins]))


def offers_evidence(kind: str, asked: str) -> bool:
    """Whether a runbook may ask evidence of this word of targets of the kind; of other evidence nothing is loaded."""
    module = of(kind)
    if asked in module.EVIDENCE or asked == LOG_TAIL:
        return True
    found = _evidence_kind(asked)
    return found is not None and found.OF in _can_be_of({kind: module})


def _can_be_of(kinds: Mapping[str, TargetKind]) -> set[Of]:
    """What evidence can be of, where targets are of these kinds."""
    found = {Of.TARGET, Of.PLACE}
    found |= {Of.PROCESS} if any(hasattr(kind_module, "process_id") for kind_module in kinds.values()) else set()
    return found | ({Of.HOST} if any(reached_by(name) == "machine" for name in kinds) else set())


def listed_for_evidence(asked: str) -> Mapping[str, str]:
    """The keys of a target in services.yaml that evidence of this word looks by, each with an example."""
    if asked == LOG_TAIL:
        return {"log": "/file"}
    return getattr(_evidence_kind(asked), "LISTED", {})


def _evidence_kind(asked: str) -> EvidenceKind | None:
    """The kind of evidence with this word; None where there is none that can be used."""
    plugins, name = registry.current(), name_of(asked)
    if word(name) != asked or name not in plugins.names(Room.EVIDENCE):
        return None
    try:
        return cast("EvidenceKind", plugins.plugin(Room.EVIDENCE, name))
    except PermanentError:
        return None


def target_id(kind: str, name: str, host: str) -> str:
    """The canonical id of the target that its kind calls `name` there.

    It carries the kind, as two kinds may have one name on one host. The kinds that came first do not: a unit's name ends in
    `.service`, and their ids are on trails. Raises PermanentError if there is no such kind.
    """
    bare = getattr(of(kind), "ID_WITHOUT_KIND", False) is True
    return f"{host}/{name}" if bare else f"{host}/{kind}:{name}"


def reached_by(kind: str) -> str:
    """What leads to targets of the kind: `machine`, or what its REACHED_BY says."""
    return str(getattr(of(kind), "REACHED_BY", "machine"))


def keeps_releases(kind: str) -> bool:
    """Whether the owner of such a target keeps its releases itself, and no folder of services.yaml does."""
    return hasattr(of(kind), "Releases")


def parts(whole: Target, targets: Iterable[Target]) -> list[Target]:
    """Those of the targets that are parts of this one, by its kind's `covers`: a host's units, a workload's pods."""
    covers = getattr(of(whole.kind), "covers", None)
    return [] if covers is None else [part for part in targets if part.id != whole.id and covers(whole, part)]


def remedies() -> tuple[str, ...]:
    """The names of the remedies that kinds offer, as a runbook may write them."""
    return tuple(sorted({name for kind in usable().values() for name in kind.REMEDIES}))


def asked_of(remedy: str) -> type[BaseModel] | None:
    """The model of what a runbook writes after the remedy's name; None where it writes nothing."""
    models = (getattr(kind, "ASKED", {}).get(remedy) for kind in usable().values())
    return next((model for model in models if model is not None), None)


def needs(target: Target, remedy: Remedy) -> str | None:
    """The key in services.yaml that a remedy of its kind's own needs and the target lacks, with an example."""
    asks = getattr(of(target.kind), "needs", None)
    return None if asks is None or remedy.offered is None else asks(target.words, remedy.offered)


def refused(kind: str, remedies: Sequence[Remedy]) -> Iterator[tuple[int, str, str]]:
    """The remedies that targets of the kind do not offer: place in the list, what is wrong, what is offered."""
    can = of(kind).REMEDIES
    offered = f"they offer: {', '.join([*can, '`run: NAME` of a command in services.yaml'])}"
    for place, remedy in enumerate(remedies):
        if remedy.offered is not None:
            if remedy.offered not in can:
                yield place, f"targets of the kind {kind} offer no {remedy.offered}", offered
            elif (remedy.offered in getattr(of(kind), "ASKED", {})) is not (remedy.asked is not None):
                yield place, f"{remedy.offered} of a {kind} target is written {{{remedy.offered}: {{…}}}}", ""
        elif remedy.verb is not Verb.RUN and "restart" not in can:  # a roll-back restarts the target into its release
            yield place, f"targets of the kind {kind} cannot be restarted, which {remedy.name} needs", offered
