"""Lint says everything that is wrong with a file in one round, each in its own place, with what to write."""

from pathlib import Path

import pytest
from test_no_run_could_use import ONCALL, RUNBOOK, SERVICES, linted

from paramedic.catalog.runbook_file import parse
from paramedic.catalog.services import parse_services
from paramedic.oncall.oncall_file import parse_oncall
from paramedic.text.yaml_document import BadDocument


def problems_of(text: str) -> list[str]:
    with pytest.raises(BadDocument) as caught:
        parse(text, "r.md")
    return [str(problem) for problem in caught.value.problems]


def test_the_model_the_prose_and_the_other_files_are_judged_in_one_round(tmp_path: Path) -> None:
    problems = linted(
        tmp_path,
        ("runbook: shop-down", "runbook: shop-dwn"),
        (
            "  - alert: ShopDown",
            "  - alert: ShopDown\nsetle: 5m\nescalate: {policy: nights}\nnotify: ['email:eve@x.org']",
        ),
        ("playbook: restart-service", "playbook: restart-srvice\nguardrails: {budget: 3/h, at_once: 1 of 7}"),
        ("{instance}", "web-7"),
        ("stable: 2s", "stable: 20 seconds"),
        ("## Mitigation\n", "## Afterwards\n"),
    )
    starts = [
        "shop-down.md:6:1: setle: no such key",
        "shop-down.md:10:14: guardrails.budget: write `3 per hour`",
        "shop-down.md:13:24: with.verify.stable: '20 seconds' is not a duration",
        "shop-down.md:15:1: the prose has no Mitigation",
        "shop-down.md:2:1: runbook: 'shop-dwn' is not the file's name",
        "shop-down.md:9:1: playbook: there is no 'restart-srvice'",
        "shop-down.md:10:27: guardrails.at_once: says 7 targets, and services.yaml lists 3 of shop",
        "shop-down.md:12:31: with.target.host: services.yaml lists no supervisord 'shop' on host 'web-7'",
        "shop-down.md:7:12: escalate.policy: there is no 'nights'",
        "shop-down.md:8:1: notify: email:eve@x.org is nobody's address in oncall.yaml",
    ]
    assert len(problems) == len(starts), "\n".join(problems)
    for start in starts:
        assert any(problem.startswith(start) for problem in problems), (start, problems)


def test_what_is_left_out_for_being_wrong_is_not_complained_of_a_second_time(tmp_path: Path) -> None:
    """The missing parts are those that stand for others: a target, the checks, the service."""
    for change in (
        ('{supervisord: shop, host: "{instance}"}', "{supervisord: [], host: web-1}"),
        ("service: shop", "service: [shop]"),
        ("  - alert: ShopDown", "  - check: hosts"),
        ("health: ok, ", "health: yes, "),
        ("playbook: restart-service", "playbook: [restart-service]"),
        ("runbook: shop-down", "runbook: ''"),
        ("  verify: {health: ok, stable: 2s, within: 20s}\n", ""),
        ('  target: {supervisord: shop, host: "{instance}"}\n', ""),
    ):
        assert len(linted(tmp_path, change)) == 1, linted(tmp_path, change)


def test_every_fault_of_a_check_stands_at_its_key() -> None:
    check = """\
  - check: http://{hst}:8080/
    every: 5s
    timeout: 6s
    window: 6d
    path: /var
    latency_p95: {warning: fast, critical: 300ms}
    error_rate: {warning: 5%, critical: 3%}
    cpu: {critical: 90%}
  - check: tcp://{host}:80
  - check: tcp://{host}:81
"""
    problems = problems_of(
        RUNBOOK.replace("  - alert: ShopDown\n", check).replace("{health: ok,", "{check: [error_rate, queue],")
    )
    for start in (
        "r.md:5:5: when.0.check: 'http://{hst}:8080/': `{hst}` is not filled in here; write {host}",
        "r.md:7:5: when.0.timeout: `timeout` is at most `every`",
        "r.md:8:5: when.0.window: `window` is at most",
        "r.md:9:5: when.0.path: `path` belongs to `check: host`",
        "r.md:10:19: when.0.latency_p95.warning: 'fast': write a duration",
        "r.md:11:5: when.0.error_rate: `critical` lies over `warning`",
        "r.md:12:5: when.0.cpu: `cpu` is not measured there",
        "r.md:14:5: when.2: two checks are called tcp; give one a `name`",
    ):
        assert any(problem.startswith(start) for problem in problems), (start, problems)


def test_both_faults_of_a_verification_stand_at_their_keys() -> None:
    problems = problems_of(RUNBOOK.replace("{health: ok, stable: 2s", "{stable: 30s"))
    assert [problem.partition(";")[0][:60] for problem in problems] == [
        "r.md:9:3: with.verify: name at least one condition: `health:",
        "r.md:9:12: with.verify.stable: `stable` is more than nothing",
    ]


@pytest.mark.parametrize(
    ("before", "after", "hint"),
    [
        ('"{instance}"', "{instance}", 'text with { } is written in quotes: "{instance}"'),
        ("alert: ShopDown", 'alert: {severity="critical"}', "is written in quotes: '{severity=\"critical\"}'"),
        ('"{instance}"', "{instance}:9100", "text with { } is written in quotes"),
        ("service: shop", "service: 42", 'is written in quotes: "42"'),
        ("service: shop", "service: true", "is written in quotes"),
    ],
)
def test_text_that_yaml_takes_for_something_else_is_shown_in_quotes(before: str, after: str, hint: str) -> None:
    [problem] = [problem for problem in problems_of(RUNBOOK.replace(before, after)) if "quotes" in problem]
    assert hint in problem


def test_a_number_for_a_duration_says_nothing_of_toml() -> None:
    [problem] = problems_of(RUNBOOK.replace("stable: 2s", "stable: 2"))
    assert problem == (
        "r.md:9:24: with.verify.stable: 2 is not a duration: it has a unit; write 250ms, 5s, 10m, 1h 30m, 2d"
    )


def test_services_yaml_has_all_its_faults_told_at_once() -> None:
    text = SERVICES.replace('"http://127.0.0.1:80/"', "web-1:80").replace("systemd: shop.service", "systemd: shop")
    text += '      - {host: web-2, supervisord: {program: shop, address: "unix:///s"}, ownr: x}\n'
    text += '      - {supervisord: {program: x, address: "unix:///s"}}\n'
    with pytest.raises(BadDocument) as caught:
        parse_services(text, "s")
    assert [str(problem).split(";")[0][:68] for problem in caught.value.problems] == [
        "s:4:75: services.shop.targets.0.health: does not fit",
        "s:9:23: services.other.targets.0.systemd: write a unit's whole name,",
        "s:10:9: services.other.targets.1: web-2/shop is listed twice",
        "s:10:75: services.other.targets.1.ownr: no such key, or one that is ",
        "s:11:9: services.other.targets.2.host: is missing",
    ]


def test_oncall_yaml_has_all_its_faults_told_at_once() -> None:
    text = ONCALL.replace("email: ada@example.org", "email: ada").replace("2026-11-24 18:00", "2026-11-24T17:00Z")
    text = text.replace("[ada, ben]", "[ada, eve]").replace("after: 15m", "after: 15 minutes").replace("30m", "often")
    with pytest.raises(BadDocument) as caught:
        parse_oncall(text, "o")
    assert [str(problem).partition(" ")[2].partition(" ")[0] for problem in caught.value.problems] == [
        "people.ada.email:",
        "rotation.starts:",
        "rotation.people.1",
        "policies.default.rungs.1.after:",
        "policies.default.repeat:",
    ]
