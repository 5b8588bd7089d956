"""`hosts` in services.yaml: how each machine is reached, and what cannot be."""

import jsonschema
import pytest
from ruamel.yaml import YAML

from paramedic.catalog.services import Services, parse_services, schema
from paramedic.catalog.withdrawal import _unlisted
from paramedic.remediation.host import Host, KubernetesAccess, SshAccess
from paramedic.remediation.remedy import RESTART
from paramedic.text.yaml_document import BadDocument

WHOLE = """\
hosts:
  web-1: {local: true}
  gate: {ssh: {address: gate.example.com, user: paramedic, agent: true, port: 2222}}
  web-7:
    also: ["web-7:9100", 10.0.0.7]
    ssh:
      address: 10.0.0.7
      user: paramedic
      key: /etc/paramedic/id_ed25519
      certificate: /etc/paramedic/id_ed25519-cert.pub
      known_hosts: /etc/paramedic/known_hosts
      sudo: true
      jump: gate
    seen_from: [gate]
services:
  tracking-api:
    targets:
      - {host: web-7, systemd: tracking-api.service, health: "http://10.0.0.7:8080/health"}
      - {host: web-1, systemd: tracking-api.service, health: "http://127.0.0.1:8080/health"}
"""


def parsed(hosts: str, *targets: str) -> Services:
    listed = targets or ("{host: web-1, systemd: a.service}",)
    lines = "\n".join(f"  {line}" for line in hosts.splitlines())
    services = "".join(f"      - {target}\n" for target in listed)
    return parse_services(f"hosts:\n{lines}\nservices:\n  api:\n    targets:\n{services}", "services.yaml")


def wrong(hosts: str, *targets: str) -> list[str]:
    with pytest.raises(BadDocument) as caught:
        parsed(hosts, *targets)
    return [str(problem).removeprefix("services.yaml:") for problem in caught.value.problems]


def test_a_target_carries_how_its_host_is_reached() -> None:
    services = parse_services(WHOLE, "services.yaml")
    gate = Host("gate", SshAccess("gate.example.com", "paramedic", 2222, agent=""))
    access = SshAccess(
        "10.0.0.7",
        "paramedic",
        key="/etc/paramedic/id_ed25519",
        certificate="/etc/paramedic/id_ed25519-cert.pub",
        known_hosts="/etc/paramedic/known_hosts",
        sudo=True,
        jump=gate,
    )
    assert [target.machine for target in services] == [Host("web-7", access), Host("web-1")]
    assert [target.elsewhere for target in services] == [True, False]
    assert services.hosts["web-7"].seen_from == ("gate",)
    assert services.hosts["web-7"].way == (gate, Host("web-7", access))
    assert str(services.hosts["web-7"]) == "web-7, by SSH as paramedic at 10.0.0.7:22"


def test_what_alerts_call_a_host_finds_its_targets() -> None:
    services = parse_services(WHOLE, "services.yaml")
    for spelling in ("web-7", "web-7:9100", "10.0.0.7"):
        assert services.find("systemd", "tracking-api.service", spelling) is services.by_id(
            "web-7/tracking-api.service"
        )
    assert services.names_of("web-7") == ("web-7", "web-7:9100", "10.0.0.7")


CLUSTER = "prod: {kubernetes: {kubeconfig: /etc/paramedic/kubeconfig, context: eu}}"
API = "{host: prod, deployment: {name: api, namespace: shop}}"


def test_a_workload_is_on_a_cluster() -> None:
    [target] = parsed(CLUSTER, API)
    assert (target.id, target.name, target.elsewhere) == ("prod/deployment:shop/api", "shop/api", True)
    assert target.machine == Host("prod", kubernetes=KubernetesAccess("/etc/paramedic/kubeconfig", "eu"))
    assert str(target.machine) == "prod, a cluster, by /etc/paramedic/kubeconfig, context eu"
    [target] = parsed("prod: {kubernetes: {in_cluster: true}}", API)
    assert str(target.machine) == "prod, a cluster, as the pod that Paramedic runs in"


