"""Only the doors lead to integrations, by the names that lie there, and nothing is loaded before it is used."""

import ast
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Literal

import pytest

from paramedic.doors import changing, integration, reading, telling
from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds import registry
from paramedic.kinds.process_target import process_identity
from paramedic.kinds.registry import Room
from paramedic.remediation.target import Target

ROOT = Path(__file__).parents[2]


def target(kind: str) -> Target:
    return Target("here/app", "tracking", "here", kind, "app", "unix:///nowhere/at/all")


def test_a_kind_finds_its_integration() -> None:
    with pytest.raises(TemporaryError):
        reading.reader(target("supervisord")).identity()
    assert type(changing.changer(target("supervisord"), timedelta(seconds=1))).__name__ == "Changer"
    mail = registry.current().plugin(Room.CHANNELS, "email").Settings(smtp_url="smtp://here", mail_from="p@example.org")
    assert type(telling.teller("email", mail)).__name__ == "Teller"


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "os",
        "..store",
        ".email",
        "email",
        "email.Teller",
        "../channels/email",
        "__init__",
        "SYSTEMD",
        "systemd\n",
        "x" * 5000,
    ],
)
def test_a_kind_from_data_imports_nothing_else(kind: str) -> None:
    before = set(sys.modules)
    with pytest.raises(PermanentError, match="there is no plug-in") as refusal:
        reading.reader(target(kind))
    assert set(sys.modules) == before
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    ("room", "kind", "role"),
    [("channels", "email", "Reader"), ("channels", "email", "Changer"), ("targets", "supervisord", "Teller")],
)
def test_an_integration_plays_only_its_own_roles(room: Literal["targets", "channels"], kind: str, role: str) -> None:
    with pytest.raises(PermanentError, match=f"has no {role}"):
        integration(room, kind, role)


def test_what_reads_what_changes_and_what_tells_are_separate() -> None:
    assert not hasattr(integration("targets", "supervisord", "Reader"), "restart")
    assert not hasattr(integration("targets", "supervisord", "Changer"), "identity")


def test_the_reading_door_passes_looks_at_this_machine_on(tmp_path: Path) -> None:
    import os

    (tmp_path / "log").write_text("here\n")
    logs = replace(target("supervisord"), log=str(tmp_path / "log"))
    assert reading.log_tail(logs) == "here\n"
    me = process_identity(os.getpid(), None, "RUNNING")
    assert reading.resident_memory(target("supervisord"), me) > 1_000_000
    assert not reading.probe("http://127.0.0.1:1/", timedelta(seconds=1)).ok


def test_a_target_whose_system_keeps_no_journal_says_what_to_name_instead() -> None:
    with pytest.raises(PermanentError, match="here/app is a supervisord target, and offers no journal: name its `log`"):
        reading.evidence(target("supervisord"), "journal")


def test_both_kinds_of_target_are_read_and_restarted_through_the_same_doors() -> None:
    for kind in ("supervisord", "systemd"):
        assert callable(reading.reader(target(kind)).identity)
        assert callable(changing.changer(target(kind), timedelta(seconds=1)).restart)


def loaded_by(program: str) -> set[str]:
    command = [sys.executable, "-c", f"{program}\nimport sys; print(*sys.modules)"]
    return set(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.split())


def integrations(modules: set[str]) -> list[str]:
    return sorted(module for module in modules if module.startswith("paramedic.integrations."))


#: The rooms from which nothing leads to production, to people or to the network.
NOUNS = ("alerts", "audit", "catalog", "checks", "incidents", "machine", "messages", "oncall", "remediation", "text")


def test_no_noun_loads_an_integration() -> None:
    files = [path for room in NOUNS for path in sorted((ROOT / "paramedic" / room).glob("*.py"))]
    assert len(files) > len(NOUNS)
    modules = [".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files]
    assert integrations(loaded_by("\n".join(f"import {module}" for module in modules))) == []


def test_a_door_loads_what_is_used_and_nothing_before() -> None:
    doors = "import paramedic.doors.reading as r, paramedic.doors.changing, paramedic.doors.telling"
    closed = loaded_by(doors)
    assert integrations(closed) == []
    assert not closed & {"psutil", "httpx", "smtplib", "xmlrpc", "paramiko"}
    connected = f"{doors}\nfrom datetime import timedelta as t\nr.connect('127.0.0.1', 1, t(seconds=1))"
    assert integrations(loaded_by(connected)) == ["paramedic.integrations.probes", "paramedic.integrations.probes.tcp"]


def test_who_has_no_host_by_ssh_loads_no_client_of_it() -> None:
    processes = "import paramedic, paramedic.cli.host, paramedic.cli.doctor, paramedic.gateway.__main__"
    here = "from paramedic.remediation.target import Target\nfrom paramedic.doors import transports"
    here += "\ntransports.transport(Target('a/b', 'x', 'a', 'systemd', 'b', ''))"
    assert not loaded_by(f"{processes}\n{here}") & {"paramiko", "nacl"}


def test_reading_what_authors_write_loads_no_client_of_a_network_and_no_source() -> None:
    read = f"read_folder(Path({str(ROOT / 'runbooks')!r}))"
    program = f"from pathlib import Path\nfrom paramedic.catalog.library import read_folder\n{read}"
    loaded = loaded_by(program)
    assert not loaded & {"httpx", "prefect", "apprise", "fastapi", "cryptography", "psutil", "asyncio"}
    assert not [module for module in loaded if module.startswith("paramedic.sources.")]
    channels = [module for module in integrations(loaded) if module.startswith("paramedic.integrations.channels.")]
    assert channels == ["paramedic.integrations.channels.email"], "what the runbooks name"


def test_nothing_but_the_doors_names_an_integration() -> None:
    rooms = [path for room in ("paramedic", "tasks", "flows") for path in (ROOT / room).rglob("*.py")]
    found = {
        str(path.relative_to(ROOT))
        for path in rooms
        if any(name.startswith("paramedic.integrations") for name in imports(path))
    }
    assert {path for path in found if not path.startswith("paramedic/doors/")} == set()
    assert found


def imports(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names
