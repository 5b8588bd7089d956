"""A runbook, with the services.yaml that it is beside, is carried out as it is written: from its alert to the last message."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from forms import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from played_world import CLOCK_BEGINS, World, renewed, settings_of, world
from recorded_machine import Machine
from well_cases import Case, cases, expected, run_by, sent_by
from well_files import HOUR, MS, At, linted, meanings, written

from flows.restart_service import restart_service
from flows.restore_service import restore_service
from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.catalog.library import Library
from paramedic.change import ladder
from paramedic.change.look import measure
from paramedic.change.run import PlaybookRun
from paramedic.dispatch.loop import Dispatch
from paramedic.dispatch.prefect_runs import CreatedRun
from paramedic.doors import changing, reading
from paramedic.incidents.incident import Incident
from paramedic.incidents.outcome import Ending, Outcome
from paramedic.intake import routing
from paramedic.intake.intake import Intake
from paramedic.messages import page
from paramedic.oncall.oncall_reload import OncallFile
from paramedic.oncall.rotation import Person
from paramedic.paging import Pager
from paramedic.remediation.health import Sight
from paramedic.settings import Settings
from paramedic.store import (
    attempts,
    evidence,
    inbox,
    incident_summary,
    incidents,
    messages,
    proposals,
    runbook_versions,
)
from paramedic.store.preceding import RELEASES
from paramedic.store.tables import acts as act_rows
from paramedic.store.tables import approvals as approval_rows
from paramedic.store.tables import inbox as inbox_rows
from tasks.current_run import working_on
from tasks.playbook import outcome_of
from tasks.verify import stays_healthy

__all__ = ["world"]

STORIES = {"restart-service": restart_service, "restore-service": restore_service}


class Heard(dict[At, Any]):
    """What was seen of each value where it is used."""

    def note(self, at: At, value: Any) -> None:
        assert self.setdefault(at, value) == value


@pytest.mark.parametrize("mode", ["act", "ask", "observe", None])
@settings(max_examples=examples(6), derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_each_value_reaches_the_code_that_uses_it(
    mode: str | None, data: st.DataObject, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = data.draw(cases(mode))
    renewed(world, tmp_path)
    chosen = settings_of(case.folder, tmp_path, monkeypatch)
    place = tmp_path / "runbooks"
    place.mkdir(exist_ok=True)
    library = linted(case.folder.write(place), chosen.act_deadline)
    seen = Heard()
    incident = opened(case, library, world, seen)
    run = begun(case, incident, library, world, chosen, seen)
    conditions(case, run, world, seen)
    timed(case, run, world, seen)
    deployed(case, run, world)
    run = replace(run)  # as it has just begun
    outcome = played(case, run, world, seen)
    if case.mode == "observe":
        observed_as_written(case, run, outcome, world, seen)
    else:
        changed_as_written(case, run, outcome, world, seen)
        settled(case, run, library, world, seen)
    told(case, run, world, seen)
    targeted(case, run, world, seen)
    assert seen == expected(case)


def opened(case: Case, library: Library, world: World, seen: Heard) -> Incident:
    """The alert opens an incident by the runbook, and one that misses a condition is wanted by none."""
    name, wanted = case.wanted
    labels = case.labels | {label: _value(operator, value, hit=True) for label, operator, value in wanted}
    alert = _alert(name, labels, case.severity)
    for label, operator, value in wanted:
        other = labels | {label: _value(operator, value, hit=False)}
        assert routing.place(_alert(name, other, case.severity), library).runbook is None
    assert routing.place(_alert(f"{name}x", labels, case.severity), library).runbook is None
    _received(world, alert, library)
    with world.store.read() as tx:
        [incident] = incidents.listed(tx)
        notices = [one.recipient for one in messages.of(tx, incident.number) if one.kind == "notice"]
    document = case.folder.runbook
    seen.note(("runbook", "when", 0, "alert"), (name, wanted))
    seen.note(("runbook", "runbook"), incident.runbook)
    seen.note(("runbook", "service"), incident.service)
    if "escalate" in document:
        seen.note(("runbook", "escalate", "policy"), incident.policy)
    if "notify" in document:
        seen.note(("runbook", "notify"), tuple(notices))
    located(case, library, incident, seen)
    return incident


def located(case: Case, library: Library, incident: Incident, seen: Heard) -> None:
    """It is about the target that is meant, by each name of its host."""
    target, kind = library.services.targets[incident.target], case.kind
    seen.note(("target", "host"), target.host)
    place = ("target", kind) if kind == "systemd" else ("target", kind, "program")
    seen.note(place, target.name)
    for key in (kind, "host"):
        seen.note(("runbook", "with", "target", key), case.folder.runbook["with"]["target"][key])
    if "also" in case.listed:
        names = library.services.names_of(target.host)
        assert all(library.services.find(kind, target.name, name) == target for name in names)
        seen.note(("target", "also"), names[1:])


def _value(operator: str, value: str, *, hit: bool) -> str:
    """A label's value that meets the condition, or one that does not."""
    meets = value.partition("|")[0] if operator.endswith("~") else value
    return meets if hit is (operator in ("=", "=~")) else "zzz"


