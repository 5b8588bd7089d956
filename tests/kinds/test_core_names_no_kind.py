"""The core knows no shipped kind by its name: it asks the registry, or the plug-in's face."""

import ast
from collections.abc import Iterator
from pathlib import Path

from paramedic.checks.probes import check_word
from paramedic.kinds.registry import Registry, Room

ROOT = Path(__file__).parents[2]

#: Where kinds are written, and the story that plays with some of them.
THEIRS = {"integrations", "sources", "transports", "demo"}

#: Names of kinds that are words of the field as well; only a comparison with somebody's `kind` shows which is meant.
ORDINARY = {
    "free_space",  # of a disk
    "health",  # a target's address
    "host",  # of a target, and of HTTP
    "http",  # the protocol
    "https",  # likewise
    "machine",  # what leads to a target: a machine, or a cluster
    "process",  # Prefect's own type of worker
    "ready",  # of a pod
    "sessions",  # of a database
    "tcp",
}

#: Where one may be named, and why.
ALLOWED = {
    ("paramedic/alerts/alert_object.py", "container"): "a label of alerts about pods",
    ("paramedic/alerts/alert_object.py", "prometheus"): "a label of alerts of the Prometheus operator",
    ("paramedic/cli/__init__.py", "deployment"): "a command, of what was deployed",
    ("paramedic/docker/answers.py", "container"): "what distinguishes its instances, on trails too",
    ("paramedic/docker/evidence.py", "container"): "a line of what is seen",
    ("paramedic/kinds/docker_engine.py", "tls"): "how its port is reached, in the words of its target",
    ("paramedic/kubernetes/logs.py", "container"): "a container of a pod, in the Kubernetes API",
    ("paramedic/cli/runbook_trial.py", "alertmanager"): "the default of an option",
    ("paramedic/cli/alert_send.py", "alertmanager"): "the default of an option",
    ("paramedic/cli/alert_example.py", "alertmanager"): "the default of an argument",
    ("paramedic/cli/host.py", "systemd"): "what a host has of what remedies need",
    (
        "paramedic/oncall/oncall_file.py",
        "email",
    ): "oncall.yaml's `email: a@b` is short for a contact method of this kind",
}


def kinds() -> set[str]:
    shipped = Registry()
    words = {check_word(check) for probe in shipped.usable(Room.PROBES).values() for check in probe.CHECK}
    return (
        {name for room in Room for name in shipped.names(room)} | words | {word.removesuffix("://") for word in words}
    )


def named(path: Path, known: set[str]) -> Iterator[str]:
    """Each kind that the module names as a text, or compares a `kind` with."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and node.value in known and node.value.removesuffix("://") not in ORDINARY:
            yield node.value
        if isinstance(node, ast.Compare) and any(_is_kind(side) for side in (node.left, *node.comparators)):
            constants = {node.value for node in ast.walk(node) if isinstance(node, ast.Constant)}
            yield from sorted(map(str, constants & known))
        if isinstance(node, ast.Match) and _is_kind(node.subject):
            values = {node.value for node in ast.walk(node) if isinstance(node, ast.Constant)}
            yield from sorted(map(str, values & known))


def _is_kind(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "kind"


def found() -> set[tuple[str, str]]:
    known = kinds()
    paths = [
        path
        for room in ("paramedic", "tasks", "flows")
        for path in (ROOT / room).rglob("*.py")
        if not THEIRS & set(path.relative_to(ROOT).parts)
    ]
    assert len(paths) > 200
    return {(str(path.relative_to(ROOT)), name) for path in paths for name in named(path, known)}


def test_only_what_has_a_reason_names_a_kind() -> None:
    assert found() == set(ALLOWED)


def test_every_ordinary_word_is_a_kind_s_name_as_well() -> None:
    assert kinds() >= ORDINARY
