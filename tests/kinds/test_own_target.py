"""A kind of target in a team's own folder is listed, found, looked at, restarted and verified like a shipped one."""

import json
import re
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path

import pytest
from incident_states import PEOPLE, alert
from own_target import CHECKED, JOB, RUNBOOK, SERVICES
from playbook_runs import playbook_run

from paramedic.catalog.library import open_library
from paramedic.catalog.runbook_file import schema
from paramedic.change import exclusive, guarded
from paramedic.change.gathering import gather, pieces
from paramedic.change.limits import pinned_and_current
from paramedic.change.look import measure
from paramedic.change.run import PlaybookRun
from paramedic.doors import reading
from paramedic.errors import PermanentError, Refused
from paramedic.intake import routing
from paramedic.kinds import plugin_folder, registry
from paramedic.kinds.registry import Registry, Room
from paramedic.machine.clock import utc_now
from paramedic.remediation.health import Sight
from paramedic.remediation.remedy import RESTART
from paramedic.settings import Settings
from paramedic.store import Store, acts, attempts, intents, lifecycle, maintenance, trail
from paramedic.store.runbook_versions import Plan
from tasks import act


@pytest.fixture
def plugins(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "plugins"
    (folder / "targets").mkdir(parents=True, mode=0o755)
    (folder / "targets" / "job.py").write_text(JOB)
    plugin_folder.use(folder)
    yield folder
    plugin_folder.use(None)


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """The target: a file."""
    file = tmp_path / "nightly.json"
    file.write_text('{"generation": 7, "up": false}')
    return file


@pytest.fixture
def settings(tmp_path: Path, plugins: Path, job: Path) -> Settings:
    books = tmp_path / "runbooks"
    books.mkdir()
    (books / "services.yaml").write_text(SERVICES.format(file=job))
    (books / "oncall.yaml").write_text(PEOPLE)
    (books / "job-down.md").write_text(CHECKED)
    return Settings(data=tmp_path, runbooks=books, plugins=plugins)


def begun(store: Store, settings: Settings, kind: str = "job") -> PlaybookRun:
    """The run of the incident that an alert about the job opens."""
    library = open_library(settings)
    assert library.problems == ()
    received = alert(f"{kind.capitalize()}Down", **{kind: "nightly"}, instance="web-1")
    place = routing.place(received, library)
    assert place.runbook is not None, place.why
    target = library.services.by_id(place.target)
    assert target is not None
    plan = Plan(place.runbook.name, place.runbook.version, place.runbook.text, rungs=1)
    with store.record() as tx:
        incident = lifecycle.open_incident(
            tx, received, service=place.service, target=place.target, policy="default", reason=place.why, plan=plan
        )
        assert attempts.begin_attempt(tx, incident.number, 1, flow_run="run-1") is None
    return playbook_run(store, settings, incident, place.runbook, target)


def restart(run: PlaybookRun) -> None:
    with exclusive.exclusive(run, run.target.id):
        guarded.change(run, run.target.id, RESTART, name="restart", step=act.restart.__wrapped__)  # type: ignore[attr-defined]


def test_it_is_found_by_an_alert_looked_at_restarted_and_verified(store: Store, settings: Settings, job: Path) -> None:
    run = begun(store, settings)
    assert run.target.id == "web-1/job:nightly"
    assert measure(run).why == "its job says down"
    [seen] = pieces(gather(run.target, ("generation",), since=utc_now(), patience=timedelta(seconds=20)))
    assert seen.body == '{"generation": 7, "up": false}'
    restart(run)
    assert json.loads(job.read_text()) == {"generation": 8, "up": True}
    with store.read() as tx:
        [done] = acts.of(tx, run.incident.number)
    assert done.result == "done"
    assert reading.restarted(run.target, done.identity, reading.identity(run.target))
    assert reading.running(run.target, reading.identity(run.target))
    assert measure(run).sight is not Sight.FAILING


@pytest.mark.parametrize(
    ("says", "result"),
    [("", "failed"), ('RENEWS = ("restart",)', "failed"), ("RENEWS = ()", "done")],
    ids=["it says nothing", "its restart renews", "its restart need not"],
)
def test_one_that_says_it_restarted_and_has_the_same_instance_has_failed(
    store: Store, settings: Settings, plugins: Path, job: Path, says: str, result: str
) -> None:
    lying = JOB.replace('["generation"] + 1, expected', '["generation"], expected')
    assert lying != JOB
    (plugins / "targets" / "job.py").write_text(f"{lying}\n{says}\n")
    plugin_folder.use(None)
    plugin_folder.use(plugins)
    run = begun(store, settings)
    expected = (
        pytest.raises(PermanentError, match=r"web-1/job:nightly answered that it is done, and nothing has changed")
        if result == "failed"
        else nullcontext()
    )
    with expected:
        restart(run)
    assert json.loads(job.read_text()) == {"generation": 7, "up": True}
    with store.read() as tx:
        assert [act.result for act in acts.of(tx, run.incident.number)] == [result]
        [why] = [entry.reason for entry in trail.entries(tx) if entry.phase == "outcome"]
    assert ("the same instance runs as before (generation 7, up)" in why) is (result == "failed")


def two_kinds(settings: Settings, plugins: Path, tmp_path: Path) -> Path:
    """Beside the job a target of another kind, on its host and with its name; the file of that one."""
    (plugins / "targets" / "task.py").write_text(JOB.replace('LABEL = "job"', 'LABEL = "task"'))
    plugin_folder.use(None)
    plugin_folder.use(plugins)
    file = tmp_path / "task.json"
    file.write_text('{"generation": 40, "up": false}')
    services = settings.runbooks / "services.yaml"
    services.write_text(services.read_text() + f'      - {{host: web-1, task: {{name: nightly, file: "{file}"}}}}\n')
    limits = "guardrails: {cooldown: 1h}\n---\n**Meaning"
    job = CHECKED.replace("---\n**Meaning", limits)
    (settings.runbooks / "job-down.md").write_text(job)
    task = (
        job.replace("job-down", "task-down").replace("JobDown", "TaskDown").replace('{job: "{job}"', '{task: "{task}"')
    )
    (settings.runbooks / "task-down.md").write_text(task.replace("name: nightly", "name: nightly-task"))
    return file


def test_two_kinds_may_have_one_name_on_one_host(
    store: Store, settings: Settings, plugins: Path, job: Path, tmp_path: Path
) -> None:
    file = two_kinds(settings, plugins, tmp_path)
    one, other = begun(store, settings), begun(store, settings, "task")
    assert (one.target.id, other.target.id) == ("web-1/job:nightly", "web-1/task:nightly")
    with store.record() as tx:  # a window of the one is none of the other's
        now, more = tx.now, timedelta(hours=1)
        maintenance.add(
            tx,
            service="billing",
            target=one.target.id,
            starts_at=now,
            ends_at=now + more,
            by="ada",
            reason="a new disk",
        )
    with exclusive.exclusive(one, one.target.id), exclusive.exclusive(other, other.target.id):  # two claims
        guarded.change(other, other.target.id, RESTART, name="restart", step=act.restart.__wrapped__)  # type: ignore[attr-defined]
        with pytest.raises(Refused, match="maintenance"):
            guarded.change(one, one.target.id, RESTART, name="restart", step=act.restart.__wrapped__)  # type: ignore[attr-defined]
        with store.record() as tx:
            maintenance.end(tx, 1, by="ada", reason="done")
        # The cooldown of the other's restart is not its own.
        guarded.change(one, one.target.id, RESTART, name="restart", step=act.restart.__wrapped__)  # type: ignore[attr-defined]
    assert [json.loads(path.read_text())["generation"] for path in (job, file)] == [8, 41]


def test_a_remedy_of_its_own_is_a_rung_of_the_ladder(store: Store, settings: Settings, job: Path) -> None:
    ladder = "  remedies: [reload, restart]\n  evidence:"
    (settings.runbooks / "job-down.md").write_text(
        CHECKED.replace("restart-service", "restore-service").replace("  evidence:", ladder)
    )
    run = begun(store, settings)
    reload, then = run.runbook.remedies
    assert [(remedy.rung, remedy.name) for remedy in (reload, then)] == [(1, "reload"), (2, "restart")]
    with exclusive.exclusive(run, run.target.id):
        guarded.change(run, run.target.id, reload, name="reload", step=act.offered.__wrapped__)  # type: ignore[attr-defined]
    assert json.loads(job.read_text()) == {"generation": 7, "up": True}
    with store.read() as tx:
        [done] = acts.of(tx, run.incident.number)
        entries = [(entry.phase, entry.what) for entry in trail.entries(tx) if entry.phase in ("intent", "outcome")]
    assert (done.remedy, done.result, entries) == ("reload", "done", [("intent", "reload"), ("outcome", "reload.done")])
    assert measure(run).sight is not Sight.FAILING


def test_a_remedy_that_the_runbook_no_longer_names_is_withdrawn(store: Store, settings: Settings, job: Path) -> None:
    file = settings.runbooks / "job-down.md"
    first = CHECKED.replace("restart-service", "restore-service").replace(
        "  evidence:", "  remedies: [reload]\n  evidence:"
    )
    file.write_text(first)
    run = begun(store, settings)
    [reload] = run.runbook.remedies
    file.write_text(first.replace("[reload]", "[restart]"))
    with exclusive.exclusive(run, run.target.id), pytest.raises(Refused, match="no longer names reload"):
        guarded.change(run, run.target.id, reload, name="reload", step=act.offered.__wrapped__)  # type: ignore[attr-defined]
    assert json.loads(job.read_text()) == {"generation": 7, "up": False}


def test_a_remedy_of_another_kind_is_refused_by_lint(settings: Settings) -> None:
    program = "supervisord: {program: app, address: unix:///nowhere}"
    (settings.runbooks / "services.yaml").write_text(
        SERVICES.format(file="x") + f"      - {{host: web-1, {program}}}\n"
    )
    other = RUNBOOK.replace('{job: "{job}"', '{supervisord: "{job}"').replace("[generation]", "[]")
    other = other.replace("restart-service", "restore-service").replace(
        "  evidence:", "  remedies: [reboot]\n  evidence:"
    )
    other = other.replace("check: missing_for", "memory_below: 1GB").replace("runbook: job-down", "runbook: other")
    (settings.runbooks / "other.md").write_text(other)
    [problem] = open_library(settings).problems
    assert "with.remedies.0: targets of the kind supervisord offer no reboot; they offer: restart, reload" in str(
        problem
    )
    (settings.runbooks / "other.md").write_text(other.replace("[reboot]", "[rebot]"))
    [problem] = open_library(settings).problems
    shipped = {name for module in Registry().usable(Room.TARGETS).values() for name in module.REMEDIES}
    asked = {name for module in Registry().usable(Room.TARGETS).values() for name in getattr(module, "ASKED", {})}
    named = ["restart", *sorted({*shipped, "reload"} - {"restart"}), "rollback"]
    words = ", ".join(f"`{name}: {{…}}`" if name in asked else f"`{name}`" for name in named)
    assert f"write {words}" in str(problem)
    enum = schema()["$defs"]["_With"]["properties"]["remedies"]["items"]["anyOf"][0]["enum"]
    assert enum == [*sorted({*shipped, "reload", "restart"} - asked), "rollback"]


def test_an_act_whose_outcome_is_open_is_settled_by_the_kind_s_own_instances(
    store: Store, settings: Settings, job: Path
) -> None:
    run = begun(store, settings)
    limits, before = pinned_and_current(run, RESTART)[0], reading.identity(run.target)
    with exclusive.claimed(run, run.target.id), store.record() as tx:
        assert run.keeper is not None
        claim, deadline = run.keeper.claim, timedelta(seconds=30)
        intent = intents.intend(tx, claim, rung=1, remedy="restart", identity=before, deadline=deadline, limits=limits)
    assert isinstance(intent, acts.Act)
    assert not exclusive.happened(run, intent)
    job.write_text('{"generation": 8, "up": true}')
    assert exclusive.happened(run, intent)


def test_another_instance_than_the_judged_one_is_not_restarted(
    store: Store, settings: Settings, job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(store, settings)
    intend = guarded._intend

    def and_somebody_restarts_it(*args: object) -> object:
        job.write_text('{"generation": 8, "up": false}')
        return intend(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(guarded, "_intend", and_somebody_restarts_it)
    with pytest.raises(Refused):
        restart(run)
    assert json.loads(job.read_text())["generation"] == 8


def test_its_keys_are_in_the_schema_and_its_errors_are_at_their_place(settings: Settings) -> None:
    assert "job" in json.dumps(schema()["$defs"])
    (settings.runbooks / "services.yaml").write_text(SERVICES.format(file="x").replace("name:", "nmae:"))
    with pytest.raises(
        PermanentError, match=r"services.yaml:4:\d+: services.billing.targets.0.job.nmae: .* did you mean name"
    ):
        open_library(settings)
    (settings.runbooks / "services.yaml").write_text(SERVICES.format(file="x").replace("job:", "jbo:"))
    with pytest.raises(PermanentError, match=r"targets.0.jbo: .*; did you mean job\?"):
        open_library(settings)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            ("evidence: [generation]", "evidence: [generation, journal]"),
            "with.evidence.1: targets of the kind job offer no 'journal'; they offer: generation, log-tail",
        ),
        (
            ("evidence: [generation]", "evidence: [generatoin]"),
            "with.evidence.0: no kind of target has the evidence 'generatoin'; did you mean generation?",
        ),
        (
            ("verify: {check: missing_for,", "verify: {memory_below: 1GB,"),
            "with.verify.memory_below: targets of the kind job do not tell their memory",
        ),
        (
            ('target: {job: "{job}",', "target: {jbo: x,"),
            "with.target.jbo: no such key, or one that is not enforced; did you",
        ),
    ],
)
def test_what_its_kind_does_not_offer_is_refused_by_lint_where_it_stands(
    settings: Settings, change: tuple[str, str], words: str
) -> None:
    file = settings.runbooks / "job-down.md"
    file.write_text(CHECKED.replace(*change))
    [problem] = open_library(settings).problems
    assert words in str(problem)
    line = file.read_text().split("\n")[problem.line - 1]
    assert change[1].split(":")[0].strip() in line