@pytest.mark.parametrize(
    ("hosts", "listed", "why"),
    [
        (CLUSTER, "{host: prod, systemd: a.service}", "host: prod is a cluster, and a systemd target is on a machine"),
        (
            "prod: {local: true}",
            API,
            "host: a deployment target needs a host that is reached by kubernetes, and prod is not",
        ),
        (CLUSTER, API.replace("}}", "}, log: /var/log/x}"), "log: prod is a cluster, which has no log files"),
        (
            CLUSTER,
            API.replace("}}", "}, configuration: [/srv]}"),
            "configuration: prod is a cluster, which has no folders of configuration",
        ),
        (CLUSTER, API.replace("}}", "}, releases: /srv}"), "`releases` and `commands` are those of `host`"),
        (CLUSTER, API.replace("}}", '}, health: "http://localhost/"}'), "and prod is reached by its API"),
        (CLUSTER, API.replace("name: api", "name: ../secrets"), "deployment.name: "),
        (CLUSTER, API.replace("name: api", "name: API"), "deployment.name: "),
        (CLUSTER, API.replace("namespace: shop", 'namespace: "a/b"'), "deployment.namespace: "),
    ],
)
def test_what_is_on_the_wrong_kind_of_host_is_refused(hosts: str, listed: str, why: str) -> None:
    [problem] = wrong(hosts, listed)
    assert why in problem


def test_a_workload_without_hosts_is_refused() -> None:
    with pytest.raises(
        BadDocument, match="needs a host that is reached by kubernetes, and prod is not; write in `hosts`: prod: "
    ):
        parse_services(f"services:\n  a:\n    targets:\n      - {API}\n", "s")


def test_without_hosts_every_target_is_on_this_machine() -> None:
    services = parse_services("services:\n  a:\n    targets:\n      - {host: web-3, systemd: a.service}\n", "s")
    assert [target.machine for target in services] == [None]


def test_a_host_that_is_not_listed_is_refused_where_some_are() -> None:
    assert wrong("web-1: {local: true}", "{host: web-2, systemd: a.service}") == [
        "6:10: services.api.targets.0.host: `hosts` lists no 'web-2'; did you mean web-1?"
    ]


@pytest.mark.parametrize(
    ("hosts", "why"),
    [
        ("web-1: {}", "write exactly one of `local: true`, `ssh: {…}` and `kubernetes: {…}`"),
        ("web-1: {local: true, ssh: {address: a, user: u, agent: true}}", "write exactly one of `local: true`"),
        ("web-1: {local: false}", "hosts.web-1.local: Input should be True"),
        ("web-1: {ssh: {address: a, user: u}}", "write exactly one of `key: /FILE` and `agent: true`"),
        ("web-1: {ssh: {address: a, user: u, key: /k, agent: true}}", "write exactly one of `key: /FILE`"),
        ("web-1: {ssh: {address: a, user: u, key: id_ed25519}}", "hosts.web-1.ssh.key: "),
        ("web-1: {ssh: {address: a, user: u, key: ~/.ssh/id}}", "hosts.web-1.ssh.key: "),
        ("web-1: {ssh: {address: a, user: u, key: /k, known_hosts: known}}", "hosts.web-1.ssh.known_hosts: "),
        ("web-1: {ssh: {address: a, user: u, key: /k, certificate: c}}", "hosts.web-1.ssh.certificate: "),
        ("web-1: {ssh: {address: a, user: u, agent: true, certificate: /c}}", "a `certificate` belongs to a `key`"),
        ("web-1: {ssh: {address: a, user: u, agent: MD5:0}}", "hosts.web-1.ssh.agent"),
        ("web-1: {ssh: {address: -oProxyCommand=x, user: u, key: /k}}", "neither a name nor an IP address"),
        ("web-1: {ssh: {address: root@a, user: u, key: /k}}", "neither a name nor an IP address"),
        ('web-1: {ssh: {address: "a:22", user: u, key: /k}}', "neither a name nor an IP address"),
        ("web-1: {ssh: {address: a, user: -l, key: /k}}", "hosts.web-1.ssh.user: "),
        ("web-1: {ssh: {address: a, user: u, key: /k, port: 0}}", "hosts.web-1.ssh.port: "),
        ("web-1: {ssh: {address: a, user: u, key: /k, password: x}}", "hosts.web-1.ssh.password: no such key"),
        ("web-1: {ssh: {address: a, user: u, key: /k, jump: gate}}", "`hosts` lists no 'gate'; it lists: web-1"),
        ("web-1: {ssh: {address: a, user: u, key: /k, jump: web-1}}", "leads back to it: web-1 → web-1"),
        ("web-1: {ssh: {address: a, user: u, key: /k, jump: b}}\nb: {local: true}", "b is not reached by SSH"),
        (
            "web-1: {local: true, seen_from: [b]}\nb: {ssh: {address: a, user: u, key: /k}}",
            "web-1 is not reached by SSH",
        ),
        ("web-1: {ssh: {address: a, user: u, key: /k}, seen_from: [b]}\nb: {local: true}", "b is not reached by SSH"),
        ("web-1: {ssh: {address: a, user: u, key: /k}, seen_from: [b]}", "`hosts` lists no 'b'; it lists: web-1"),
        ("web-1: {ssh: {address: a, user: u, key: /k}, seen_from: [web-1]}", "the way to web-1 leads through web-1"),
        (
            "web-1: {ssh: {address: a, user: u, key: /k}, seen_from: [b]}\nb: {ssh: {address: b, user: u, key: /k, jump: web-1}}",
            "the way to b leads through web-1",
        ),
        (
            "web-1: {ssh: {address: a, user: u, key: /k}, seen_from: [b, b]}\nb: {ssh: {address: b, user: u, key: /k}}",
            "b is named twice",
        ),
        ("web-1: {kubernetes: {}}", "write exactly one of `kubeconfig: /FILE` and `in_cluster: true`"),
        ("web-1: {kubernetes: {kubeconfig: /k, in_cluster: true}}", "write exactly one of `kubeconfig: /FILE`"),
        ("web-1: {kubernetes: {in_cluster: true, context: a}}", "a `context` belongs to a `kubeconfig`"),
        ("web-1: {kubernetes: {kubeconfig: ~/.kube/config}}", "hosts.web-1.kubernetes.kubeconfig: "),
        ("web-1: {local: true, kubernetes: {in_cluster: true}}", "write exactly one of `local: true`"),
        ("web-1: {local: true, also: [b]}\nb: {local: true}", "hosts.web-1.also.0: b means two hosts"),
        ("web-1: {local: true, also: [x]}\nb: {local: true, also: [x]}", "hosts.b.also.0: x means two hosts"),
    ],
)
def test_what_cannot_be_is_refused_in_its_place(hosts: str, why: str) -> None:
    problems = wrong(hosts)
    assert len(problems) == 1, problems
    assert why in problems[0]
    assert problems[0].startswith(("2:", "3:"))


