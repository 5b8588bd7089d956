"""A folder that lint calls well can be carried out: located, placed, probed, verified, run, paged; no value is dropped."""

import copy
import io
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import reduce
from ipaddress import ip_address
from operator import getitem
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from test_bounds import FILES, ONCALL, PROSE, RUNBOOK, SERVICES
from whenever import PlainDateTime

from paramedic.alerts.alert import Severity
from paramedic.catalog.advice import advice
from paramedic.catalog.agreement import meant_by
from paramedic.catalog.library import Library, read_folder
from paramedic.catalog.runbook import Runbook
from paramedic.checks.check import CheckAtTarget
from paramedic.checks.threshold import Level
from paramedic.integrations.channels import email
from paramedic.integrations.remedies.command import Changer
from paramedic.remediation.health import Sight
from paramedic.remediation.target import Target
from paramedic.sampling.one_sample import sample
from paramedic.text import template
from paramedic.text.yaml_document import BadDocument
from paramedic.transports import http_probe

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
ACT_DEADLINE = timedelta(seconds=30)

# --- folders, good and bad --------------------------------------------------------------------------------------------

HOSTS = ["web-1", "web-1.internal", "10.0.0.1", "::1", "2001:db8::7", "{host}"]
LABELS = ["instance", "host", "program", "unit", "host.name", "k8s-pod", "job name", "größe"]


def mostly(good: st.SearchStrategy[Any], *bad: Any) -> st.SearchStrategy[Any]:
    """Good, and now and then what somebody writes by mistake: small numbers and ends of a range are drawn more often."""
    return st.integers(0, 99).flatmap(lambda number: st.sampled_from(bad) if 50 <= number < 55 else good)


short = mostly(st.sampled_from(["1s", "5s", "20s"]), "10ms", "31s", "0s", "2h", "5")
long = mostly(st.sampled_from(["1m", "5m", "40m"]), "10ms", "51m", "2d", "0s", "5 min")

templates = mostly(
    st.sampled_from(["{instance}", "{host}", *(f"{{{label}}}" for label in LABELS)]),
    *("{instance", "{{instance}}", "{}", "x-{instance}", "web-9", "{ instance }"),
)
health = mostly(
    st.sampled_from(["http://127.0.0.1:80/", "https://[::1]/health"]), None, "http://{host}:80/", "http://h:0/"
)


@st.composite
def targets(draw: st.DrawFn) -> dict[str, Any]:
    host = draw(mostly(st.sampled_from(HOSTS[:-1]), HOSTS[-1]))
    if draw(st.booleans()):
        kind: dict[str, Any] = {
            "supervisord": {"program": draw(st.sampled_from(["api", "g:web"])), "address": "unix:///s"}
        }
    else:
        kind = {"systemd": draw(mostly(st.sampled_from(["api.service", "web@1.service"]), "api"))}
    command = {"run": ["clear", "{x}"], "timeout": draw(short), "environment": ["LANG"]}
    more = {
        "health": draw(health),
        "log": draw(mostly(st.just("/var/log/api"), None, "/var/{host}")),
        "releases": draw(st.sampled_from(["/srv/api", None])),
        "commands": draw(st.sampled_from([{"clear": command}, None])),
        "also": draw(mostly(st.sampled_from([[], [f"{host}:9100"]]), ["{host}:1"])),
    }
    return {"host": host} | kind | {key: value for key, value in more.items() if value is not None}


checks = st.one_of(
    st.fixed_dictionaries({"check": st.just("health")}),
    st.fixed_dictionaries(
        {
            "check": mostly(
                st.sampled_from(["http://{host}:8080/x", "https://api/{host}"]), "http://{hst}:1/", "http://{host"
            )
        },
        optional={"latency_p95": st.just({"critical": "200ms"}), "error_rate": st.just({"warning": "1%", "for": "0s"})},
    ),
    st.fixed_dictionaries(
        {"check": mostly(st.sampled_from(["tcp://{host}:80", "tls://{host}:443"]), "tcp://{host}", "hosts")}
    ),
    st.fixed_dictionaries(
        {
            "check": st.just("heartbeat"),
            "name": mostly(st.just("backup-{host}"), "b-{x}"),
            "missing_for": st.just({"critical": "1h"}),
        }
    ),
    st.fixed_dictionaries({"check": st.just("host"), "path": mostly(st.just("/"), "/{disk}")}),
    st.fixed_dictionaries({"check": st.just("process"), "every": long, "timeout": short, "window": long}),
)


