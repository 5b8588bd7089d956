"""A remedy that made it worse is undone where it can be, by a change with an intent of its own, and nothing else is tried."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from databases import Clock
from deployed_releases import Deployed
from incident_states import PEOPLE
from playbook_runs import playbook_run
from prefect.tasks import Task
from store_states import alert

from flows.restore_service import restore_service
from paramedic.alerts.alert import Alert
from paramedic.catalog.library import open_library
from paramedic.change import claim_keeper, exclusive, guarded
from paramedic.change.run import PlaybookRun
from paramedic.checks.check import CheckAtTarget, Sample
from paramedic.dispatch.events import called
from paramedic.doors import reading
from paramedic.errors import OutcomeUnknown, Refused, TemporaryError
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.integrations.targets import supervisord
from paramedic.kinds.process_target import process_identity
from paramedic.remediation.health import Health, Sight
from paramedic.remediation.target import Identity
from paramedic.settings import Settings
from paramedic.store import Store, acts, attempts, checks, incidents, kill_switch, lifecycle, trail
from paramedic.store.acts import Act
from paramedic.store.runbook_versions import Plan
from tasks import act, detect, verify
from tasks.current_run import working_on
from tasks.playbook import outcome_of

TARGET = "web-1/shop"
FEW, MANY = [0] * 9 + [1], [1]  # errors: one in ten, and each
SERVICES = """\
services:
  shop:
    owner: delivery
    targets: [{host: web-1, supervisord: {program: shop, address: "unix:///nowhere/at/all"}, releases: RELEASES}]
"""
RUNBOOK = """\
---
runbook: shop-errors
service: shop
when: [{alert: ShopErrors}, {check: 'tcp://{host}:80', error_rate: {critical: 3%, for: 0s}, every: 5s}]
mode: act
playbook: restore-service
with:
  target: {supervisord: shop, host: "{instance}"}
  remedies: [rollback, restart]
  verify: {check: error_rate, stable: 1m, within: 2m}
