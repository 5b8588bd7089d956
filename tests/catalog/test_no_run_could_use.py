"""What no run could use is refused where it is written: hosts, labels, addresses, moments, mailboxes."""

import re
from pathlib import Path

import pytest

from paramedic.catalog.library import read_folder
from paramedic.catalog.runbook_file import parse
from paramedic.catalog.services import parse_services
from paramedic.checks.check import CheckSpec, check_spec
from paramedic.oncall.oncall_file import parse_oncall
from paramedic.remediation.target import Target
from paramedic.text.yaml_document import BadDocument

RUNBOOK = """\
---
runbook: shop-down
service: shop
when:
  - alert: ShopDown
playbook: restart-service
with:
  target: {supervisord: shop, host: "{instance}"}
  verify: {health: ok, stable: 2s, within: 20s}
---
## Meaning
x
## Impact
x
## Diagnosis
x
## Mitigation
x
"""
SERVICES = """\
services:
  shop:
    targets:
      - {host: web-1, supervisord: {program: shop, address: "unix:///s"}, health: "http://127.0.0.1:80/", also: [w1]}
      - {host: web-2, supervisord: {program: shop, address: "unix:///s"}, health: "http://127.0.0.1:81/"}
      - {host: web-2, supervisord: {program: queue, address: "unix:///s"}, health: "http://127.0.0.1:82/"}
  other:
    targets:
      - {host: web-9, systemd: shop.service}
"""
ONCALL = """\
people:
  ada: {name: Ada, email: ada@example.org}
  ben: {name: Ben, email: ben@example.org}
rotation: {zone: Europe/Rome, starts: 2026-11-24 18:00, every: 1 day, people: [ada, ben]}
policies:
  default: {rungs: [{tell: oncall}, {tell: ben, after: 15m}], repeat: 30m}
"""
TARGET = '{supervisord: shop, host: "{instance}"}'


def linted(folder: Path, *changes: tuple[str, str], services: str = SERVICES) -> list[str]:
    """What lint says about the runbook with these changes, without the folder's name."""
    text = RUNBOOK
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    (folder / "shop-down.md").write_text(text)
    (folder / "services.yaml").write_text(services)
    (folder / "oncall.yaml").write_text(ONCALL)
    return [str(problem).removeprefix(f"{folder}/") for problem in read_folder(folder).problems]


def oncall(before: str, after: str) -> str:
    assert before in ONCALL
    with pytest.raises(BadDocument) as caught:
        parse_oncall(ONCALL.replace(before, after), "oncall.yaml")
    [problem] = caught.value.problems
    return str(problem)


def test_what_is_written_here_is_well(tmp_path: Path) -> None:
    assert linted(tmp_path) == []


# --- labels in braces -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("{instance", "'{instance' has a stray brace"),
        ("instance}", "has a stray brace"),
        ("{{instance}}", "has a stray brace"),
        ("{}", "`{}` names no label; write {instance}"),
        ("{ instance }", "`{ instance }` names no label"),
        ("{'instance'}", "names no label"),
    ],
)
def test_a_brace_that_is_not_of_a_label_is_refused_in_its_place(tmp_path: Path, host: str, says: str) -> None:
    [problem] = linted(tmp_path, ("{instance}", host))
    assert problem.startswith("shop-down.md:8:31: with.target.host: ")
    assert says in problem
    [problem] = linted(tmp_path, (TARGET, f'{{supervisord: "{host}", host: web-1}}'))
    assert problem.startswith("shop-down.md:8:12: with.target.supervisord: ")


@pytest.mark.parametrize("label", ["host.name", "host-name", "k8s.pod/name", "größe", "job name"])
def test_any_name_that_an_alert_s_label_may_have_is_filled_in(tmp_path: Path, label: str) -> None:
    assert linted(tmp_path, ("{instance}", f"{{{label}}}")) == []
    target = parse((tmp_path / "shop-down.md").read_text(), "r.md").located(
        {label: "w1"}, parse_services(SERVICES, "services.yaml")
    )
    assert isinstance(target, Target)
    assert target.id == "web-1/shop"


@pytest.mark.parametrize(
    ("check", "at"),
    [
        ('"http://{hst}:8080/"', "check"),
        ('"http://{host:8080/"', "check"),
        ('"tcp://{host}}:80"', "check"),
        ('"http://h/{path}"', "check"),
        ('heartbeat, name: "backup-{instance}", missing_for: {critical: 1h}', "name"),
        ('host, path: "/{disk}"', "path"),
    ],
)
def test_what_a_check_fills_in_is_the_host_alone(tmp_path: Path, check: str, at: str) -> None:
    [problem] = linted(tmp_path, ("alert: ShopDown", f"{{check: {check}}}"))
    assert f"when.0.{at}: " in problem
    assert "stray brace" in problem or "is not filled in here; write {host}" in problem


