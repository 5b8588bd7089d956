"""A runbook says what is wrong with it: file, line, column, what, and what is allowed."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from paramedic.alerts.alert import Severity
from paramedic.catalog.library import read_folder
from paramedic.catalog.runbook import Mode
from paramedic.catalog.runbook_file import parse, schema
from paramedic.checks.check import CheckSpec, check_spec
from paramedic.demo.folder import write
from paramedic.demo.world import World
from paramedic.remediation.guardrail import AtOnce, Budget
from paramedic.remediation.remedy import Verb
from paramedic.text.yaml_document import BadDocument

ROOT = Path(__file__).parents[2]
GOOD = (ROOT / "runbooks" / "tracking-api-memory.md").read_text()


def _problems(text: str) -> list[str]:
    with pytest.raises(BadDocument) as caught:
        parse(text, "r.md")
    return [str(problem) for problem in caught.value.problems]


def _shelved(folder: Path, text: str) -> Path:
    """The text as the only runbook of the folder, beside the shipped services and people."""
    for file in ("services.yaml", "oncall.yaml"):
        (folder / file).write_text((ROOT / "runbooks" / file).read_text())
    file = folder / "tracking-api-memory.md"
    file.write_text(text)
    return file


def test_the_shipped_runbooks_have_nothing_wrong_and_observe() -> None:
    library = read_folder(ROOT / "runbooks")
    assert library.problems == ()
    assert [(runbook.name, runbook.mode) for runbook in library.runbooks.values()] == [
        ("order-status-slow", Mode.OBSERVE),
        ("tracking-api-memory", Mode.OBSERVE),
        ("tracking-api-slow", Mode.OBSERVE),
    ]


def test_the_shipped_check_writes_out_the_bounds_that_hold_where_none_are_written() -> None:
    [check] = read_folder(ROOT / "runbooks").runbooks["tracking-api-slow"].checks
    shipped = check_spec(CheckSpec)(check="health", every="1s").build()
    assert (check.thresholds, check.window) == (shipped.thresholds, shipped.window)
    assert check == shipped


def test_the_shipped_check_of_orders_has_the_same_bounds_and_looks_at_what_an_answer_says() -> None:
    runbooks = read_folder(ROOT / "runbooks").runbooks
    [tracking], [orders] = (runbooks[name].checks for name in ("tracking-api-slow", "order-status-slow"))
    assert (orders.thresholds, orders.window, orders.every) == (tracking.thresholds, tracking.window, tracking.every)
    assert set(orders.options) == {"body"}


def test_the_demo_s_runbooks_have_nothing_wrong(tmp_path: Path) -> None:
    world = World(tmp_path / "world", [("tracking-api", f"web-{number}", "") for number in range(1, 5)])
    write(tmp_path / "runbooks", world.services_yaml("tracking-api"), {})
    library = read_folder(tmp_path / "runbooks")
    assert library.problems == ()
    assert len(library.runbooks) == 3


def test_a_runbook_is_read_whole() -> None:
    runbook = parse(GOOD, "r.md")
    assert (runbook.name, runbook.mode, runbook.policy) == ("tracking-api-memory", Mode.OBSERVE, "default")
    assert runbook.guardrails.asked["budget"] == Budget(3, timedelta(hours=1))
    assert runbook.verify.memory_below == 1_500_000_000
    assert runbook.verify.stable == timedelta(minutes=1)
    assert "supervisorctl" in runbook.prose


def test_the_service_s_guardrails_are_read() -> None:
    limits = parse(GOOD.replace("budget: 3 per hour", "service_budget: 5 per 30m, at_once: 1 of 4"), "r.md").guardrails
    asked = {key: limits.asked.get(key) for key in ("budget", "service_budget", "at_once")}
    assert asked == {"budget": None, "service_budget": Budget(5, timedelta(minutes=30)), "at_once": AtOnce(1, 4)}


def test_the_channels_it_names_are_told_once_each() -> None:
    named = parse(
        GOOD.replace("settle:", "notify: ['webhook:ops', 'apprise:chat', 'webhook:ops']\nsettle:"), "r.md"
    ).notify
    assert [str(way) for way in named] == ["webhook:ops", "apprise:chat"]


def test_an_address_that_is_nobody_s_hears_nothing(tmp_path: Path) -> None:
    _shelved(tmp_path, GOOD.replace("settle:", "notify: ['email:eve@example.org']\nsettle:"))
    [problem] = read_folder(tmp_path).problems
    assert "notify: email:eve@example.org is nobody's address in oncall.yaml" in str(problem)
    assert "email:ada@example.org" in problem.allowed


def test_without_a_mode_it_observes() -> None:
    without = "\n".join(line for line in GOOD.split("\n") if not line.startswith("mode:"))
    assert parse(without, "r.md").mode is Mode.OBSERVE


def _front(text: str) -> Any:
    return YAML(typ="safe").load(text.split("---")[1])


@pytest.mark.parametrize("text", [GOOD, *(GOOD.replace(*edit) for edit in (
    ("playbook: restart-service", "playbook: restore-service\ngroup: slow"),
    ("settle: 10m", "notify: ['webhook:ops']"),
    ("health: ok, memory_below: 1500MB", "check: [latency_p95, error_rate]"),
    ("  - alert:", "  - {check: health, latency_p95: {critical: 300ms, for: 1m, hysteresis: 5%}}\n  - alert:"),
    ("budget: 3 per hour", "service_budget: 5 per 30m, at_once: 1 of 4, approval: {restart: critical}"),
    ("  verify:", "  remedies: [rollback-if-deployed-within: 30m, {run: x}, restart]\n  verify:"),
))])  # fmt: skip
def test_the_schema_that_an_editor_completes_by_takes_what_lint_takes(text: str) -> None:
    Draft202012Validator(schema()).validate(_front(text))


@pytest.mark.parametrize(
    "change",
    [
        ("settle:", "setle:"),
        ("mode: observe", "mode: maybe"),
        ("stable: 1m", "stable: 60"),
        ("supervisord:", "superd:"),
        ("  verify:", "  remedies: [power_off]\n  verify:"),
    ],
)
def test_the_schema_shows_what_lint_refuses(change: tuple[str, str]) -> None:
    assert not Draft202012Validator(schema()).is_valid(_front(GOOD.replace(*change)))


def _with_remedies(remedies: str) -> str:
    playbook = "playbook: restore-service"
    return GOOD.replace("playbook: restart-service", playbook).replace(
        "  verify:", f"  remedies: {remedies}\n  verify:"
    )


def test_remedies_are_a_ladder_in_the_order_of_their_author() -> None:
    runbook = parse(_with_remedies("[rollback-if-deployed-within: 30m, {run: clear-cache}, restart, rollback]"), "r.md")
    assert [(remedy.rung, remedy.verb, remedy.name) for remedy in runbook.remedies] == [
        (1, Verb.ROLL_BACK, "rollback-if-deployed-within: 30m"),
        (2, Verb.RUN, "run: clear-cache"),
        (3, Verb.RESTART, "restart"),
        (4, Verb.ROLL_BACK, "rollback"),
    ]
    assert runbook.remedies[0].deployed_within == timedelta(minutes=30)
    assert [remedy.verb for remedy in parse(GOOD, "r.md").remedies] == [Verb.RESTART], "a runbook without restarts"


@pytest.mark.parametrize(
    ("remedies", "says"),
    [
        ("[restrat]", "with.remedies.0: write `restart`, `"),
        ("[restart, {run: ''}]", "with.remedies.1: write `restart`"),
        ("[rollback-if-deployed-within: soon]", "'soon' is not a duration"),
        ("[{run: a, restart: b}]", "write `restart`"),
        ("[]", "at least 1 item"),
    ],
)
def test_a_remedy_that_nobody_knows_is_refused(remedies: str, says: str) -> None:
    assert says in _problems(_with_remedies(remedies))[0]


APPROVAL = "\n    restart: critical\n    rollback-if-deployed-within: warning\n    'run: clear-cache': warning"


def _with_approval(approval: str, *, mode: str = "act") -> str:
    text = _with_remedies("[rollback-if-deployed-within: 30m, {run: clear-cache}, restart, {run: dump}]")
    text = text.replace("mode: observe", f"mode: {mode}")
    return re.sub(r"(?m)^guardrails:.*(\n .*)*", f"guardrails:\n  approval:{approval}", text)


def test_an_approval_is_asked_by_remedy_and_from_its_severity_on() -> None:
    runbook = parse(_with_approval(APPROVAL), "r.md")
    assert [runbook.asks_from(remedy) for remedy in runbook.remedies] == [
        Severity.WARNING,
        Severity.WARNING,
        Severity.CRITICAL,
        None,
    ]


def test_a_runbook_that_asks_asks_before_every_change() -> None:
    runbook = parse(_with_approval(APPROVAL, mode="ask"), "r.md")
    assert {runbook.asks_from(remedy) for remedy in runbook.remedies} == {Severity.WARNING}


@pytest.mark.parametrize(
    ("approval", "says"),
    [
        (
            "\n    restart: critical\n    restrt: critical",
            "guardrails.approval.restrt: the ladder has no such remedy; ",
        ),
        ("\n    rollback-if-deployed: warning", "did you mean rollback-if-deployed-within?"),
        ("\n    'run: drop-cache': warning", "did you mean run: clear-cache?"),
        ("\n    xyzzy: warning", "it has rollback-if-deployed-within, run: clear-cache, restart, run: dump"),
    ],
)
def test_an_approval_of_what_is_no_remedy_of_the_ladder_is_refused_at_its_place(approval: str, says: str) -> None:
    text = _with_approval(approval)
    problem = _problems(text)[0]
    assert says in problem
    line = next(number for number, line in enumerate(text.split("\n"), 1) if line == approval.rpartition("\n")[2])
    assert problem.startswith(f"r.md:{line}:5: ")


def test_restart_service_knows_one_remedy(tmp_path: Path) -> None:
    file = _shelved(tmp_path, _with_remedies("[restart, restart]"))
    assert read_folder(tmp_path).problems == ()
    file.write_text(file.read_text().replace("restore-service", "restart-service"))
    problem = read_folder(tmp_path).problems[0]
    assert "restart-service knows one remedy" in problem.what
    assert "playbook: restore-service" in problem.allowed


def test_a_remedy_that_the_targets_cannot_have_is_refused(tmp_path: Path) -> None:
    _shelved(tmp_path, _with_remedies("[{run: clear-cache}, rollback]"))
    services = tmp_path / "services.yaml"
    services.write_text(re.sub("(?m)^ *releases: .*\n", "", services.read_text()))
    problems = [str(problem) for problem in read_folder(tmp_path).problems]
    assert "no command 'clear-cache' for web-1/tracking-api; there are: none" in problems[0]
    assert "web-1/tracking-api has no releases to roll back; services.yaml: releases: /folder" in problems[1]


@pytest.mark.parametrize(
    ("line", "written", "allowed"),
    [
        ("runbook: ", "runbook: anothers-name", "write "),
        ("service: ", "service: payments", "it lists: order-status, tracking-api"),
        ("playbook: ", "playbook: restart-servce", "there are: restart-service, restore-service"),
        ("escalate: ", "escalate: {policy: nights}", "there are: default"),
        ("guardrails: ", "guardrails: {at_once: 1 of 7}", "write 1 of 1"),
        ("guardrails: ", "guardrails: {again: true}", "write a `budget` beside it: `budget: 3 per hour`"),
    ],
)
def test_what_another_file_does_not_know_is_said_at_its_place_with_what_there_is(
    tmp_path: Path, line: str, written: str, allowed: str
) -> None:
    text = re.sub(f"(?m)^{line}.*$", written, GOOD)
    file = _shelved(tmp_path, text)
    [problem] = read_folder(tmp_path).problems
    at = next(number for number, line in enumerate(text.split("\n"), 1) if line == written)
    assert (problem.file, problem.line) == (str(file), at)
    assert allowed in problem.allowed


def test_a_runbook_may_name_a_playbook_of_ones_own_folder(tmp_path: Path) -> None:
    _shelved(tmp_path, GOOD.replace("restart-service", "our-restart"))
    flows = tmp_path / "flows"
    flows.mkdir()
    assert "there is no 'our-restart'; there are: restart-service, restore-service" in str(
        read_folder(tmp_path, flows).problems[0]
    )
    (flows / "our_restart.py").write_text("")
    assert read_folder(tmp_path, flows).problems == ()


def test_its_version_is_its_whole_text() -> None:
    assert parse(GOOD, "r.md").version != parse(GOOD + "\n", "r.md").version


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (
            "settle:",
            "notify: [slack:ops]\nsettle:",
            "notify.0: 'slack:ops' is not a contact method; write one of apprise:NAME, email:ada@",
        ),
        (
            "settle:",
            "notify: ['webhook:https://h/x']\nsettle:",
            "notify.0: 'webhook:https://h/x' is not a contact method",
        ),
        ("settle:", "setle:", "r.md:13:1: setle: no such key, or one that is not enforced; did you mean settle?"),
        ("cooldown:", "window:", "guardrails.window: no such key"),
        ("budget: 3 per hour", "budget: often", "guardrails.budget: write `3 per hour`"),
        ("budget: 3 per hour", "budget: 0 per hour", "guardrails.budget: a budget of nothing allows nothing"),
        ("budget: 3 per hour", "service_budget: 5", "guardrails.service_budget: write `3 per hour`"),
        ("budget: 3 per hour", "at_once: 2 of 1", "guardrails.at_once: write `1 of 4`"),
        ("budget: 3 per hour", "at_once: 0 of 4", "guardrails.at_once: write `1 of 4`"),
        ("budget: 3 per hour", "at_once: one", "guardrails.at_once: write `1 of 4`"),
        ("mode: observe", "mode: maybe", "mode: Input should be 'observe', 'ask' or 'act'"),
        (
            "guardrails:",
            "guardrails: {approval: {restart: high}}\nx:",
            "approval.restart: Input should be 'warning', 'critical' or",
        ),
        ("stable: 1m", "stable: soon", "'soon' is not a duration; write 250ms"),
        ("stable: 1m", "stable: 9m", "`stable` is more than nothing and less than `within`"),
        ("memory_below: 1500MB", "memory_below: much", "'much' is not a size"),
        ("health: ok, memory_below: 1500MB, ", "", "name at least one condition"),
        ("evidence: [process-tree", "evidence: [everything", "with.evidence.0"),
        ("{supervisord: tracking-api, ", "{", "with.target: name exactly one of `"),
        ("{supervisord: tracking-api, ", "{supervisord: a, systemd: a.service, ", "with.target: name exactly one of"),
        (
            "{supervisord: tracking-api, ",
            "{sistemd: a.service, ",
            "with.target.sistemd: no such key, or one that is not enforced; did you mean systemd?",
        ),
        ("settle: 10m", "settle: 10", "settle: 10 is not a duration"),
        ("memory_below: 1500MB", "memory_below: 1500", "1500 is not a size"),
        ('{env=~"prod|canary"}', '{env~"prod"}', "write label="),
        ('{env=~"prod|canary"}', '{env=~"(?=a)"}', "is not a pattern (RE2)"),
        ('{env=~"prod|canary"}', '{env=~"("}', "is not a pattern"),
        ("service: tracking-api", "service: [", "this is not YAML"),
        ("service: tracking-api\n", "", "service: is missing"),
        ("## Mitigation", "## Afterwards", "the prose has no Mitigation"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(before: str, after: str, says: str) -> None:
    assert before in GOOD
    problems = _problems(GOOD.replace(before, after, 1))
    assert any(says in problem for problem in problems), problems
    assert all(problem.startswith("r.md:") for problem in problems)


def test_all_problems_are_said_at_once() -> None:
    assert len(_problems(GOOD.replace("settle:", "setle:").replace("mode: observe", "mode: maybe"))) == 2


@given(st.text(max_size=200))
def test_no_text_makes_anything_but_problems(text: str) -> None:
    for whole in (text, f"---\n{text}\n---\n"):
        with pytest.raises(BadDocument):
            parse(whole, "r.md")


# --- the folder -----------------------------------------------------------------------------------------------------


def test_a_broken_runbook_is_refused_alone_and_aloud(tmp_path: Path) -> None:
    _shelved(tmp_path, GOOD)
    (tmp_path / "broken.md").write_text("nothing")
    (tmp_path / "misnamed.md").write_text(GOOD)
    library = read_folder(tmp_path)
    assert list(library.runbooks) == ["tracking-api-memory"]
    assert {Path(problem.file).name for problem in library.problems} == {"broken.md", "misnamed.md"}


def test_a_blast_radius_over_another_number_of_targets_than_are_listed_is_refused(tmp_path: Path) -> None:
    runbook = _shelved(tmp_path, GOOD.replace("budget: 3 per hour", "at_once: 1 of 4"))
    problems = [str(problem) for problem in read_folder(tmp_path).problems]
    assert len(problems) == 1
    assert "at_once: says 4 targets, and services.yaml lists 1 of tracking-api; write 1 of 1" in problems[0]
    runbook.write_text(runbook.read_text().replace("1 of 4", "1 of 1"))
    assert read_folder(tmp_path).problems == ()


@pytest.mark.parametrize("file", ["services.yaml", "oncall.yaml"])
def test_without_services_or_oncall_nothing_is_loaded(tmp_path: Path, file: str) -> None:
    for path in (ROOT / "runbooks").glob("*.*"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / file).unlink()
    with pytest.raises(BadDocument, match=file):
        read_folder(tmp_path)
