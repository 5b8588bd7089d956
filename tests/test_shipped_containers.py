"""The files for containers and clusters fit each other and the code: settings that there are, roles, ports, least rights."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
from required import missing
from ruamel.yaml import YAML
from shipped_containers import BASE, COMPOSE, FOLDER, IMAGE, Parsed, composed, manifests, only, pods

from paramedic.serving.metrics_ports import METRICS_PORTS
from paramedic.settings import ROOT, Settings
from paramedic.store.running_processes import ROLES

#: The Compose Specification's own, as docker-compose 1.29.2 brings it (Apache-2.0).
SCHEMA = json.loads((ROOT / "tests" / "payloads" / "compose_spec.json").read_text())


def test_compose_takes_the_file() -> None:
    jsonschema.Draft7Validator(SCHEMA).validate(composed())
    wrong = composed() | {"services": {"gateway": {"imgae": "x"}}}
    with pytest.raises(jsonschema.ValidationError, match="imgae"):
        jsonschema.Draft7Validator(SCHEMA).validate(wrong)


@pytest.mark.parametrize("file", ["compose/compose.yaml", "kubernetes/base/settings.yaml", "container/Containerfile"])
def test_every_variable_of_ours_is_one_of_a_setting(file: str) -> None:
    known = {f"PARAMEDIC_{name.upper()}" for name in Settings.model_fields} | {"PARAMEDIC_IMAGE"}
    text = (FOLDER / file).read_text()
    assert set(re.findall(r"\bPARAMEDIC_[A-Z0-9_]+", text)) - known == set()


def test_every_role_is_started_and_there_are_two_of_each() -> None:
    services = composed()["services"].values()
    roles = [role for one in services for role in only(one.get("command", [])) for _ in range(_copies(one))]
    assert {role: roles.count(role) for role in ROLES} == dict.fromkeys(ROLES, 2)
    replicas = {
        manifest["metadata"]["name"]: manifest["spec"]["replicas"]
        for manifest in manifests()
        if manifest["kind"] in ("Deployment", "StatefulSet")
    }
    started = {role: name for name, pod in pods() for role in only(pod["containers"][0].get("args", []))}
    assert {role: replicas[name] for role, name in started.items()} == dict.fromkeys(ROLES, 2)


def _copies(service: Parsed) -> int:
    return int(service.get("deploy", {}).get("replicas", 1))


def test_no_container_may_gain_a_right_or_write_to_its_root() -> None:
    for name, service in composed()["services"].items():
        if name != "postgres":  # its image prepares its folder as root
            assert service["read_only"], name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
    for name, pod in pods():
        assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, 64210), name
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            rights = container["securityContext"]
            assert rights["readOnlyRootFilesystem"], name
            assert (rights["allowPrivilegeEscalation"], rights["capabilities"]) == (False, {"drop": ["ALL"]}), name
            assert container["resources"]["limits"]["memory"], name
    assert re.search(r"^USER 64210:64210$", IMAGE, re.MULTILINE)
    assert "HEALTHCHECK" in IMAGE


def test_prefect_copies_its_pages_where_it_may_write() -> None:
    """It does so at its start, beside its code if nobody says where; without them it goes on, and serves no UI."""
    prefect = composed()["services"]["prefect"]
    config = next(
        each["data"] for each in manifests() if (each["kind"], each["metadata"]["name"]) == ("ConfigMap", "prefect")
    )
    pod = next(pod for name, pod in pods() if name == "prefect")
    writable = {mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}
    for folder, folders in (
        (prefect["environment"]["PREFECT_SERVER_UI_STATIC_DIRECTORY"], {*prefect["tmpfs"], *prefect["volumes"]}),
        (config["PREFECT_SERVER_UI_STATIC_DIRECTORY"], writable),
    ):
        assert str(Path(folder).parent) in folders


def test_only_the_responder_speaks_to_the_api_server_and_its_account_is_the_one_of_the_role() -> None:
    tokens = {name: pod["automountServiceAccountToken"] for name, pod in pods()}
    assert [name for name, has in tokens.items() if has] == ["responder"]
    [account] = [pod["serviceAccountName"] for name, pod in pods() if name == "responder"]
    role = (FOLDER / "kubernetes" / "role.yaml").read_text()
    subject = re.search(r"subjects:\n  - kind: ServiceAccount\n    name: (\S+)\n    namespace: (\S+)", role)
    namespace = re.search(r"^namespace: (\S+)", (BASE / "kustomization.yaml").read_text(), re.MULTILINE)
    assert subject is not None
    assert namespace is not None
    assert subject.groups() == (account, namespace[1])
    kinds = {manifest["kind"] for manifest in manifests()}
    assert not {"ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"} & kinds


def specs(kind: str) -> dict[str, Parsed]:
    return {manifest["metadata"]["name"]: manifest["spec"] for manifest in manifests() if manifest["kind"] == kind}


def test_nothing_reaches_a_pod_but_what_is_named() -> None:
    policies = specs("NetworkPolicy")
    assert policies["closed"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    rules = [rule for spec in policies.values() for rule in spec.get("ingress", [])]
    assert len(rules) == 3
    assert all(rule["from"] and rule["ports"] for rule in rules), "from everybody, or to every port"


def test_one_of_each_is_left_while_a_node_is_drained() -> None:
    budgets = {name: spec["minAvailable"] for name, spec in specs("PodDisruptionBudget").items()}
    assert budgets == dict.fromkeys(("gateway", "responder", "watchdog", "prefect"), 1)


def test_the_ports_are_those_that_each_role_listens_on() -> None:
    [base] = re.findall(r"PARAMEDIC_METRICS_PORT=(\d+)", IMAGE)
    for name, pod in pods():
        roles = only(pod["containers"][0].get("args", []))
        shown = {port["containerPort"] for port in pod["containers"][0].get("ports", [])}
        wanted = {int(base) + METRICS_PORTS[role] for role in roles if role in METRICS_PORTS}
        assert not roles or shown == wanted | (
            {Settings.model_fields["port"].default} if "gateway" in roles else set()
        ), name
    [exposed] = re.findall(r"^EXPOSE (.*)$", IMAGE, re.MULTILINE)
    assert [int(port) for port in exposed.split()] == [8650, 8651, 8652, 8653]


def test_prometheus_ports_of_compose_are_published_to_nobody() -> None:
    published = [port for service in composed()["services"].values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:8650:8650", "127.0.0.1:4200:4200"]


def test_kustomize_builds_the_base() -> None:
    kubectl = shutil.which("kubectl") or missing("there is no kubectl")
    built = subprocess.run([kubectl, "kustomize", str(BASE)], check=False, capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stderr
    found = list(YAML(typ="safe", pure=True).load_all(built.stdout))
    assert len(found) == len(manifests())
    assert {one["metadata"].get("namespace", "paramedic") for one in found} == {"paramedic"}


def test_the_component_of_nodes_adds_the_right_to_look_at_one_by_its_name(tmp_path: Path) -> None:
    """And that alone, for the account of the responder: in an overlay as docs/production.md has it."""
    kubectl = shutil.which("kubectl") or missing("there is no kubectl")
    base, component = (os.path.relpath(path, tmp_path) for path in (BASE, BASE.parent / "components" / "nodes"))
    overlay = f"apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [{base}]\n"
    built = []
    for text in (overlay, f"{overlay}components: [{component}]\n"):
        (tmp_path / "kustomization.yaml").write_text(text)
        done = subprocess.run(
            [kubectl, "kustomize", str(tmp_path)], check=False, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stderr
        built.append(list(YAML(typ="safe", pure=True).load_all(done.stdout)))
    role, binding = [one for one in built[1] if one not in built[0]]
    assert (role["kind"], role["rules"]) == (
        "ClusterRole",
        [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}],
    )
    [account] = [pod["serviceAccountName"] for name, pod in pods() if name == "responder"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "paramedic"}]
    assert (binding["kind"], binding["roleRef"]["name"]) == ("ClusterRoleBinding", role["metadata"]["name"])


def test_nginx_takes_the_file_of_compose(require: Callable[[str], str], tmp_path: Path) -> None:
    text = (COMPOSE / "nginx.conf").read_text().replace("/run/nginx.pid", f"{tmp_path}/pid")
    (tmp_path / "nginx.conf").write_text(text.replace("listen ", "listen 127.0.0.1:"))
    command = [require("nginx"), "-t", "-p", str(tmp_path), "-c", f"{tmp_path}/nginx.conf"]
    tried = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert tried.returncode == 0, tried.stderr
