"""services.yaml says what exists, and what is wrong with it: where, what, and what is allowed."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from paramedic.catalog.services import Services, parse_services
from paramedic.remediation.target import Command, Target
from paramedic.text.yaml_document import BadDocument

WHOLE = """\
services:
  tracking-api:
    owner: delivery
    targets:
      - host: web-1
        systemd: tracking-api.service
        health: http://127.0.0.1:8080/health
        releases: /srv/tracking-api
        commands:
          clear-cache:
            run: [/usr/local/bin/clear-cache, --all, "{instance}; rm"]
            timeout: 10s
            cwd: /srv/tracking-api
            environment: [HOME, CACHE_URL]
          warm-up: {run: [warm-up], timeout: 1m}
        also: [web-1.internal]
      - host: web-2
        supervisord: {program: tracking-api, address: "unix:///run/supervisor.sock"}
"""


def listed(target: str) -> Services:
    """A file whose only target says this."""
    lines = "".join(f"        {line}\n" for line in target.splitlines())
    return parse_services(f"services:\n  api:\n    targets:\n      - host: web-1\n{lines}", "services.yaml")


def wrong(target: str) -> str:
    with pytest.raises(BadDocument) as caught:
        listed(target)
    return str(caught.value)


def test_a_unit_its_releases_and_its_commands_are_read_whole() -> None:
    services = parse_services(WHOLE, "services.yaml")
    assert list(services) == [
        Target(
            id="web-1/tracking-api.service",
            service="tracking-api",
            host="web-1",
            kind="systemd",
            name="tracking-api.service",
            address="",
            health="http://127.0.0.1:8080/health",
            releases="/srv/tracking-api",
            commands={
                "clear-cache": Command(
                    "clear-cache",
                    ("/usr/local/bin/clear-cache", "--all", "{instance}; rm"),
                    timedelta(seconds=10),
                    "/srv/tracking-api",
                    ("HOME", "CACHE_URL"),
                ),
                "warm-up": Command("warm-up", ("warm-up",), timedelta(minutes=1)),
            },
        ),
        Target(
            "web-2/tracking-api", "tracking-api", "web-2", "supervisord", "tracking-api", "unix:///run/supervisor.sock"
        ),
    ]


def test_a_target_is_found_by_its_kind_its_name_and_any_spelling_of_its_host() -> None:
    services = parse_services(WHOLE, "services.yaml")
    found = services.find("systemd", "tracking-api.service", "web-1.internal")
    assert found is not None
    assert found is services.by_id("web-1/tracking-api.service")
    assert services.find("supervisord", "tracking-api.service", "web-1") is None
    assert services.find("systemd", "tracking-api", "web-2") is None


def test_files_of_its_configuration_are_named_by_their_paths_alone() -> None:
    found = listed("systemd: a.service\nconfiguration: [/srv/a/conf.d, /srv/a/a.toml]").by_id("web-1/a.service")
    assert found is not None
    assert found.configuration == ("/srv/a/conf.d", "/srv/a/a.toml")
    for strange in ("-delete", "conf.d", "{instance}", "/srv/{instance}"):
        assert "configuration" in wrong(f"systemd: a.service\nconfiguration: ['{strange}']")
    many = ", ".join(f"/srv/{number}" for number in range(21))
    assert "20" in wrong(f"systemd: a.service\nconfiguration: [{many}]")


def test_a_target_can_be_a_key() -> None:
    assert len(set(parse_services(WHOLE, "services.yaml"))) == 2


@pytest.mark.parametrize(
    "target",
    ["health: http://here/", 'supervisord: {program: api, address: "unix:///s"}\nsystemd: api.service'],
)
def test_a_target_is_exactly_one_of_its_kinds(target: str) -> None:
    assert wrong(target).startswith("services.yaml:4:9: services.api.targets.0: name exactly one of `")


@pytest.mark.parametrize(
    "unit",
    [
        "api",
        "api.timer",
        '"*.service"',
        "--all.service",
        "a/b.service",
        '"a b.service"',
        '"api.service\\n"',
        ".service",
        "[api.service]",
    ],
)
def test_a_unit_is_named_whole_and_is_a_service(unit: str) -> None:
    assert wrong(f"systemd: {unit}").startswith("services.yaml:5:9: services.api.targets.0.systemd: ")


@pytest.mark.parametrize("unit", ["api.service", "api@1.service", r"dev-\x2d.service", "a_b:c-d.e.service"])
def test_units_may_be_named_as_systemd_names_them(unit: str) -> None:
    assert [target.name for target in listed(f"systemd: {unit}")] == [unit]


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("{run: rm -rf /, timeout: 1s}", "mend.run: write a list of words, [program, argument, …]: there is no shell"),
        ("{run: [], timeout: 1s}", "mend.run: write a list of words"),
        ("{run: [kill, 9], timeout: 1s}", "mend.run: write a list of words"),
        ('{run: [echo, "a\\0b"], timeout: 1s}', "mend.run: write a list of words"),
        ("{run: [./mend], timeout: 1s}", "mend.run: the program './mend' is neither an absolute path nor a plain name"),
        ('{run: [""], timeout: 1s}', "mend.run: the program '' is neither"),
        ("{run: [mend]}", "mend.timeout: is missing"),
        ("{run: [mend], timeout: 10}", "mend.timeout: 10 is not a duration: it has a unit; write 250ms, 5s"),
        ("{run: [mend], timeout: 0s}", "mend.timeout: '0s' is too short; allowed: from 10ms to 1h"),
        (
            "{run: [mend], timeout: 1s, cwd: here}",
            "mend.cwd: does not fit; write the folder that it runs in: /srv/shop",
        ),
        ("{run: [mend], timeout: 1s, environment: [A=b]}", "mend.environment.0: 'A=b' is not a variable's name"),
        ("{run: [mend], timeout: 1s, environment: [PARAMEDIC_STORE]}", "PARAMEDIC_STORE is Paramedic's own"),
        (
            "{run: [mend], timeout: 1s, shell: true}",
            "mend.shell: no such key, or one that is not enforced; allowed: cwd, environment",
        ),
        (
            "{run: [mend], time_out: 1s}",
            "mend.time_out: no such key, or one that is not enforced; did you mean timeout?",
        ),
    ],
)
def test_a_command_says_what_is_wrong_with_it(command: str, why: str) -> None:
    problem = wrong(f"systemd: api.service\ncommands:\n  mend: {command}")
    assert why in problem
    assert problem.startswith("services.yaml:7:")


def test_a_commands_name_is_a_word() -> None:
    assert "commands" in wrong("systemd: api.service\ncommands:\n  Clear Cache: {run: [mend], timeout: 1s}")


def test_releases_lie_at_an_absolute_path() -> None:
    assert "releases: does not fit; write the folder with its releases, for roll-backs: /srv/shop" in wrong(
        "systemd: api.service\nreleases: srv/api"
    )


@pytest.mark.parametrize(
    "address", ["unix:///run/s", "http://127.0.0.1:9001", "http://localhost:9001", "http://[::1]:9001"]
)
def test_releases_may_lie_beside_a_supervisord_of_this_machine(address: str) -> None:
    assert list(listed(f'supervisord: {{program: api, address: "{address}"}}\nreleases: /srv/api'))


@pytest.mark.parametrize("what", ["releases: /srv/api", "commands: {mend: {run: [mend], timeout: 1s}}"])
def test_releases_and_commands_of_this_machine_are_not_taken_for_those_of_another(what: str) -> None:
    problem = wrong(f'supervisord: {{program: api, address: "http://web-2:9001"}}\n{what}')
    assert "those of `host`, and this supervisord is asked on another machine" in problem


def test_the_file_in_the_docs_is_one() -> None:
    page = (Path(__file__).parents[2] / "docs" / "targets.md").read_text()
    (text,) = re.findall(r"```yaml\n(services:.*?)```", page, re.DOTALL)
    (target,) = parse_services(text, "targets.md")
    assert (target.id, target.releases) == ("web-1/tracking-api.service", "/srv/tracking-api")