def _alert(name: str, labels: dict[str, str], severity: Severity, *, at: timedelta = timedelta(0)) -> Alert:
    said = {"alertname": name, **labels}
    begun = CLOCK_BEGINS - timedelta(minutes=1) + at
    return Alert("alertmanager", name, severity, Status.FIRING, begun, fingerprint("alertmanager", said), said)


def _received(world: World, alert: Alert, library: Library) -> None:
    with world.store.record() as tx:
        inbox.put(tx, [alert], source="alertmanager", sender="test")
    assert Intake(world.store, lambda: library).work() == 1


def begun(case: Case, incident: Incident, library: Library, world: World, chosen: Settings, seen: Heard) -> PlaybookRun:
    """The run that dispatch orders for it, and that has just begun."""
    ordered: list[str] = []

    def create_run(deployment: str, **_: Any) -> CreatedRun:
        ordered.append(deployment)
        return CreatedRun("run-1", "SCHEDULED")

    prefect: Any = SimpleNamespace(create_run=create_run)
    assert Dispatch(world.store, prefect, lambda: None).work() == 1
    seen.note(("runbook", "playbook"), ordered[0].partition("/")[0])
    with world.store.record() as tx:
        assert attempts.begin_attempt(tx, incident.number, 1, flow_run="run-1") is None
        incident = incidents.get(tx, incident.number)
        assert (
            runbook_versions.runbook_text(tx, incident.runbook_version or "") == library.runbooks[case.folder.name].text
        )
    target = library.services.by_id(incident.target)
    assert target is not None
    pager = Pager(world.store, chosen, OncallFile(chosen), steady=world.clock.steady)
    return PlaybookRun(
        settings=chosen,
        store=world.store,
        pager=pager,
        incident=incident,
        runbook=library.runbooks[case.folder.name],
        target=target,
        attempt=1,
        flow_run="run-1",
        ask_cancelled=lambda _: False,
    )


def conditions(case: Case, run: PlaybookRun, world: World, seen: Heard) -> None:
    """Each condition by itself makes the target ill; what is no condition does not."""
    document, machine = case.folder.runbook["with"]["verify"], world.machine
    run.forget_samples()
    assert measure(run).sight is Sight.WELL
    ill: dict[str, Sight] = {}
    if run.target.health is not None:
        ill["health"] = _sight(run, machine, f"error:{run.target.health}")
        if "health" in document:
            [(url, timeout)] = {one for one in world.network.asked if one[0] == run.target.health}
            seen.note(("target", "health"), url)
            if "probe_timeout" in case.folder.settings:
                seen.note(("settings", "probe_timeout"), timeout)
    limit = document["memory_below"].means if "memory_below" in document else 1
    machine.resident = limit - 1
    assert measure(run).sight is Sight.WELL
    machine.resident = limit
    ill["memory_below"] = measure(run).sight
    machine.resident = 0
    for check in run.runbook.checks:
        for threshold in check.thresholds:
            word = "error" if threshold.metric == "error_rate" else "slow"
            ill[threshold.metric] = _sight(run, machine, f"{word}:{check.at(run.target)}")
    asked = {key for key in ("health", "memory_below") if key in document}
    asked |= set(document["check"].means) if "check" in document else set()
    assert {name for name, sight in ill.items() if sight is Sight.FAILING} == asked
    for key in ("health", "memory_below", "check"):
        if key in document:
            seen.note(("runbook", "with", "verify", key), meanings(document)[key,])


