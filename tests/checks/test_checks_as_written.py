"""Each value of a check that lint calls well reaches the code that uses it: probe, sampler, state, alert."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from databases import migrated
from forms import examples
from hypothesis import HealthCheck, given, settings
from recorded_machine import Clock, Machine, Network, in_place
from well_cases import check_folders
from well_files import DAY, MS, SUBJECTS, At, Folder, Said, linted, meanings, written

from paramedic.catalog.services import Services
from paramedic.checks import probes
from paramedic.checks.check import CheckAtTarget, Sample
from paramedic.checks.threshold import Level, Threshold, after, begin
from paramedic.kinds.probing import Question
from paramedic.sampling import sampler
from paramedic.sampling.one_sample import sample
from paramedic.store import Store
from paramedic.store import checks as stored
from paramedic.store.tables import check_samples, check_states, messages

NEAR = 1e-6  # as a share of a bound


def test_a_subject_is_known_for_every_form_that_a_shipped_probe_declares() -> None:
    asked_of_their_targets = {"free_space", "ready", "sessions", "sql"}
    read_in_logs = {"access_log", "failed_logins", "log_pattern"}  # what each key means is in tests/integrations/probes
    assert set(SUBJECTS) | asked_of_their_targets | read_in_logs == {
        form for probe in probes.usable().values() for form in probe.CHECK
    }


class Heard(dict[At, Any]):
    """What was seen of each value where it is used. Seen at several targets it is the same at each."""

    def note(self, at: At, value: Any) -> None:
        assert self.setdefault(at, value) == value


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> tuple[Clock, Machine, Network]:
    clock = Clock()
    monkeypatch.setattr(sampler, "random", SimpleNamespace(uniform=lambda _least, most: min(most, 1.0)))
    return clock, *in_place(monkeypatch, clock)


@settings(max_examples=examples(25), derandomize=True, suppress_health_check=list(HealthCheck))
@given(folder=check_folders())
def test_each_value_of_a_check_reaches_the_code_that_uses_it(
    folder: Folder, world: tuple[Clock, Machine, Network], tmp_path: Path, store_of_checks: Store
) -> None:
    clock, _, network = world
    library = linted(folder.write(tmp_path))
    [runbook] = library.runbooks.values()
    placed = library.placed()
    assert {group for group, _ in placed} == {folder.runbook["group"]}
    assert len(placed) == len(folder.runbook["when"]) * len(list(library.services))
    asked: Heard = Heard()
    for number, document in enumerate(folder.runbook["when"]):
        at: At = ("when", number)
        mine = [one for _, one in placed if one.check.name == written(document["name"])]
        assert {one.target.id for one in mine} == set(library.services.targets)
        for one in mine:
            looked(asked, at, document, one, network)
            told(asked, at, one, runbook)
        sampled(asked, at, mine[0])
        kept(asked, at, mine[0], store_of_checks, clock)
        for threshold in mine[0].check.thresholds:
            judged(asked, (*at, threshold.metric), document[threshold.metric], threshold)
    assert asked == {place: means for place, means in meanings(folder.runbook).items() if place[0] == "when"}


def looked(asked: Heard, at: At, document: dict[str, Any], placed: CheckAtTarget, network: Network) -> None:
    """One look: the question that the probe got, and what it asked the machine and the network for."""
    check, target = placed.check, placed.target
    network.asked.clear()
    questions: list[Question] = []
    names: list[str] = []
    _, probe = probes.measuring(document["check"])
    look = probe.look
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(probe, "look", lambda question: questions.append(question) or look(question))
        seen = sample(
            check, target, now=lambda: Clock().time, last_heard=lambda name: names.append(name) or timedelta(0)
        )
    assert "the check itself failed" not in seen.why, seen.why
    assert "cannot be asked" not in seen.why, seen.why
    [question] = questions
    assert question.target == target
    asked.note((*at, "timeout"), question.timeout)
    host = f"[{target.host}]" if ":" in target.host else target.host
    if document["check"] == "heartbeat":
        assert names == [document["name"].replace("{host}", target.host)]
    elif document["check"] == "host":
        assert network.asked[0][0] == document.get("path", "/")
    elif document["check"] == "health":
        assert network.asked == [(target.health, question.timeout)]
    elif "query" in document:
        assert all(timeout == question.timeout for _, timeout in network.asked)
        assert [url for url, _ in network.asked] == [
            f"{document[key]}/api/v1/query" for key in ("server",) if key in document
        ]
    elif "queue" in document:
        assert all(timeout == question.timeout for _, timeout in network.asked)
        assert len(network.asked) == ("server" in document or "://" in document["check"])
    elif document["check"] != "process":
        assert network.asked == [(document["check"].replace("{host}", host), question.timeout)]
    else:
        assert seen.values is not None
    for name, value in question.options.items():
        asked.note((*at, name), value)
    asked.note((*at, "check"), document["check"])


def told(asked: Heard, at: At, placed: CheckAtTarget, runbook: Any) -> None:
    """Its alert belongs to its runbook and means its target."""
    for threshold in placed.check.thresholds:
        alert = placed.alert(threshold, Level.CRITICAL, value=1.0, began_at=Clock().time, ended_at=None)
        asked.note((*at, "name"), alert.labels["check"])
        assert alert.labels["metric"] == threshold.metric
        assert runbook.wants(alert)
        assert runbook.located(alert.labels, Services({placed.target.id: placed.target})) == placed.target


def sampled(asked: Heard, at: At, placed: CheckAtTarget) -> None:
    """The sampler takes it as often as it says."""
    sampling = sampler.Sampling(
        lambda _: sampler.Seen(Sample(Clock().time, None, ""), blind=False), lambda *_: None, go_on=lambda: None
    )
    lane = sampler._Lane(0.0, placed, begun_at=0.0)
    sampling._begin(lane, 10 * DAY.total_seconds())
    every = timedelta(seconds=round(lane.due - 10 * DAY.total_seconds(), 6))
    asked.note((*at, "every"), every)
    overdue = sampler._Lane(0.0, placed, begun_at=100.0)
    sampling._begin(overdue, 100.0)
    asked.note((*at, "timeout"), timedelta(seconds=round(overdue.due - 101.0, 6)))


@pytest.fixture
def store_of_checks(tmp_path: Path, world: tuple[Clock, Machine, Network]) -> Iterator[Store]:
    store = Store(migrated(tmp_path / "checks.db"), now=world[0].now)
    yield store
    store.close()


def kept(asked: Heard, at: At, placed: CheckAtTarget, store: Store, clock: Clock) -> None:
    """The store counts the samples of its window, and says when nothing was seen for too long."""
    check = placed.check
    with store.record() as tx:
        for table in (check_samples, check_states, messages):
            tx.conn.execute(table.delete())
    begun = clock.time
    _record(store, placed)
    for name, span in (("window", check.window), ("unknown_after", check.unknown_after)):
        for wait in (span - MS, span):
            clock.time = begun + wait
            if name == "window":
                with store.read() as tx:
                    counts = bool(stored.evidence(tx, placed))
                assert counts is (wait < span)
            else:
                _record(store, placed)
                with store.read() as tx:
                    spoke = tx.conn.execute(messages.select()).all()
                assert bool(spoke) is (wait >= span)
        asked.note((*at, name), span)
    clock.time = begun


def _record(store: Store, placed: CheckAtTarget) -> None:
    with store.record() as tx:
        stored.record(tx, placed, Sample(tx.now, None, "nothing is there"), blind=False, mass_limit=99)


def judged(asked: Heard, at: At, document: dict[str, Any], threshold: Threshold) -> None:
    """Each bound is passed from its value on, after its time, and left by its hysteresis."""
    means = {key: value.means if isinstance(value, Said) else value for key, value in document.items()}
    shipped = next(metric for metric in METRICS if metric.name == threshold.metric)
    held_for = means.get("for", shipped.held_for)
    back = means.get("hysteresis", 0.1)
    sign = -1 if threshold.below else 1
    for name, level in (("warning", Level.WARNING), ("critical", Level.CRITICAL)):
        if name not in means:
            continue
        over, under = (means[name] * (1 + sign * side * NEAR) for side in (1, -1))
        assert not reached(threshold, level, [(timedelta(0), under), (held_for, under)])
        assert reached(threshold, level, [(timedelta(0), over), (held_for, over)])
        if held_for:
            assert not reached(threshold, level, [(timedelta(0), over), (held_for - MS, over)])
        edge = means[name] * (1 - sign * back)
        still, well = (edge * (1 + sign * side * NEAR) for side in (1, -1))
        passed = [(timedelta(0), over), (held_for, over)]
        assert reached(threshold, level, [*passed, (held_for + MS, still)])
        assert not reached(threshold, level, [*passed, (held_for + MS, well)])
    for key, value in means.items():
        asked.note((*at, key), value)


METRICS = [metric for probe in probes.usable().values() for metric in probe.METRICS]


def reached(threshold: Threshold, level: Level, values: list[tuple[timedelta, float]]) -> bool:
    """Whether the level is reached, or passed, after these values."""
    began = Clock().time
    state = begin(began)
    for at, value in values:
        state = after(threshold, state, began + at, value, gap=1000 * DAY)
    return state.known is level or (level is Level.WARNING and state.known is Level.CRITICAL)
