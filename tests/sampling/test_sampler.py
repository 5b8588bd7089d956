"""Samples are taken side by side: whatever one look does, the others are taken in their rhythm."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest
from fake_service import target

from paramedic.checks.check import CheckAtTarget, CheckSpec, Sample, check_spec
from paramedic.machine.clock import boottime, utc_now
from paramedic.sampling.sampler import ControlProbes, Sampling, Seen

GOOD = Seen(Sample(utc_now(), {"latency": 0.1, "error": 0.0}, "well"), blind=False)


def placed(name: str, every: str = "50ms") -> CheckAtTarget:
    made = check_spec(CheckSpec)(check="health", name=name, every=every, timeout="20ms").build()
    return CheckAtTarget("r", made, target())


class Desk:
    """Records what is handed over, and stops the sampling when it has seen enough."""

    def __init__(self, enough: dict[str, int]) -> None:
        self.seen: list[tuple[str, Seen]] = []
        self._enough = enough
        self.threads: set[int] = set()
        self.together: list[int] = []

    def record(self, some: Sequence[tuple[CheckAtTarget, Seen]]) -> None:
        self.threads.add(threading.get_ident())
        self.seen += [(at_target.check.name, seen) for at_target, seen in some]
        self.together.append(len(some))

    def go_on(self) -> None:
        count = Counter(name for name, _ in self.seen)
        if all(count[name] >= wanted for name, wanted in self._enough.items()):
            raise StopIteration

    def of(self, name: str) -> list[Seen]:
        return [seen for found, seen in self.seen if found == name]


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Closed until the test ends."""
    event = threading.Event()
    yield event
    event.set()


def test_a_look_that_hangs_delays_nobody_and_is_itself_unknown(gate: threading.Event) -> None:
    began = Counter[str]()

    def look(at_target: CheckAtTarget) -> Seen:
        began[at_target.check.name] += 1
        if at_target.check.name == "stuck":
            gate.wait(60)
        return GOOD

    desk = Desk({"well": 10, "stuck": 3})
    with pytest.raises(StopIteration):
        Sampling(look, desk.record, go_on=desk.go_on).run(
            [(placed("stuck"), None), (placed("well"), None)], until=boottime() + 60
        )
    assert began["stuck"] == 1, "no second thread is lost to it"
    assert all(seen.sample.values is None for seen in desk.of("stuck"))
    assert "has not come back" in desk.of("stuck")[0].sample.why
    assert all(seen is GOOD for seen in desk.of("well"))
    assert desk.threads == {threading.get_ident()}, "what was seen is recorded by one thread"


def test_what_a_look_brings_after_it_was_given_up_says_nothing(gate: threading.Event) -> None:
    bad = Seen(Sample(utc_now(), {"latency": 9.0, "error": 1.0}, "of long ago"), blind=False)
    first = True

    def look(_: CheckAtTarget) -> Seen:
        nonlocal first
        if first:
            first = False
            gate.wait(60)
            return bad
        return GOOD

    class Opening(Desk):
        def record(self, some: Sequence[tuple[CheckAtTarget, Seen]]) -> None:
            super().record(some)
            gate.set()

    desk = Opening({"one": 3})
    with pytest.raises(StopIteration):
        Sampling(look, desk.record, go_on=desk.go_on).run([(placed("one"), None)], until=boottime() + 60)
    assert bad not in desk.of("one")
    assert GOOD in desk.of("one")


def test_a_look_that_takes_its_whole_time_is_no_look_that_hangs() -> None:
    def look(_: CheckAtTarget) -> Seen:
        threading.Event().wait(0.2)  # four times as long as from one look to the next
        return GOOD

    desk = Desk({"slow": 3})
    with pytest.raises(StopIteration):
        Sampling(look, desk.record, go_on=desk.go_on).run([(placed("slow"), None)], until=boottime() + 60)
    assert all(seen is GOOD for seen in desk.of("slow"))


def test_who_goes_on_where_another_ended_keeps_the_rhythm() -> None:
    desk = Desk({"due": 1})
    hour = placed("early", every="4m")
    with pytest.raises(StopIteration):
        Sampling(lambda _: GOOD, desk.record, go_on=desk.go_on).run(
            [(hour, timedelta(seconds=10)), (placed("due"), timedelta(hours=1))], until=boottime() + 60
        )
    assert desk.of("early") == []


def test_it_ends_when_the_next_round_is_due_with_what_it_has_begun() -> None:
    desk = Desk({"never": 1})
    begun = 0

    def look(_: CheckAtTarget) -> Seen:
        nonlocal begun
        begun += 1
        return GOOD

    count = Sampling(look, desk.record, go_on=desk.go_on).run([(placed("one"), None)], until=boottime() + 0.3)
    assert count == len(desk.seen) == begun
    assert Sampling(look, desk.record, go_on=desk.go_on).run([], until=boottime() + 60) == 0


def test_eyes_are_closed_only_when_every_control_probe_is_silent() -> None:
    silent = {"a": True, "b": False}
    control_probes = ControlProbes(("a", "b"), silent.__getitem__)
    assert not control_probes.blind_since(boottime())
    silent["b"] = True
    assert control_probes.blind_since(boottime())
    assert control_probes.blind
    silent["a"] = False
    assert not control_probes.blind_since(boottime())
    assert not control_probes.blind
    assert not ControlProbes((), silent.__getitem__, blind=True).blind_since(boottime())


def test_one_look_of_the_eyes_serves_everybody_who_began_before_it() -> None:
    asked = []
    control_probes = ControlProbes(("a",), lambda address: bool(asked.append(address)))
    moment = boottime()
    assert [control_probes.blind_since(moment) for _ in range(5)] == [False] * 5
    assert asked == ["a"]


def test_what_several_looks_have_seen_is_recorded_together_and_no_more_than_asked_for(gate: threading.Event) -> None:
    looking = threading.Barrier(7)  # six looks, and who lets them go on

    def look(_: CheckAtTarget) -> Seen:
        looking.wait(60)
        gate.wait(60)
        return GOOD

    class Late(Desk):
        def go_on(self) -> None:
            if self.together == [] and looking.n_waiting == 6:
                looking.wait(60)
                gate.set()
                while sampling._seen.qsize() < 6:
                    threading.Event().wait(0.001)
            super().go_on()

    desk = Late({f"c{number}": 1 for number in range(6)})
    sampling = Sampling(look, desk.record, go_on=desk.go_on, most=4)
    lanes = [(placed(f"c{number}", every="1s"), timedelta(hours=1)) for number in range(6)]
    with pytest.raises(StopIteration):
        sampling.run(lanes, until=boottime() + 60)
    assert desk.together == [4, 2]