def test_every_host_of_a_loop_of_jumps_is_named() -> None:
    ssh = "{ssh: {address: x, user: u, key: /k, jump: %s}}"
    problems = wrong(f"web-1: {ssh % 'b'}\nb: {ssh % 'c'}\nc: {ssh % 'b'}")
    assert [problem.split(": ")[1] for problem in problems] == ["hosts.b.ssh.jump", "hosts.c.ssh.jump"]
    assert "b → c → b" in problems[0]


def test_a_health_address_that_would_ask_this_machine_is_refused_for_another() -> None:
    far = "web-1: {ssh: {address: a, user: u, key: /k}}"
    for url in ("http://127.0.0.1:80/", "http://localhost/", "http://[::1]/", "http://0.0.0.0/"):
        problems = wrong(far, f'{{host: web-1, systemd: a.service, health: "{url}"}}')
        assert "is the machine that Paramedic runs on, and web-1 is reached by SSH" in problems[0]
        assert parsed("web-1: {local: true}", f'{{host: web-1, systemd: a.service, health: "{url}"}}')


def test_a_host_that_is_reached_in_another_way_since_is_withdrawn() -> None:
    then = parse_services(WHOLE, "s").targets["web-7/tracking-api.service"]
    now = parse_services(WHOLE.replace("address: 10.0.0.7", "address: 10.0.0.8"), "s")
    why = _unlisted(then, RESTART, now)
    assert why is not None
    assert why.endswith("another machine than when the run began: web-7, by SSH as paramedic at 10.0.0.8:22")


def test_the_schema_for_editors_knows_hosts() -> None:
    validator = jsonschema.Draft202012Validator(schema())
    yaml = YAML(typ="safe")
    assert list(validator.iter_errors(yaml.load(WHOLE))) == []
    for before, after in (
        ("local: true", "local: 1"),
        ("user: paramedic", "usr: paramedic"),
        ("port: 2222", "port: 0"),
    ):
        assert list(validator.iter_errors(yaml.load(WHOLE.replace(before, after))))