def test_a_remedy_that_its_kind_does_not_offer_is_refused_by_lint(settings: Settings, plugins: Path) -> None:
    (plugins / "targets" / "job.py").write_text(JOB.replace('REMEDIES = ("restart", "reload")', "REMEDIES = ()"))
    plugin_folder.use(None)
    plugin_folder.use(plugins)
    [problem] = open_library(settings).problems
    assert "with.remedies.0: targets of the kind job cannot be restarted" in str(problem)
    assert "they offer: `run: NAME`" in str(problem)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (('LABEL = "job"', ""), "it has no text 'LABEL'"),
        (('LABEL = "job"', 'LABEL = "instance"'), "its LABEL 'instance' has another meaning"),
        (('REMEDIES = ("restart", "reload")', 'REMEDIES = ("reboot",)'), "its 'Changer' has no method 'reboot'"),
        (('REMEDIES = ("restart", "reload")', 'REMEDIES = ("run",)'), "its 'REMEDIES' has 'run': a name is"),
        (('REMEDIES = ("restart", "reload")', 'REMEDIES = "restart"'), "its 'REMEDIES' is not a list of names"),
        (
            ("class Words(", 'RENEWS = ("reboot",)\n\n\nclass Words('),
            "its 'RENEWS' has 'reboot', which 'REMEDIES' does not",
        ),
        (("class Words(", 'RENEWS = "restart"\n\n\nclass Words('), "it has no tuple of texts 'RENEWS'"),
        (("EVIDENCE = {", "PROOFS = {"), "its 'EVIDENCE' is not a mapping"),
        (("def running(", "def runs("), "it has no function or class 'running'"),
        (("class Words(", "class Keys("), "'Words' is not a type"),
        (("class Reader", "import nowhere_at_all\nclass Reader"), "No module named 'nowhere_at_all'"),
    ],
)
def test_a_broken_one_is_named_and_what_lists_it_is_refused_in_words(
    settings: Settings, plugins: Path, change: tuple[str, str], why: str
) -> None:
    assert change[0] in JOB
    (plugins / "targets" / "job.py").write_text(JOB.replace(*change))
    plugin_folder.use(None)
    plugin_folder.use(plugins)
    [fault] = registry.current().broken()
    assert (fault.name, why in fault.why) == ("job", True), fault.why
    with pytest.raises(PermanentError, match=r"services.yaml:4:.*targets.0.job: .*cannot be used") as refused:
        open_library(settings)
    assert why in str(refused.value)