@st.composite
def runbooks(draw: st.DrawFn, kinds: list[str]) -> dict[str, Any]:
    kind = draw(st.sampled_from(kinds))
    name = draw(mostly(st.sampled_from(["{program}", "{unit}", "{program.name}", "api", "api.service"]), "{"))
    found = draw(st.lists(checks, max_size=2, unique_by=lambda check: check["check"].partition(":")[0]))
    verify = {"stable": draw(short), "within": draw(long)}
    verify |= draw(st.sampled_from([{"health": "ok"}, {"memory_below": "1GB"}, {"check": "error_rate"}]))
    return {
        "runbook": "r",
        "service": "api",
        "when": [{"alert": "Down"}, *found],
        "playbook": "restore-service",
        "with": {
            "target": {kind: name, "host": draw(templates)},
            "evidence": draw(st.lists(st.sampled_from(["memory", "log-tail", "journal"]), unique=True, max_size=1)),
            "remedies": draw(
                st.lists(st.sampled_from(["restart", "rollback", {"run": "clear"}]), min_size=1, max_size=2)
            ),
            "verify": verify,
        },
        "guardrails": {"budget": draw(mostly(st.just("3 per hour"), "3/h")), "cooldown": draw(long)},
    }


@st.composite
def oncalls(draw: st.DrawFn) -> dict[str, Any]:
    mailbox = mostly(
        st.sampled_from(["ada@example.org", "ada@bücher.example", "a+b@localhost", "ada@[127.0.0.1]"]),
        *("jürgen@example.org", "a..b@example.org", "ada@-x.org", "a@xxx(300).org"),
    )
    starts = mostly(
        st.sampled_from(["2026-01-05 09:00", "2026-03-29T02:30", "2026-10-25 02:30:00", "2026-02-01 00:00"]),
        *("2026-01-05T09:00:00Z", "2026-01-05 09:00+01:00", "2026-01-05 09:00:30"),
    )
    return {
        "people": {name: {"name": name, "email": draw(mailbox)} for name in ("ada", "ben")},
        "rotation": {
            "zone": draw(mostly(st.sampled_from(["UTC", "Europe/Rome", "Pacific/Apia"]), "Europe/Rom")),
            "starts": draw(starts),
            "every": draw(st.sampled_from(["1 day", "1 week"])),
            "people": ["ada", draw(mostly(st.just("ben"), "eve"))],
        },
        "policies": {
            "default": {"rungs": [{"tell": "oncall"}, {"tell": "ben", "after": draw(short)}], "repeat": draw(long)}
        },
    }


