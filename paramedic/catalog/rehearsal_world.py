"""The fake world of a rehearsal: what its target shows and what its changes come to, as an author writes it."""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_serializer

from paramedic.remediation.health import Sight
from paramedic.text.last_usable import text_of
from paramedic.text.units import duration
from paramedic.text.yaml_document import BadDocument, Problem, read


class ChangeResult(StrEnum):
    """What a change of the fake world comes to."""

    DONE = "done"
    FAILED = "failed"  # it was sent, and failed
    NOT_SENT = "not-sent"  # the target's supervisor did not answer
    UNKNOWN = "unknown"  # it was sent, and nobody knows what became of it


class PersonsAnswer(StrEnum):
    """What a person answers who is asked for an approval."""

    GRANTED = "granted"
    DENIED = "denied"


class World(BaseModel):
    """One fake world. Answers are given in their order; the last of them stays true."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    seen: tuple[Sight, ...] = Field(default=(Sight.FAILING, Sight.WELL), min_length=1)
    changes: tuple[ChangeResult, ...] = Field(default=(ChangeResult.DONE,), min_length=1)
    approval: PersonsAnswer = PersonsAnswer.GRANTED
    deployed: Annotated[timedelta, duration("1s", "3650d")] | None = None  # ago; without it, of unknown age
    evidence: dict[str, str] = Field(default_factory=dict)  # by its kind
    answers: dict[str, Annotated[tuple[Any, ...], Field(min_length=1)]] = Field(default_factory=dict)  # of any verb

    @field_serializer("deployed")
    def _as_written(self, deployed: timedelta | None) -> str | None:
        return None if deployed is None else f"{deployed.total_seconds():.0f}s"

    def __str__(self) -> str:
        """The world in one line."""
        words = [f"seen {', then '.join(self.seen)}"]
        if self.changes != (ChangeResult.DONE,):
            words.append(f"changes {', then '.join(self.changes)}")
        if self.approval is PersonsAnswer.DENIED:
            words.append("an approval is denied")
        if self.answers:
            words.append(f"recorded answers of {', '.join(self.answers)}")
        return "; ".join(words)


#: The worlds that every playbook should have an answer to.
COMMON = (
    World(seen=(Sight.WELL,)),
    World(seen=(Sight.FAILING, Sight.WELL)),
    World(seen=(Sight.FAILING,)),
    World(seen=(Sight.UNKNOWN,)),
    World(seen=(Sight.FAILING, Sight.UNKNOWN)),
    World(seen=(Sight.FAILING,), changes=(ChangeResult.FAILED,)),
    World(seen=(Sight.FAILING, Sight.WELL), changes=(ChangeResult.UNKNOWN,)),
    World(seen=(Sight.FAILING,), changes=(ChangeResult.NOT_SENT,)),
)


def world_of(file: Path) -> World:
    """The world that the YAML file describes. Raises BadDocument."""
    return read(text_of(file), str(file), World)


def world_with(world: World, **words: Any) -> World:
    """The world with these of its keys as the command line says them. Raises BadDocument, naming the option."""
    try:
        return World.model_validate(world.model_dump(exclude_unset=True) | words)
    except ValidationError as error:
        found = [(str(fault["loc"][0]), fault["msg"]) for fault in error.errors()]
        raise BadDocument([Problem(f"--{name}", 1, 1, what) for name, what in found]) from error
