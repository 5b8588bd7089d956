"""What lint refuses, no run begins with, and no act relies on; what it calls well is drawn whole, key by key, and carried out.

That each value drawn reaches the code that uses it: `test_runbooks_as_written`, `test_checks_as_written`,
`test_guardrails_as_written`, `test_oncall_as_written`, `test_settings_as_written`.
"""

import copy
import functools
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import reduce
from operator import getitem
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from databases import migrated
from forms import examples
from hypothesis import HealthCheck, Phase, event, given, seed, settings
from hypothesis import strategies as st
from recorded_machine import Clock
from test_bounds import FILES, ONCALL, RUNBOOK, SERVICES
from well_cases import Case, cases, check_folders, guarded_folders
from well_files import SUBJECTS, Folder, checks, dumped, linted, written
from well_oncall import oncalls

from paramedic.alerts.alert import Alert, Status, fingerprint
from paramedic.catalog import runbook_file, services
from paramedic.catalog.library import Library, library_in_force, open_library
from paramedic.catalog.runbook import Runbook
from paramedic.change.limits import pinned_and_current
from paramedic.checks import probes
from paramedic.incidents.incident import Incident, State
from paramedic.intake.intake import Intake
from paramedic.oncall import oncall_file
from paramedic.settings import Settings
from paramedic.store import Store, inbox, incidents, messages, outbox
from paramedic.text.yaml_document import BadDocument

Keys = tuple[Any, ...]

# --- what lint refuses ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Break:
    """What somebody writes by mistake: in which file, at which keys, and what."""

    file: str
    at: Keys
    value: Any