def _sight(run: PlaybookRun, machine: Machine, how: str) -> Sight:
    machine.failing = {how}
    run.forget_samples()
    found: Sight = measure(run).sight
    machine.failing = set()
    run.forget_samples()
    return found


def timed(case: Case, run: PlaybookRun, world: World, seen: Heard) -> None:
    """It is well after `stable` and not before, and given up after `within` and not before."""
    verification = case.folder.runbook["with"]["verify"]
    for key, well in (("stable", True), ("within", False)):
        span = verification[key].means
        with working_on(run):
            assert _verified(run, world, span, well=well) is well
        seen.note(("runbook", "with", "verify", key), span)


def _verified(run: PlaybookRun, world: World, span: timedelta, *, well: bool) -> bool:
    ail(run, world, well=well)
    expect(world, span)
    found: bool = stays_healthy.fn(run.incident, run.runbook)  # type: ignore[attr-defined]
    assert world.waits == [], "it ended sooner than was written"
    ail(run, world, well=True)
    return found


def expect(world: World, span: timedelta) -> None:
    """The next verification goes on just before the span is over, and ends just after it."""
    world.looks.clear()
    world.waits[:] = [span - MS, span + MS]


def ail(run: PlaybookRun, world: World, *, well: bool) -> None:
    """The target shows itself well, or ill by every condition that there may be."""
    machine = world.machine
    machine.resident = 0 if well else 10**15
    urls = [run.target.health, *(check.at(run.target) for check in run.runbook.checks)]
    machine.failing = set() if well else {f"{word}:{url}" for url in urls for word in ("error", "slow")}


def deployed(case: Case, run: PlaybookRun, world: World) -> None:
    """A roll-back that depends on a deployment suits until so long after it, where the alert began later."""
    world.blame_every_deployment(run)
    for remedy, said in zip(run.runbook.remedies, case.folder.runbook["with"]["remedies"], strict=True):
        word, within = said.means
        if word == "rollback-if-deployed-within":
            for ago in (within, within + MS):
                world.machine.deployed_ago = ago
                assert ladder.suits(run, remedy) is (ago == within)
    world.machine.deployed_ago = timedelta(0)


# --- its story --------------------------------------------------------------------------------------------------------


def played(case: Case, run: PlaybookRun, world: World, seen: Heard) -> Outcome:
    """The whole playbook: its last remedy helps, or as it only observes, nothing does."""
    document, machine = case.folder.runbook, world.machine
    ail(run, world, well=False)
    within, stable = (document["with"]["verify"][key].means for key in ("within", "stable"))
    expect(world, within)
    left = len(sent_by(case, run.target.name))

    def changed() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            ail(run, world, well=True)
        expect(world, within if left else stable)

    machine.changed = changed
    with working_on(run):
        outcome: Outcome = outcome_of(STORIES[document["playbook"]].fn.story, run)  # type: ignore[attr-defined]
    machine.changed = lambda: None
    assert world.waits == []
    with world.store.read() as tx:
        kept = [piece["kind"] for piece in evidence.of(tx, run.incident.number)]
    before = [kind for kind in kept if not kind.endswith("after the change") and not kind.startswith("output of")]
    before = [kind for kind in before if kind != RELEASES]  # of them no author asks
    if "evidence" in document["with"]:
        seen.note(("runbook", "with", "evidence"), tuple(before))
    if "mode" in document:
        seen.note(("runbook", "mode"), "observe" if not machine.changes else "ask" if world.questions else "act")
    return outcome


def changed_as_written(case: Case, run: PlaybookRun, outcome: Outcome, world: World, seen: Heard) -> None:
    """The ladder was climbed in its order, each change with its deadline, each asked about that a person must approve."""
    remedies, number = case.folder.runbook["with"]["remedies"], run.incident.number
    assert outcome.ending is Ending.REMEDIATED, outcome.because
    assert world.machine.changes == sent_by(case, run.target.name)
    for rung, remedy in enumerate(remedies):
        seen.note(("runbook", "with", "remedies", rung), remedy.means)
    with world.store.read() as tx:
        made = tx.conn.execute(act_rows.select().where(act_rows.c.incident == number)).all()
        asked = tx.conn.execute(approval_rows.select()).all()
    assert len(made) == len(remedies)
    assert len(world.questions) == len(asked) == (len(remedies) if case.mode == "ask" else 0)
    for row in made:
        seen.note(("settings", "act_deadline"), row.deadline_at - row.written_at)
    for row in asked if "approve_within" in case.folder.settings else ():
        seen.note(("settings", "approve_within"), row.expires_at - row.asked_at)