@pytest.mark.parametrize(
    ("before", "after", "at"),
    [
        ('"http://127.0.0.1:80/"', '"http://{host}:80/"', "health"),
        ('"http://127.0.0.1:80/"', '"http://127.0.0.1:80/}"', "health"),
        ("also: [w1]", 'log: "/var/log/{host}"', "log"),
        ("also: [w1]", 'releases: "/srv/{program}"', "releases"),
        ("also: [w1]", 'also: ["{host}:9100"]', "also.0"),
        ("host: web-1", 'host: "{host}"', "host"),
        ("program: shop", 'program: "{program}"', "supervisord.program"),
        ("unix:///s", "unix:///run/{host}", "supervisord.address"),
    ],
)
def test_in_services_yaml_nothing_is_filled_in(before: str, after: str, at: str) -> None:
    with pytest.raises(BadDocument) as caught:
        parse_services(SERVICES.replace(before, after, 1), "services.yaml")
    [problem] = caught.value.problems
    assert f"services.shop.targets.0.{at}: " in str(problem)
    assert "is taken as it is written" in str(problem)
    assert problem.line == 4


def test_arguments_of_a_command_and_passwords_have_braces_as_they_like() -> None:
    wild = 'commands: {x: {run: [awk, "{print}"], timeout: 1s}}'
    found = parse_services(SERVICES.replace("also: [w1]", wild).replace("unix:///s", "http://u:p{@127.0.0.1:9001"), "s")
    assert next(iter(found)).commands["x"].run == ("awk", "{print}")


# --- hosts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "host", "asked"),
    [
        ("http://{host}:8080/health", "::1", "http://[::1]:8080/health"),
        ("tcp://{host}:80", "2001:db8::1", "tcp://[2001:db8::1]:80"),
        ("tls://{host}:443", "fe80::1%eth0", "tls://[fe80::1%eth0]:443"),
        ("tls://{host}:443", "[::1]", "tls://[::1]:443"),
        ("http://{host}:8080/", "10.0.0.1", "http://10.0.0.1:8080/"),
        ("http://{host}:8080/", "web-1", "http://web-1:8080/"),
    ],
)
def test_an_ipv6_host_stands_in_brackets_in_an_address(written: str, host: str, asked: str) -> None:
    check = check_spec(CheckSpec)(check=written).build()
    assert check.at(Target("t", "shop", host, "supervisord", "shop", "unix:///s")) == asked


def test_elsewhere_an_ipv6_host_is_itself() -> None:
    check = check_spec(CheckSpec)(check="heartbeat", name="backup-{host}", missing_for={"critical": "1h"}).build()
    assert check.at(Target("t", "shop", "::1", "supervisord", "shop", "unix:///s")) == "backup-::1"


@pytest.mark.parametrize(
    ("target", "at", "says"),
    [
        ("{supervisord: shop, host: web-7}", "host", "on host 'web-7'; it lists: web-1, web-2"),
        ("{supervisord: queue, host: web-1}", "host", "lists no supervisord 'queue' on host 'web-1'; it lists: web-2"),
        ('{supervisord: shop, host: "db-{instance}"}', "host", "on host 'db-{instance}'"),
        ("{supervisord: shopp, host: web-1}", "supervisord", "no supervisord 'shopp'; it lists: shop, queue"),
        ("{systemd: shop.service, host: web-1}", "systemd", "lists no systemd of shop; it lists: supervisord"),
        ('{systemd: "{unit}", host: "{instance}"}', "systemd", "lists no systemd of shop; it lists: supervisord"),
    ],
)
def test_a_target_that_can_mean_no_listed_one_is_refused_at_the_key_that_cannot(
    tmp_path: Path, target: str, at: str, says: str
) -> None:
    [problem] = linted(tmp_path, (TARGET, target))
    assert f"with.target.{at}: services.yaml " in problem
    assert says in problem
    column = RUNBOOK.split("\n")[7].index("{") + 1 + target.index(at)
    assert problem.startswith(f"shop-down.md:8:{column}: ")


@pytest.mark.parametrize("host", ["web-1", "w1", '"web-{number}"', '"{instance}"'])
def test_a_target_that_can_mean_a_listed_one_by_any_spelling_is_well(tmp_path: Path, host: str) -> None:
    assert linted(tmp_path, (TARGET, f"{{supervisord: shop, host: {host}}}")) == []


def test_a_check_whose_alert_would_find_no_target_is_refused(tmp_path: Path) -> None:
    [problem] = linted(tmp_path, ("alert: ShopDown", "check: health"), ("{instance}", "{host.name}"))
    assert "with.target: the checks under `when` find no target by it" in problem
    assert "it has: runbook, check, service, instance, host, program" in problem