def places(document: Any, at: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Every key and item of the document, as it is written, and its value."""
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in items:
        yield (*at, key), value
        yield from places(value, (*at, key))


#: Under these every key is a name that an author chooses.
NAMED = ("hosts", "services", "people", "policies", "commands", "approval")

#: Of a file whose parts are all right by themselves: what no other file, or no other part, agrees with.
DISAGREEING: tuple[Break, ...] = (
    Break("runbook", ("runbook",), "another-name"),
    Break("runbook", ("service",), "gone"),
    Break("runbook", ("playbook",), "no-such-playbook"),
    Break("runbook", ("escalate",), {"policy": "nobody"}),
    Break("runbook", ("notify",), ["email:nobody@example.org"]),
    Break("runbook", ("with", "remedies"), [{"run": "gone"}]),
    Break("runbook", ("with", "target", "host"), "web-99"),
    Break("runbook", ("with", "verify", "check"), "disk"),
    Break("runbook", ("with", "verify", "within"), "1ms"),
    Break("runbook", ("guardrails",), {"at_once": "1 of 99"}),
    Break("runbook", ("guardrails",), {"again": True}),
    Break("runbook", ("guardrails",), {"approval": {"power_off": "critical"}}),
    Break("oncall", ("policies", "default", "rungs", 0, "tell"), "eve"),
    Break("oncall", ("rotation", "people"), ["eve"]),
    Break("oncall", ("rotation", "zone"), "Europe/Rom"),
    Break("oncall", ("policies", "default", "critical"), [{"tell": "ada"}]),
)


@st.composite
def breaks(draw: st.DrawFn, folder: Folder) -> Break:
    """A key that there is not, a value that none of them takes, or one that disagrees with the rest."""
    kind = draw(st.sampled_from(["misspelt", "of another form", "disagreeing"]))
    event(kind)
    if kind == "disagreeing":
        return draw(st.sampled_from(DISAGREEING))
    file = draw(st.sampled_from(["runbook", "services", "oncall"]))
    found = list(places(written(getattr(folder, file))))
    if kind == "misspelt":
        own = [at for at, _ in found if isinstance(at[-1], str) and (len(at) < 2 or at[-2] not in NAMED)]
        at = draw(st.sampled_from([at for at in own if "rollback-if" not in at[-1] and at[-1] != "run"]))
        return Break(file, (*at[:-1], f"{at[-1]}s_"), 1)
    leaves = [at for at, value in found if not isinstance(value, dict | list)]
    return Break(file, draw(st.sampled_from(leaves)), {"no": {"such": "thing"}})


def broken(folder: Folder, how: Break) -> Folder:
    document = copy.deepcopy(written(getattr(folder, how.file)))
    reduce(getitem, how.at[:-1], document)[how.at[-1]] = how.value
    return folder._replace(**{how.file: document})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@settings(max_examples=examples(30), derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data(), case=cases())
def test_what_lint_refuses_no_run_begins_with(data: st.DataObject, case: Case, tmp_path: Path, clock: Clock) -> None:
    """Neither a new incident has a run by it, nor does a run of before, which began with what was well, act."""
    folder = case.folder
    how = data.draw(breaks(folder))
    place = tmp_path / "runbooks"
    place.mkdir(exist_ok=True)
    chosen = Settings(data=tmp_path, runbooks=place, act_deadline=folder.settings["act_deadline"].means)
    before = linted(folder.write(place), chosen.act_deadline)
    [runbook] = before.runbooks.values()
    store, incident = received(case, lambda: before, tmp_path / "before.db", clock)
    with closing(store):
        assert incident.runbook == runbook.name
        broken(folder, how).write(place, called=folder.name)
        for copied in (tmp_path / "last-good").glob("*"):
            copied.unlink()
        assert refused(chosen, how)
        stands_still(case, chosen, tmp_path, clock)
        target = before.services.targets[incident.target]
        run: Any = SimpleNamespace(
            settings=chosen, store=store, incident=incident, runbook=runbook, own=runbook, target=target
        )
        for remedy in runbook.remedies:
            if remedy.name.startswith("rollback"):
                continue  # which looks at its releases first
            _, current = pinned_and_current(run, remedy)
            assert current.withdrawn is not None


def refused(chosen: Settings, how: Break) -> bool:
    """Lint says so, in the file that it is about."""
    file = {"runbook": ".md", "services": "services.yaml", "oncall": "oncall.yaml"}[how.file]
    try:
        problems = open_library(chosen).problems
    except BadDocument as error:
        problems = tuple(error.problems)
    # What services.yaml or oncall.yaml says no more may be missed by the runbook instead.
    return any(one.file.endswith((file, ".md")) for one in problems)


def received(case: Case, library: Callable[[], Library], file: Path, clock: Clock) -> tuple[Store, Incident]:
    """The incident that the case's alert opens in a new store."""
    labels = case.labels | {label: _met(operator, value) for label, operator, value in case.wanted[1]}
    said = {"alertname": case.wanted[0], **labels}
    alert = Alert("test", case.wanted[0], case.severity, Status.FIRING, clock.time, fingerprint("test", said), said)
    store = Store(migrated(file), now=clock.now)
    with store.record() as tx:
        inbox.put(tx, [alert], source="test", sender="test")
    assert Intake(store, library).work() == 1
    with store.read() as tx:
        [incident] = incidents.listed(tx)
    return store, incident


def stands_still(case: Case, chosen: Settings, home: Path, clock: Clock) -> None:
    """Its alert opens an incident for a person, and orders no run."""
    store, incident = received(case, lambda: library_in_force(chosen), home / "store.db", clock)
    with closing(store), store.read() as tx:
        assert (incident.state, incident.runbook) == (State.HANDED_OVER, None)
        assert outbox.waiting(tx) == []
        assert [one.kind for one in messages.of(tx, incident.number)] == ["rung"]


def _met(operator: str, value: str) -> str:
    if operator in ("=", "=~"):
        return value.partition("|")[0] if operator == "=~" else value
    return "zzz"


# --- what is drawn ----------------------------------------------------------------------------------------------------


def keys_of(schema: dict[str, Any]) -> set[Keys]:
    """Every key that a JSON Schema knows, by its path; `*` for an item, and for a name that an author chooses."""

    def below(part: Any, at: Keys) -> Iterator[Keys]:
        if "$ref" in part:
            part = reduce(getitem, part["$ref"].removeprefix("#/").split("/"), schema)
        for key, value in part.get("properties", {}).items():
            yield (*at, key)
            yield from below(value, (*at, key))
        for value in part.get("patternProperties", {}).values():
            yield from below(value, (*at, "*"))
        for word in ("items", "additionalProperties"):
            if isinstance(part.get(word), dict):
                yield from below(part[word], (*at, "*"))
        for word in ("anyOf", "allOf", "oneOf"):
            for one in part.get(word, ()):
                yield from below(one, at)

    return {of_any_metric(path) for path in below(schema, ())}


def keys_in(document: Any) -> set[Keys]:
    """Every key of the document, as `keys_of` has it."""
    paths = (
        tuple("*" if isinstance(key, int) or (n and at[n - 1] in NAMED) else key for n, key in enumerate(at))
        for at, _ in places(written(document))
    )
    return {of_any_metric(path) for path in paths if path[-1] != "*"}


def of_any_metric(path: Keys) -> Keys:
    """The same keys for every metric of a check: a check is drawn with those that its probe declares."""
    if path[0] != "when":
        return path
    metrics = {metric.name for probe in probes.usable().values() for metric in probe.METRICS}
    return tuple("METRIC" if key in metrics else key for key in path)


#: What is not drawn, with the tests that follow its values to the code that uses them.
NOT_DRAWN = {
    "container": "catalog/test_containers_as_written.py",
    "postgres": "integrations/targets/test_lying_postgres.py",
    "machine": "integrations/targets/test_rebooted_machine.py",
    "disk": "integrations/targets/test_disk_as_written.py",
    **dict.fromkeys(("blocklist", "block_address"), "integrations/targets/test_blocklist_as_written.py"),
    **dict.fromkeys(("deployment", "statefulset", "daemonset"), "integrations/targets/test_workloads.py"),
    "kubernetes": "transports/test_kubernetes_config.py",
    "configuration": "integrations/evidence/test_host_evidence.py",
    "roll_back_to": "kubernetes/test_healthy_revisions.py",
    "process": "catalog/test_processes_as_written.py",
    **dict.fromkeys(("objective", "burn_1h", "burn_6h", "burn_3d"), "checks/test_burn_rate.py"),
    "headers": "integrations/probes/test_http_checks.py",
    "answers": "integrations/probes/test_dns_checks.py",
    **dict.fromkeys(
        ("file", "format", "failed", "journal", "ignore", "per_ipv6"), "integrations/probes/test_failed_logins.py"
    ),
    **dict.fromkeys(
        ("lines", "keys", "took", "took_unit", "at_least", "errors", "only", "without"),
        "integrations/probes/test_access_log.py",
    ),
    **dict.fromkeys(("must", "must_not"), "integrations/probes/test_log_pattern.py"),
    **dict.fromkeys(("tier", "customers"), "catalog/test_service_tiers.py"),
    "depends_on": "catalog/test_service_dependencies.py",
    "inhibit": "intake/test_quiet_alerts.py",
}


@pytest.mark.costly  # seconds of drawing, which say nothing of the product
def test_every_key_of_every_file_is_drawn() -> None:
    """By the schemas that editors have: what is new there is drawn, and so has to reach the code that uses it, or is refused."""
    drawn: dict[str, set[Keys]] = {"runbook": set(), "services": set(), "oncall": set()}

    # One form an example: all of them together are more than Hypothesis draws at once, and what is too much is not drawn.
    of_a_form = st.sampled_from(list(enumerate(SUBJECTS))).flatmap(
        lambda numbered: checks(numbered[0], [numbered[1]], all_keys=True)
    )

    @settings(
        max_examples=examples(50), database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    @given(st.one_of(cases().map(lambda case: case.folder), check_folders(), guarded_folders()), of_a_form, oncalls())
    def draw(folder: Folder, measured: dict[str, Any], oncall: dict[str, Any]) -> None:
        drawn["runbook"] |= keys_in(folder.runbook) | keys_in({"when": [measured]})
        drawn["services"] |= keys_in(folder.services)
        drawn["oncall"] |= keys_in(oncall)

    schemas = {"runbook": runbook_file.schema(), "services": services.schema(), "oncall": oncall_file.schema()}
    assert [file for file in NOT_DRAWN.values() if not (Path(__file__).parent / file).exists()] == []
    missing = {
        (file, key) for file, schema in schemas.items() for key in keys_of(schema) if not NOT_DRAWN.keys() & set(key)
    }
    for number in range(20):  # what is drawn seldom is drawn in the end; what nothing draws never is
        seed(number)(draw)()
        missing = {(file, key) for file, key in missing if key not in drawn[file]}
        if not missing:
            break
    assert missing == set()


# --- no value is dropped ----------------------------------------------------------------------------------------------

#: Another value, where a letter more makes none; None where there is only this one.
_SWAPS = {
    "restart": None, "observe": "ask", "act": "ask", "ok": None,  "critical": "warning", "health": None,
    "supervisord": None, "late": "all", "1 day": "1 week", "Pacific/Kiritimati": "UTC", "2026-01-05 09:00": "2026-01-06 10:30",
    "3 per hour": "4 per hour", "5 per 1h": "6 per 1h", "1 of 4": "2 of 4", "oncall": "ada", "ada": "bob",
    "web-1:9100": "web-1:9200", "webhook:ops": "webhook:other", "ada@example.org": "eve@example.org",
    "http://127.0.0.1:9001": "http://127.0.0.1:9002", "http://127.0.0.1:8080/health": "https://[::1]/",
    "api.service": "apj.service", "tls://api:443": "tls://api:444", "tcp://api:80": "tcp://api:81", "memory": "process-tree",
    "error_rate": "cpu", "10%": "20%", "1%": "2%", "3%": "4%", "90%": "91%", "1GB": "2GB", "7d": "8d", "26h": "27h",
    "15s": "16s", "2s": "3s", "1m": "61s", "5m": "6m", "10m": "11m", "30m": "31m", "4h": "5h", "100ms": "101ms",
    "200ms": "201ms", "0s": "1s", "10s": "11s", "process": None, "host": None, "heartbeat": None, "/": "/var",
}  # fmt: skip


def leaves(document: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in items:
        if isinstance(value, dict | list):
            yield from leaves(value, (*at, key))
        else:
            yield (*at, key), value


def changed(document: dict[str, Any], at: tuple[Any, ...], value: Any) -> dict[str, Any]:
    made = copy.deepcopy(document)
    reduce(getitem, at[:-1], made)[at[-1]] = value
    return made


def without_text(found: Any) -> Any:
    return replace(found, text="", version="", prose="") if isinstance(found, Runbook) else found


LEAVES = [
    (file, at, value, not value if isinstance(value, bool) else _SWAPS.get(value, f"{value}x"))
    for file, document in (("runbook", RUNBOOK), ("services", SERVICES), ("oncall", ONCALL))
    for at, value in leaves(document)
    if _SWAPS.get(value, value) is not None
]


@pytest.mark.parametrize(("file", "at", "value", "other"), LEAVES, ids=lambda part: str(part)[:60])
def test_another_value_of_a_key_is_another_meaning(file: str, at: tuple[Any, ...], value: Any, other: Any) -> None:
    document, _ = FILES[file]
    assert other != value
    assert parsed(file, dumped(changed(document, at, other))) != parsed(file, dumped(document))


@functools.cache
def parsed(file: str, text: str) -> Any:
    """What the file comes to."""
    _, read = FILES[file]
    return without_text(read(text))