---
**Meaning.** It answers with errors.
**Impact.** Some cannot buy.
## Diagnosis
Look.
## Mitigation
Restart it.
"""


@dataclass
class Shop:
    """The shop: every look finds it failing, unless it is to be well, with these errors, as whatever is done to it turns out."""

    store: Store
    clock: Clock
    run: PlaybookRun
    folder: Deployed
    errors: list[int]
    meanwhile: Callable[[], None] = lambda: None
    restarts: list[str] = field(default_factory=list)
    cannot: Exception | None = None
    well: bool = False
    did: str = ""
    alerts: Sequence[Alert] = ()

    def look(self, run: PlaybookRun) -> Health:
        number = len(run.samples.setdefault("tcp", []))
        error = float(self.errors[number % len(self.errors)])
        run.samples["tcp"].append(Sample(self.clock.now(), {"latency": 0.1, "error": error}, "as it is"))
        is_well = self.well and len(self.restarts) > 0
        return Health(Sight.WELL, "answers") if is_well else Health(Sight.FAILING, "answered 503")

    def restart(self, identity: Identity, last_look: Callable[[], None]) -> Identity:
        if self.cannot is not None:
            raise self.cannot
        last_look()
        self.restarts.append(self.folder.current())
        return reading.identity(self.run.target)

    def scale(self, _identity: Identity, last_look: Callable[[], None]) -> Identity:
        last_look()
        self.did = "it is to have 5 pods"
        return reading.identity(self.run.target)

    def undo_scale(self, _identity: Identity, last_look: Callable[[], None]) -> Identity:
        if self.cannot is not None:
            raise self.cannot
        last_look()
        self.did = "it is to have 3 pods"
        return reading.identity(self.run.target)

    def play(self) -> Outcome:
        story: Any = restore_service.fn.story  # type: ignore[attr-defined]
        with working_on(self.run):
            return outcome_of(story, self.run)

    def breaks(self, name: str, target: str, *, runbook: str = "cart-errors", began: timedelta = timedelta()) -> None:
        """Once, in the middle of the verification, an alert about another target of the service, that began so long after."""
        plan = Plan(runbook, "1", "", rungs=1)

        def broke() -> None:
            self.meanwhile = lambda: None
            self.clock.advance(timedelta(seconds=10))
            received = alert(name, starts_at=self.clock.now() + began)
            with self.store.record() as tx:
                lifecycle.open_incident(
                    tx, received, service="shop", target=target, policy="default", reason="it is new", plan=plan
                )

        self.meanwhile = broke

    def acts(self) -> list[Act]:
        with self.store.read() as tx:
            return acts.of(tx, self.run.incident.number)

    def entries(self, what: str) -> list[Any]:
        with self.store.read() as tx:
            return [entry for entry in trail.entries(tx) if entry.what == what]


@pytest.fixture
def shop(timed: Store, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Shop]:
    folder = Deployed(tmp_path / "app")
    folder.deploy("v6", healthy=True, reversible=True)
    folder.deploy("v7", reversible=True)
    books = tmp_path / "runbooks"
    books.mkdir()
    (books / "services.yaml").write_text(SERVICES.replace("RELEASES", str(folder.folder)))
    (books / "oncall.yaml").write_text(PEOPLE)
    monkeypatch.setattr(Task, "__call__", lambda task, *args, **kwargs: task.fn(*args, **kwargs))
    for module in (guarded, exclusive, claim_keeper, verify, detect):
        monkeypatch.setattr(module, "boottime", clock.steady)

    def made(*, remedies: str = "[rollback, restart]", errors: list[int] = MANY) -> Shop:
        (books / "shop-errors.md").write_text(RUNBOOK.replace("[rollback, restart]", remedies))
        settings = Settings(data=tmp_path, runbooks=books, lease="1d")
        library = open_library(settings)
        runbook, target = library.runbooks["shop-errors"], library.services.targets[TARGET]
        plan = Plan(runbook.name, runbook.version, runbook.text, rungs=len(runbook.remedies))
        placed = CheckAtTarget(runbook.name, runbook.checks[0], target)
        for error in FEW:
            clock.advance(timedelta(seconds=5))
            with timed.record() as tx:
                checks.record(
                    tx, placed, Sample(tx.now, {"latency": 0.1, "error": error}, ""), blind=False, mass_limit=99
                )
        with timed.record() as tx:
            number = lifecycle.open_incident(
                tx, alert("ShopErrors"), service="shop", target=TARGET, policy="default", reason="it is new", plan=plan
            ).number
            assert attempts.begin_attempt(tx, number, 1, flow_run="run-1") is None
            incident = incidents.get(tx, number)
        run = playbook_run(timed, settings, incident, runbook, target)
        one = Shop(timed, clock, run, folder, errors)

        def sleep(seconds: float) -> None:
            clock.advance(timedelta(seconds=5))
            one.meanwhile()

        for module in (verify, detect, exclusive, guarded):
            monkeypatch.setattr(module, "time", SimpleNamespace(sleep=sleep))
        for module in (verify, detect):
            monkeypatch.setattr(module, "measure", one.look)
        owner = SimpleNamespace(identity=lambda: process_identity(100 + len(one.restarts), 1.0, "RUNNING"))
        monkeypatch.setattr(reading, "reader", lambda _: owner)
        monkeypatch.setattr(act, "changer", lambda *_, **__: one)
        return one

    return made


def test_a_roll_back_that_made_it_worse_is_undone_and_a_person_gets_it(shop: Callable[..., Shop]) -> None:
    one = shop()
    outcome = one.play()
    assert outcome.ending is Ending.HANDED_OVER
    assert outcome.because == (
        "it is worse than before the change: error_rate of shop-errors/tcp: 10% before, 100% after, which is worse; "
        "what was changed was undone"
    )
    assert (one.folder.current(), one.restarts) == ("releases/v7", ["releases/v6", "releases/v7"])
    assert [(done.remedy, done.result) for done in one.acts()] == [("roll_back", "done"), ("undo", "done")]
    assert [entry.phase for entry in one.entries("undo")] == ["intent"]
    [chosen] = one.entries("undo.chosen")
    assert called(chosen) == "undo.chosen"
    assert chosen.reason.startswith("undo the roll_back: it is worse than before the change: ")
    with one.store.read() as tx:
        assert incidents.get(tx, 1).ending is Ending.HANDED_OVER
        assert attempts.rungs_of(tx, 1) == 2, "its undoing is no rung of the ladder"


def test_each_remedy_keeps_what_was_measured_before_and_after_it(shop: Callable[..., Shop]) -> None:
    one = shop()
    one.play()
    [figure] = one.acts()[0].figures
    assert (figure.name, figure.before, figure.after, figure.worse) == (
        "error_rate of shop-errors/tcp",
        10.0,
        100.0,
        True,
    )
    assert (figure.looks_before, figure.looks_after) == (10, 24)
    [failed] = one.entries("verification.failed")
    assert called(failed) == "verification.failed", "it is no event of an act"
    assert failed.data["of_act"] == one.acts()[0].id
    assert failed.data["figures"] == [figure.as_json()]


def test_what_cannot_be_undone_is_left_and_nothing_else_is_tried(shop: Callable[..., Shop]) -> None:
    one = shop(remedies="[restart, rollback]")
    outcome = one.play()
    assert outcome.ending is Ending.HANDED_OVER
    assert outcome.because.endswith("which is worse")
    assert [done.remedy for done in one.acts()] == ["restart"]
    assert one.folder.current() == "releases/v7"


def test_what_is_no_worse_goes_on_to_the_next_rung(shop: Callable[..., Shop]) -> None:
    one = shop(errors=FEW)
    outcome = one.play()
    assert outcome.because == "no remedy of the ladder is left, still failing"
    assert [done.remedy for done in one.acts()] == ["roll_back", "restart"]
    assert one.folder.current() == "releases/v6"


def test_a_guardrail_may_refuse_to_undo_as_it_may_any_change(shop: Callable[..., Shop]) -> None:
    one = shop()

    def stop() -> None:
        one.meanwhile = lambda: None
        with one.store.record() as tx:
            kill_switch.pause(tx, by="ada", reason="hands off")

    one.meanwhile = stop
    outcome = one.play()
    assert "; it was not undone: undo of web-1/shop: acting is paused: everything, by ada since" in outcome.because
    assert one.folder.current() == "releases/v6"
    assert [done.remedy for done in one.acts()] == ["roll_back"]


def test_an_undoing_of_which_nobody_knows_the_end_says_so_and_blocks_the_target(shop: Callable[..., Shop]) -> None:
    one = shop()

    def unknown() -> None:
        one.cannot = OutcomeUnknown("the connection was cut")

    one.meanwhile = unknown
    assert one.play().because.endswith("; whether it was undone is open")
    assert [(done.remedy, done.result) for done in one.acts()][-1] == ("undo", None)


def test_an_undoing_whose_restart_fails_says_what_stands(shop: Callable[..., Shop]) -> None:
    one = shop()

    def fails() -> None:
        one.cannot = TemporaryError("no answer")

    one.meanwhile = fails
    outcome = one.play()
    assert "it was not undone: release v7 is current again, and the target was not restarted into it" in outcome.because
    assert [(done.remedy, done.result) for done in one.acts()][-1] == ("undo", "failed")


def test_a_roll_back_that_did_not_help_and_broke_something_else_is_undone(shop: Callable[..., Shop]) -> None:
    one = shop(errors=FEW)
    one.breaks("CartErrors", "web-2/cart")
    outcome = one.play()
    assert outcome.ending is Ending.HANDED_OVER
    assert outcome.because == (
        "it is worse than before the change: since the change something else broke in shop: CartErrors at web-2/cart (INC-2); "
        "what was changed was undone"
    )
    assert one.folder.current() == "releases/v7"
    assert [done.remedy for done in one.acts()] == ["roll_back", "undo"]
    [failed] = one.entries("verification.failed")
    assert failed.data["broken_elsewhere"] == ["INC-2"]


def test_where_it_is_well_and_something_else_broke_a_person_decides_and_nothing_is_undone(
    shop: Callable[..., Shop],
) -> None:
    one = shop(errors=FEW)
    one.well = True
    one.breaks("CartErrors", "web-2/cart")
    outcome = one.play()
    assert outcome.ending is Ending.HANDED_OVER
    assert outcome.because == (
        "it is well, and since the change something else broke in shop: CartErrors at web-2/cart (INC-2). "
        "Nothing was undone: a person decides what led to what"
    )
    assert (one.folder.current(), [done.remedy for done in one.acts()]) == ("releases/v6", ["roll_back"])


@pytest.mark.parametrize(
    "broken",
    [
        {"name": "ShopErrors", "target": "web-2/shop", "runbook": "shop-errors"},
        {"name": "ShopSlow", "target": "web-2/shop", "runbook": "shop-errors"},
        {"name": "ShopErrors", "target": "web-2/shop"},
        {"name": "CartErrors", "target": "web-2/cart", "began": timedelta(minutes=-2)},
        {"name": "CartErrors", "target": "web-2/cart", "began": timedelta(seconds=-12)},
    ],
    ids=["the same trouble there", "of the same runbook", "of the same name", "before the change", "nobody can tell"],
)
def test_what_the_change_has_not_broken_is_none_of_its_doing(shop: Callable[..., Shop], broken: dict[str, Any]) -> None:
    one = shop(errors=FEW)
    one.well = True
    one.breaks(**broken)
    assert one.play().ending is Ending.REMEDIATED


def test_a_restart_has_broken_nothing_elsewhere(shop: Callable[..., Shop]) -> None:
    one = shop(errors=FEW, remedies="[restart, rollback]")
    one.well = True
    one.breaks("CartErrors", "web-2/cart")
    assert one.play().ending is Ending.REMEDIATED


def test_what_broke_elsewhere_and_is_over_by_the_verdict_is_no_doubt(shop: Callable[..., Shop]) -> None:
    """A restart of one that others need makes them fail for a moment."""
    one = shop(errors=FEW)
    one.well = True
    one.breaks("CartErrors", "web-2/cart")
    broke = one.meanwhile

    def broke_for_a_moment() -> None:
        broke()
        with one.store.record() as tx:
            lifecycle.resolve(tx, 2, Outcome(Ending.RECOVERED, "it is well"), actor="run:run-2")

    one.meanwhile = broke_for_a_moment
    assert one.play().ending is Ending.REMEDIATED


@pytest.mark.parametrize(
    ("before", "meanwhile"),
    [(["CartErrors"], ["PayErrors"]), ([], ["CartErrors", "PayErrors"])],
    ids=["it was in trouble already", "two kinds"],
)
def test_in_a_service_where_much_breaks_nobody_can_tell_what_broke_what(
    shop: Callable[..., Shop], before: list[str], meanwhile: list[str]
) -> None:
    one = shop(errors=FEW)
    one.well = True
    for name in before:
        one.breaks(name, f"web-2/{name}", runbook=name)
        one.meanwhile()

    def all_break() -> None:
        for name in meanwhile:
            one.breaks(name, f"web-2/{name}", runbook=name)
            one.meanwhile()

    one.meanwhile = all_break
    assert one.play().ending is Ending.REMEDIATED


@pytest.fixture
def scalable(shop: Callable[..., Shop], monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Its kind offers a remedy of its own that can be undone."""
    monkeypatch.setattr(supervisord, "REMEDIES", (*supervisord.REMEDIES, "scale"))
    monkeypatch.setattr(supervisord, "UNDOES", ("scale",), raising=False)
    return shop(remedies="[scale, restart]")


def test_a_remedy_of_its_kind_that_made_it_worse_is_undone_by_its_own_intent(scalable: Shop) -> None:
    outcome = scalable.play()
    assert outcome.ending is Ending.HANDED_OVER
    assert outcome.because.endswith("which is worse; what was changed was undone")
    assert [(done.remedy, done.result) for done in scalable.acts()] == [("scale", "done"), ("undo", "done")]
    assert scalable.restarts == [], "nothing else is tried"
    [chosen] = scalable.entries("undo.chosen")
    assert chosen.reason.startswith("undo the scale: ")
    assert [entry.reason for entry in scalable.entries("undo.done")] == ["it is to have 3 pods"]
    assert [alert.name for alert in scalable.alerts] == ["ShopErrors"], "the incident's, which fires"


def test_a_remedy_of_its_kind_that_somebody_changed_since_is_not_undone(scalable: Shop) -> None:
    scalable.cannot = Refused("somebody has asked for 6 since")
    assert scalable.play().because.endswith("it was not undone: somebody has asked for 6 since")
    assert [(done.remedy, done.result) for done in scalable.acts()] == [("scale", "done"), ("undo", "not_sent")]