@pytest.mark.parametrize(
    ("change", "at"),
    [(("alert: ShopDown", "check: health"), "when"), (("health: ok, ", "health: ok, "), "with.verify.health")],
)
def test_a_health_that_services_yaml_names_for_no_target_is_refused(
    tmp_path: Path, change: tuple[str, str], at: str
) -> None:
    without = re.sub(r', health: "http://127.0.0.1:8[01]/"', "", SERVICES)
    problems = linted(tmp_path, change, services=without)
    assert any(f"{at}: services.yaml names no health for web-1/shop, web-2/shop" in problem for problem in problems), (
        problems
    )


def test_a_fleet_without_what_a_runbook_needs_is_one_short_problem(tmp_path: Path) -> None:
    target = '      - {{host: h-{}, supervisord: {{program: shop, address: "http://127.0.0.1:9"}}}}\n'
    fleet = "services:\n  shop:\n    targets:\n" + "".join(target.format(number) for number in range(200))
    problems = linted(tmp_path, (TARGET, '{supervisord: shop, host: "{instance}"}'), services=fleet)
    [about] = [problem for problem in problems if "names no health" in problem]
    assert "h-19/shop and 180 more" in about


def test_the_tail_of_a_log_that_no_target_has_is_refused(tmp_path: Path) -> None:
    evidence = ("  verify:", "  evidence: [memory, log-tail]\n  verify:")
    [problem] = linted(tmp_path, evidence)
    assert "shop-down.md:9:22: with.evidence.1: services.yaml names no log for web-1/shop, web-2/shop" in problem
    assert linted(tmp_path, evidence, services=SERVICES.replace("also: [w1]", "log: /l")) == []


# --- on call ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quote", ["", '"'])
@pytest.mark.parametrize(
    ("starts", "says"),
    [
        ("2026-11-24T17:00:00Z", "write 2026-11-24 18:00, which is this moment in Europe/Rome"),
        ("2026-11-24T18:00:00+02:00", "write 2026-11-24 17:00, which is this moment in Europe/Rome"),
        ("2026-11-24 17:00+01:00", "write 2026-11-24 17:00, which is this moment in Europe/Rome"),
        ("2026-11-24 17:00:30", "write 2026-11-24 17:00, without seconds and offset: `zone` says the zone"),
        ("2026-11-24 17:00 Europe/Rome", "write 2026-01-05 09:00, without seconds and offset"),
        ("2026-11-24", "write 2026-11-24 00:00, without"),
        ("2026-13-24 17:00", "2026-01-05 09:00"),
    ],
)
def test_a_start_with_an_offset_is_refused_with_the_local_time_to_write(starts: str, says: str, quote: str) -> None:
    problem = oncall("2026-11-24 18:00", f"{quote}{starts}{quote}")
    assert problem.startswith("oncall.yaml:4:31: rotation.starts: ")
    assert says in problem


@pytest.mark.parametrize(
    "starts", ["2026-11-24 18:00", "2026-11-24T18:00", "2026-11-24 18:00:00", '"2026-11-24 18:00"']
)
def test_a_local_start_is_kept_to_the_minute(starts: str) -> None:
    found = parse_oncall(ONCALL.replace("2026-11-24 18:00", starts), "oncall.yaml")
    assert found.rotation.starts == "2026-11-24 18:00"


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("people: [ada, ben]", "people: [ada, eve]", "oncall.yaml:4:85: rotation.people.1 names eve"),
        ("tell: ben", "tell: bem", "oncall.yaml:6:38: policies.default.rungs.1.tell names bem, who is not among"),
        ("tell: ben", "tell: bem", "; did you mean ben?"),
        ("Europe/Rome", "Europe/Rom", "oncall.yaml:4:12: rotation.zone: there is no zone 'Europe/Rom'"),
        ("  default:", "  nights:", "oncall.yaml:5:1: there is no policy `default`"),
    ],
)
def test_what_is_wrong_with_people_and_zones_is_told_in_its_own_place(before: str, after: str, says: str) -> None:
    assert says in oncall(before, after)


def test_two_entries_of_one_target_and_a_spelling_of_two_hosts_are_told_in_their_places() -> None:
    again = '      - {host: web-1, supervisord: {program: shop, address: "unix:///s"}}\n'
    spelt = '      - {host: web-4, also: [w1], supervisord: {program: shop, address: "unix:///s"}}\n'
    with pytest.raises(BadDocument) as caught:
        parse_services(SERVICES + again + spelt, "services.yaml")
    first, second = map(str, caught.value.problems)
    assert first.startswith("services.yaml:10:9: services.other.targets.1: web-1/shop is listed twice")
    assert second.startswith("services.yaml:11:30: services.other.targets.2.also.0: w1 means two hosts")