def observed_as_written(case: Case, run: PlaybookRun, outcome: Outcome, world: World, seen: Heard) -> None:
    """Nothing was sent; a person is told when, and how many people are, the runbook says."""
    assert outcome.ending is Ending.OBSERVED, outcome.because
    assert world.machine.changes == []
    with world.store.read() as tx:
        [proposal] = proposals.of(tx, run.incident.number)
        _, following, *_ = [one for one in messages.of(tx, run.incident.number) if one.kind == "rung"]
    assert proposal.remedy == run.runbook.remedies[0].name
    for rung, remedy in enumerate(run.runbook.remedies):
        word = remedy.word.removeprefix("run: ") if remedy.command else remedy.word
        meant = ("run", word) if remedy.command else (word, remedy.deployed_within)
        seen.note(("runbook", "with", "remedies", rung), meant)
    page_of = {(True, 0): "first", (False, 0): "late", (True, 1): "all"}
    if "observe" in case.folder.runbook:
        seen.note(("runbook", "observe", "page"), page_of[world.paged_before_the_verdict, following.step])


def targeted(case: Case, run: PlaybookRun, world: World, seen: Heard) -> None:
    """What services.yaml says of the target was used as it is."""
    machine, listed = world.machine, case.listed
    if case.kind == "supervisord":
        [address] = set(machine.told("connect"))
        seen.note(("target", "supervisord", "address"), address)
        machine.changes.clear()
        changing.changer(run.target, HOUR).reload(reading.identity(run.target), lambda: None)
        [(_, _, signal)] = machine.changes
        seen.note(("target", "supervisord", "reload"), signal)
    if "log" in listed:
        [log] = set(machine.told("tail"))
        seen.note(("target", "log"), log)
    if "releases" in listed:
        [folder] = set(machine.told("folder"))
        seen.note(("target", "releases"), folder)
    for name, document in listed.get("commands", {}).items():
        machine.changes.clear()
        changing.command(run.target, name, HOUR).run(lambda: None)
        assert machine.changes == [("run", *run_by(case, name))]
        for at, means in meanings(document).items():
            seen.note(("target", "commands", name, *at), means)


def told(case: Case, run: PlaybookRun, world: World, seen: Heard) -> None:
    """The runbook's channels hear of it, each by its own settings; a page names whose the service is."""
    run.pager.deliver_due()
    used = {
        f"{kind}:{message.recipient}" if kind == "email" else f"{kind}:{how.url.get_secret_value().rpartition('/')[2]}"
        for kind, how, message in world.sent
    }
    assert set(written(case.folder.runbook.get("notify", []))) <= used
    assert "webhook:ops" not in used or "webhook:ops" in written(case.folder.runbook["notify"])
    with world.store.read() as tx:
        known = incident_summary.summary(tx, incidents.get(tx, run.incident.number))
    text = page.page(known, person=Person("ada", "Ada", ()), link="", lasts=HOUR).text
    owner = case.folder.services["services"][case.service].get("owner")
    if owner is not None and f"of {owner}" in text:
        seen.note(("owner",), owner)


def settled(case: Case, run: PlaybookRun, library: Library, world: World, seen: Heard) -> None:
    """The same alert, which goes on for a while after the cure, is looked at again when that has settled."""
    name, wanted = case.wanted
    labels = case.labels | {label: _value(operator, value, hit=True) for label, operator, value in wanted}
    _received(world, _alert(name, labels, case.severity), library)
    with world.store.read() as tx:
        row = tx.conn.execute(inbox_rows.select().order_by(inbox_rows.c.position.desc()).limit(1)).one()
        well_at = incidents.well_at(tx, run.incident.target)
    if "settle" in case.folder.runbook:
        seen.note(("runbook", "settle"), row.look_again_at - well_at if row.look_again_at else timedelta(0))