@st.composite
def folders(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    listed = draw(st.lists(targets(), min_size=1, max_size=2))
    kinds = [kind for kind in ("supervisord", "systemd") if any(kind in target for target in listed)]
    return {
        "services.yaml": {"services": {"api": {"targets": listed}}},
        "r.md": draw(runbooks(draw(mostly(st.just(kinds), ["supervisord", "systemd"])))),
        "oncall.yaml": draw(oncalls()),
    }


def dumped(document: dict[str, Any]) -> str:
    out = io.StringIO()
    YAML(typ="safe", pure=True).dump(document, out)
    return out.getvalue()


def well(folder: dict[str, dict[str, Any]]) -> Library | None:
    """The library, if `paramedic runbook lint` has nothing to say but that a heading is empty; None where it has."""
    with TemporaryDirectory() as place:
        for name, document in folder.items():
            text = dumped(document)
            (Path(place) / name).write_text(f"---\n{text}{PROSE}" if name.endswith(".md") else text, encoding="utf-8")
        try:
            library = read_folder(Path(place))
        except BadDocument:
            return None
        found = [*library.problems, *advice(library, Path(place), act_deadline=ACT_DEADLINE)]
        return None if any("there is nothing under" not in problem.what for problem in found) else library


# --- carried out ------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(folders())
def test_what_lint_calls_well_can_be_carried_out(folder: dict[str, dict[str, Any]]) -> None:
    library = well(folder)
    event("well" if library else "refused")
    if library is not None:
        [runbook] = library.runbooks.values()
        located(runbook, library)
        placed_and_probed(runbook, library)
        verified(runbook, library)
        paged(library, folder["oncall.yaml"]["rotation"]["starts"])


def test_the_folders_that_are_tried_are_well_often_enough_to_say_something() -> None:
    """Nor is every one of them: the mistakes among them are refused."""
    found: list[bool] = []

    @settings(max_examples=150, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(folders())
    def tried(folder: dict[str, dict[str, Any]]) -> None:
        found.append(well(folder) is not None)

    tried()
    assert 10 <= found.count(True) <= len(found) - 10


def labels_for(runbook: Runbook, target: Target, host: str) -> dict[str, str] | None:
    """The labels of an alert that means this target; None where one label would have to say two things."""
    labels: dict[str, str] = {}
    for written, value in ((runbook.target.name, target.name), (runbook.target.host, host)):
        pattern = re.sub(r"\\\{.*?\\\}", "(.*)", re.escape(written))
        match = re.fullmatch(pattern, value)
        if match is None:
            return None
        for label, part in zip(template.fields(written), match.groups(), strict=True):
            if labels.setdefault(label, part) != part:
                return None
    return labels


def located(runbook: Runbook, library: Library) -> None:
    """Every listed target that its template can mean is found by an alert, by each spelling of its host."""
    meant = meant_by(runbook, library.services)
    assert meant
    for target in meant:
        for host in library.services.names_of(target.host):
            if (labels := labels_for(runbook, target, host)) is not None:
                assert runbook.located(labels, library.services) == target


class _Asked(Exception):
    pass


def placed_and_probed(runbook: Runbook, library: Library) -> None:
    placed = runbook.placed(library.services)
    assert bool(placed) == bool(runbook.checks)
    for each in placed:
        probed(each)
        for threshold in each.check.thresholds:
            value = threshold.mildest
            alert = each.alert(threshold, Level.CRITICAL, value=value, began_at=NOW, ended_at=None)
            assert runbook.wants(alert)
            assert runbook.locate(alert, library.services) == each.target


def probed(placed: CheckAtTarget) -> None:
    """One look, with a network that only writes down what it is asked for."""
    asked: list[tuple[str, int, float]] = []

    def connect(address: tuple[str, int], timeout: float, *_: Any, **__: Any) -> Any:
        asked.append((*address, timeout))
        raise ConnectionRefusedError

    def get(url: str, timeout: timedelta) -> Any:
        parts = urlsplit(url)
        assert "{" not in url
        asked.append((parts.hostname or "", parts.port or 80, timeout.total_seconds()))
        return http_probe.Probe(status=200, took_ms=1.0, why="200", sight=Sight.WELL)

    heard: list[str] = []

    def last_heard(name: str) -> timedelta:
        heard.append(name)
        return timedelta(0)

    check, target = placed.check, placed.target
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "create_connection", connect)
        patch.setattr(http_probe, "probe", get)
        seen = sample(check, target, now=lambda: NOW, last_heard=last_heard)
    assert "the check itself failed" not in seen.why, seen.why
    assert "cannot be asked" not in seen.why, seen.why
    where = check.where
    if "://{host}" in where:
        [(host, _, timeout)] = asked
        assert host == target.host
        assert timeout == check.timeout.total_seconds()
    if heard:
        assert heard == [where.replace("{host}", target.host)]


def verified(runbook: Runbook, library: Library) -> None:
    """Its conditions can be seen at every target that it means; each has its time, within that of the step."""
    verify = runbook.verify
    assert timedelta(0) < verify.stable < verify.within < timedelta(hours=1)
    measured = {threshold.metric for check in runbook.checks for threshold in check.thresholds}
    assert set(verify.metrics) <= measured
    for target in meant_by(runbook, library.services):
        if verify.health:
            assert target.health is not None
            assert ip_or_name(urlsplit(target.health).hostname or "")
        for remedy in runbook.remedies:
            if remedy.command is not None:
                command = target.commands[remedy.command]
                changer = Changer(target, command, None, {}, ACT_DEADLINE)  # type: ignore[arg-type]
                assert changer._within == command.timeout


def ip_or_name(host: str) -> bool:
    try:
        return bool(ip_address(host))
    except ValueError:
        return re.fullmatch(r"[\w.-]+", host) is not None


def paged(library: Library, written: str) -> None:
    """Turns begin at the moment that was written, whoever is on call is one of the people, and their mail can leave."""
    oncall = library.oncall
    moment = datetime.fromisoformat(written)
    if moment.tzinfo is None:
        moment = PlainDateTime(moment).assume_tz(oncall.rotation.zone).to_instant().to_stdlib()
    turn = oncall.rotation.turns(NOW - timedelta(days=60), NOW + timedelta(days=300))[0]
    assert turn == moment
    assert oncall.rotation.who(turn) == "ada"
    for severity in Severity:
        policy = oncall.policy("default", severity)
        assert [step.tell for step in policy.steps] == ["oncall", "ben"]
    for person in oncall.people.values():
        [method] = person.contact_methods
        assert email._address(method.to).addr_spec.isascii()


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
    document, read = FILES[file]
    parsed: Callable[[dict[str, Any]], Any] = lambda each: without_text(read(dumped(each)))  # noqa: E731
    assert other != value
    assert parsed(changed(document, at, other)) != parsed(document)
