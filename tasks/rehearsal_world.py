"""A fake world for a playbook: it gives the verbs their answers, shows every change and makes none."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import Any, TypeVar

from prefect.tasks import Task

from paramedic.catalog.rehearsal_world import ChangeResult, PersonsAnswer, World
from paramedic.change import cause, exclusive, guarded, members
from paramedic.change.approval_question import open_question
from paramedic.change.limits import pinned_and_current
from paramedic.change.run import PlaybookRun
from paramedic.doors import reading
from paramedic.errors import CannotSee, OutcomeUnknown, PermanentError, TemporaryError
from paramedic.kinds.evidence import Gathered
from paramedic.kinds.process_target import process_identity
from paramedic.machine.clock import utc_now
from paramedic.remediation.guardrail_rules import Guardrails
from paramedic.remediation.health import Health, Sight
from paramedic.remediation.kill_switch import TAG
from paramedic.remediation.release import Release
from paramedic.remediation.remedy import RESTART, Remedy
from paramedic.remediation.target import Identity, Target
from paramedic.settings import Settings
from paramedic.store import approvals
from paramedic.store.claims import Claim
from paramedic.text.sanitize import one_line
from tasks import act, diagnose, kinds
from tasks.answers import unwrapped
from tasks.current_run import current_run

Answer = TypeVar("Answer")

#: The longest answer that is shown.
_SHOWN = 200


class FakeWorld:
    """Answers the verbs by a `World`. `steps` are the verbs with their answers, `changes` what would have been sent."""

    output = ""  # of a declared command

    def __init__(self, world: World) -> None:
        self._world = world
        self._taken: dict[str, int] = {}
        self._instances = 1
        self._result = ChangeResult.DONE
        self._remedy = ""
        self.steps: list[tuple[str, str]] = []
        self.changes: list[str] = []

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Put it in the place of Prefect's tasks, of the doors, and of whoever is asked, until the block ends."""
        fakes: Sequence[tuple[Any, dict[str, Any]]] = (
            (Task, {"__call__": self._called()}),
            (reading, {"identity": self._identity, "restarted": _restarted, "releases": lambda _: self}),
            (reading, {"foreseen": lambda *_: ""}),
            (reading, {"gathered": lambda target, kind, *_: Gathered(self._evidence(target, kind))}),
            (
                act,
                {
                    "changer": lambda *_, **__: _Changer(self),
                    "command": lambda *_, **__: self,
                    "releases": lambda *_, **__: self,
                },
            ),
            (diagnose, {"show": lambda *_, **__: None}),
            (exclusive, {"exclusive": self._exclusive(exclusive.exclusive)}),
            (kinds, {"ask_if_needed": self._asked, "pinned_and_current": _acting_limits}),
            (guarded, {"pinned_and_current": _acting_limits}),
            (members, {"looked_at": _all_well}),
            (cause, {"clock_distance": lambda *_: None}),
        )
        with ExitStack() as placed:
            for where, names in fakes:
                placed.enter_context(_replaced(where, names))
            yield

    def note(self, verb: str, answer: object) -> None:
        """One more line of the story."""
        self.steps.append((verb, one_line(str(answer))[:_SHOWN]))

    def _called(self) -> Callable[..., Any]:
        def call(task: Task[..., Any], *args: Any, **kwargs: Any) -> Any:
            try:
                answer = unwrapped(self._answered(task, *args, **kwargs))
            except Exception as error:
                self.note(task.name, f"raises {type(error).__name__}: {error}")
                raise
            if not _is_change(task):
                self.note(task.name, _spoken(answer))
            return answer

        return call

    def _answered(self, task: Task[..., Any], *args: Any, **kwargs: Any) -> Any:
        if task.name in self._world.answers:
            return self._next(task.name, self._world.answers[task.name])
        if task.name in ("still_failing", "stays_healthy"):
            return self._looked(task.name)
        if not _is_change(task):
            return task.fn(*args, **kwargs)
        remedy: Remedy = args[1]
        self._remedy = task.name if remedy == RESTART else remedy.name
        self._result = self._next("changes", self._world.changes)
        unwrapped(task.fn(*args, **kwargs))
        self.note(task.name, f"not made: it would be sent here, and is {self._result}")
        return None

    def _looked(self, verb: str) -> bool:
        run = current_run()
        sight = self._next("seen", self._world.seen)
        run.waited = False
        if sight is Sight.UNKNOWN:
            raise CannotSee(f"we could not see whether {run.target.id} is well, as the world says")
        return (sight is Sight.FAILING) is (verb == "still_failing")

    def _next(self, what: str, answers: Sequence[Answer]) -> Answer:
        at = self._taken.get(what, 0)
        self._taken[what] = at + 1
        return answers[min(at, len(answers) - 1)]

    def _exclusive(self, real: Callable[..., Any]) -> Callable[..., Any]:
        @contextmanager
        def claimed(run: PlaybookRun, target: str) -> Iterator[None]:
            with real(run, target):
                self.note("exclusive", f"{target} is claimed")
                yield
            self.note("exclusive", f"{target} is released")

        return claimed

    def _asked(self, run: PlaybookRun, claim: Claim, remedy: Remedy, pinned: Guardrails, current: Guardrails) -> None:
        asked = open_question(run, claim, remedy, pinned, current)
        if asked is None:
            return
        is_granted = self._world.approval is PersonsAnswer.GRANTED
        self.note("approval", f"a person is asked about {remedy.name}, and it is {self._world.approval}")
        with run.store.record() as tx:
            approvals.decide(tx, asked.id, granted=is_granted, by="rehearsal", how="command line")

    def _identity(self, _target: Target) -> Identity:
        return process_identity(1000 + self._instances, float(self._instances), "RUNNING")

    def _evidence(self, target: Target, kind: str) -> str:
        return self._world.evidence.get(kind, f"{kind} of {target.id}, as a rehearsal has none")

    def sent(self, last_look: Callable[[], None]) -> None:
        """A change by the current answer, up to its last look. Raises as `TargetChanger.restart` does."""
        if self._result is ChangeResult.NOT_SENT:
            raise TemporaryError("the target's supervisor does not answer, as the world says")
        last_look()
        if self._remedy:
            self.changes.append(self._remedy)
            self._remedy = ""
        if self._result is ChangeResult.FAILED:
            raise PermanentError("it failed, as the world says")
        self._instances += 1
        if self._result is ChangeResult.UNKNOWN:
            raise OutcomeUnknown("nobody knows what became of it, as the world says")

    def current(self) -> Release:
        """The release that runs."""
        ago = self._world.deployed
        return Release("r2", None if ago is None else utc_now() - ago, reversible=True, healthy=None)

    def before(self) -> Release:
        """The release that it can go back to."""
        return Release("r1", None, reversible=True, healthy=True)

    def roll_back(self, _expected: str, last_look: Callable[[], None], *, approved: bool) -> str:  # noqa: ARG002 - the face's
        """As a release folder would, to r1."""
        self.sent(last_look)
        return "r1"

    def undo(self, _expected: str, last_look: Callable[[], None]) -> str:
        """As a release folder would, to r2 again."""
        self.sent(last_look)
        return "r2"

    def run(self, last_look: Callable[[], None]) -> None:
        """As a declared command would."""
        self.sent(last_look)