def test_a_key_of_every_target_is_no_kind_s_name(plugins: Path) -> None:
    (plugins / "targets" / "log.py").write_text(JOB)
    [fault] = Registry(plugins).broken()
    assert (fault.room, fault.name, "services.yaml has a key 'log'" in fault.why) == (Room.TARGETS, "log", True)


def test_a_fault_in_its_own_words_is_told_where_the_target_is_listed(settings: Settings, plugins: Path) -> None:
    (plugins / "targets" / "job.py").write_text(JOB.replace("return words.name", "return words.nothing"))
    plugin_folder.use(None)
    plugin_folder.use(plugins)
    with pytest.raises(PermanentError, match=r"services.yaml:4:\d+: services.billing.targets.0: .*nothing"):
        open_library(settings)


def test_the_page_s_table_of_shipped_kinds_says_what_they_offer() -> None:
    page = (Path(__file__).parents[2] / "docs" / "targets.md").read_text()
    rows = {row[0]: row[1:] for row in re.findall(r"^\| `(\w+)` \| `(\w+)` \| (.*?) \| (.*?) \|$", page, re.MULTILINE)}
    shipped = Registry().usable(Room.TARGETS)
    assert rows == {
        name: (
            kind.LABEL,
            ", ".join(f"`{word}`" for word in kind.EVIDENCE),
            ", ".join(f"`{word}`" for word in kind.REMEDIES),
        )
        for name, kind in shipped.items()
    }
