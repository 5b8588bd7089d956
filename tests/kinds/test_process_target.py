"""Which process is the target's: by its start, and after the clock was set by what its owner says."""

from collections.abc import Callable
from typing import Any

import pytest

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds import process_target
from paramedic.kinds.process_target import process_identity
from paramedic.kinds.transport import ProcessRow
from paramedic.remediation.target import Target

TARGET = Target("web-1/shop", "shop", "web-1", "own", "shop", "")
IDENTITY = process_identity(42, 1_700_000_000.0, "RUNNING")


class Machine:
    """A machine on which process 42 runs; its clock was set since, or it is another process."""

    def __init__(self, *, same_start: bool) -> None:
        self._same_start = same_start
        self.processes = self

    def alive(self, _pid: int, _started_at: float) -> bool:
        return self._same_start

    def memory(self, pid: int) -> int:
        return pid * 1000

    def use(self, pid: int) -> int:
        return pid

    def tree(self, pid: int) -> list[ProcessRow]:
        return [ProcessRow(pid, 1, "shop", "shop --serve", 4096, 0.0, 0.0, "running")]


def gathered(kind: str) -> Callable[..., object]:
    return lambda target, identity, machine, owned: process_target.evidence(lambda *_: identity, owned)[kind](
        target, machine
    )


LOOKS: dict[str, Callable[..., object]] = {
    "memory_of": process_target.memory_of,
    "use_of": process_target.use_of,
    "memory": gathered("memory"),
    "process-tree": gathered("process-tree"),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_process_of_another_start_is_looked_at_if_its_owner_owns_it(look: Callable[..., object]) -> None:
    expected = look(TARGET, IDENTITY, Machine(same_start=True), None)
    asked: list[int] = []

    def owned(_target: Target, pid: int, _machine: Any) -> bool:
        asked.append(pid)
        return True

    assert look(TARGET, IDENTITY, Machine(same_start=False), owned) == expected
    assert asked == [42]
    assert look(TARGET, IDENTITY, Machine(same_start=True), owned) == expected
    assert asked == [42], "where the starts agree nobody is asked"


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_one_that_its_owner_does_not_own_is_none_of_this_machine(look: Callable[..., object]) -> None:
    def silent(*_: object) -> bool:
        raise TemporaryError("it does not answer")

    for owned, why in ((None, ""), (lambda *_: False, ""), (silent, ": it does not answer")):
        with pytest.raises(PermanentError, match=f"process 42 of web-1/shop is none of this machine{why}$"):
            look(TARGET, IDENTITY, Machine(same_start=False), owned)


def test_identities_that_were_stored_before_are_read_and_compared() -> None:
    old = IDENTITY.from_json({"pid": 42, "started_at": 1_700_000_000.0, "state": "RUNNING"})
    assert old.means(IDENTITY)
    assert not process_target.restarted(old, IDENTITY)
    assert process_target.restarted(old, process_identity(43, 1_700_000_000.0, "RUNNING"))