class _Changer:
    """Whatever the target's kind offers."""

    did = ""

    def __init__(self, world: FakeWorld) -> None:
        self._world = world

    def __getattr__(self, name: str) -> Callable[..., Identity]:
        def change(identity: Identity, last_look: Callable[[], None]) -> Identity:
            self._world.sent(last_look)
            return reading.identity(current_run().target) or identity

        return change


def _is_change(task: Task[..., Any]) -> bool:
    return TAG in task.tags


def _restarted(_target: Target, before: Identity, now: Identity) -> bool:
    return before.instance != now.instance


def _all_well(targets: Sequence[Target], _settings: Settings) -> dict[str, Health]:
    """The service's other targets, which a rehearsal does not ask."""
    return {target.id: Health(Sight.WELL, "as a rehearsal has it") for target in targets}


def _acting_limits(run: PlaybookRun, remedy: Remedy) -> tuple[Guardrails, Guardrails]:
    """A runbook that observes is rehearsed as one that acts: it is the playbook that is tried."""
    pinned, current = pinned_and_current(run, remedy)
    return _raised(pinned), _raised(current)


def _raised(guardrails: Guardrails) -> Guardrails:
    if guardrails.mode != "observe" or guardrails.withdrawn is not None:
        return guardrails
    return Guardrails("act", guardrails.asked)


def _spoken(answer: object) -> str:
    if isinstance(answer, list):
        return f"{len(answer)} pieces: {', '.join(str(getattr(piece, 'kind', piece)) for piece in answer)}"
    ending = getattr(answer, "ending", None)
    return f"{answer!r}" if ending is None else f"{ending}: {getattr(answer, 'because', '')}"


@contextmanager
def _replaced(where: ModuleType | type, names: dict[str, Any]) -> Iterator[None]:
    before = {name: getattr(where, name) for name in names}
    for name, value in names.items():
        setattr(where, name, value)
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(where, name, value)
