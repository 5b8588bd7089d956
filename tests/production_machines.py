"""Two machines with a `paramedic up` each, on one store and one Prefect: what the kill table's driver sees as its stack."""

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
from boundaries import Boundaries
from kill.authored import write_authored
from kill.driver import PACE, TOKEN, Driver
from production_servers import PREFECT_LOGIN, Servers, serving
from pydantic import SecretStr
from whole_paramedic import Paramedic

from paramedic.demo.world import Mailbox, World
from paramedic.settings import Settings
from paramedic.store import Store
from paramedic.transports.prefect_http import PrefectApi

ROLES = ("gateway", "dispatch", "responder", "watchdog")


class Machines:
    """The `paramedic up` of each machine, by its name."""

    def __init__(self, ups: dict[str, Paramedic], prefect: str) -> None:
        self.ups = ups
        self.prefect_api = PrefectApi(prefect, SecretStr(PREFECT_LOGIN))

    def tick(self) -> None:
        """Each keeps its own processes running."""
        for name, up in self.ups.items():
            assert up.process.poll() is None, f"{name} has ended:\n{up.output_text[-2000:]}"

    def process(self, role: str, machine: str) -> psutil.Process:
        return self.ups[machine].children()[f"paramedic.{role}"]

    def machine_of(self, pid: int) -> str:
        """The machine that the process is one of."""
        above = {process.pid for process in psutil.Process(pid).parents()}
        return next(name for name, up in self.ups.items() if up.process.pid in above)

    def is_whole(self, machine: str) -> bool:
        return {f"paramedic.{role}" for role in ROLES} <= self.ups[machine].children().keys()

    def lose(self, machine: str) -> None:
        """The machine's power goes: `up` and all that it has started."""
        up = self.ups.pop(machine)
        up.kill()


@contextlib.contextmanager
def producing(
    require: Callable[[str], str], folder: Path, pg_folder: Path, services: list[tuple[str, str, str]]
) -> Iterator[tuple[Driver, Servers, Machines]]:
    """The whole shape, ready."""
    for name in ("runbooks", "flows", "boundaries", "world", "servers", "web-a", "web-b"):
        (folder / name).mkdir(mode=0o755, parents=True)
    boundaries = Boundaries(folder / "boundaries")
    with (
        World(folder / "world", services, autostart=False) as world,
        Mailbox() as mailbox,
        serving(require, folder / "servers", pg_folder) as servers,
    ):
        write_authored(folder, world, "")
        runbook = folder / "runbooks" / "broken-service.md"
        runbook.write_text(runbook.read_text().replace("within: 10s", "within: 2m"))
        env = _env(folder, servers, mailbox)
        ups: dict[str, Paramedic] = {}
        try:
            for name, port in zip(("web-a", "web-b"), servers.gateway_ports, strict=True):
                own = {"PARAMEDIC_DATA": str(folder / name / "data"), "PARAMEDIC_PORT": str(port)}
                ups[name] = Paramedic(folder / name, "up", **(env | own))
            machines = Machines(ups, servers.prefect)
            for up in ups.values():
                up.says("Prefect UI", 400)
            settings = Settings(data=folder / "web-a" / "data", runbooks=folder / "runbooks", store_url=_store(servers))
            yield (
                Driver(
                    folder=folder,
                    world=world,
                    mailbox=mailbox,
                    boundaries=boundaries,
                    settings=settings,
                    stack=machines,
                    store=Store(settings.store()),
                    gateway=servers.gateway,
                    prefect=servers.prefect,
                ),
                servers,
                machines,
            )
        finally:
            for up in ups.values():
                up.kill()


def _store(servers: Servers) -> SecretStr:
    return SecretStr(servers.postgres.url("paramedic"))


def _env(folder: Path, servers: Servers, mailbox: Mailbox) -> dict[str, str]:
    """What both machines are given alike."""
    return {
        "PARAMEDIC_STORE_URL": _store(servers).get_secret_value(),
        "PARAMEDIC_PREFECT_API_URL": servers.prefect,
        "PARAMEDIC_PREFECT_API_AUTH": PREFECT_LOGIN,
        "PARAMEDIC_PUBLIC_URL": servers.gateway,
        "PARAMEDIC_GATEWAY_TOKENS": json.dumps({"test": TOKEN}),
        "PARAMEDIC_LINK_KEY_FILE": str(folder / "link.key"),
        "PARAMEDIC_RUNBOOKS": str(folder / "runbooks"),
        "PARAMEDIC_FLOWS": str(folder / "flows"),
        "PARAMEDIC_SMTP_URL": mailbox.url,
        "PARAMEDIC_MAIL_FROM": "paramedic@example.org",
        "PARAMEDIC_KILL_POINTS": str(folder / "boundaries"),
        "PARAMEDIC_WARM_PROCESSES": "1",
        **PACE,
        "PARAMEDIC_SILENT_AFTER": "30s",
        # Two of everything on one machine: it may be slow, and slow is nobody's death.
        "PARAMEDIC_WATCHDOG_EVERY": "3s",
        "PARAMEDIC_LEASE": "20s",
        "PARAMEDIC_RENEW": "3s",
        "PARAMEDIC_ACT_DEADLINE": "60s",
        "PARAMEDIC_CLAIM_WITHIN": "150s",
        "PARAMEDIC_PREFECT_TIMEOUT": "60s",
        "PARAMEDIC_PROBE_TIMEOUT": "10s",
        "PREFECT_WORKER_QUERY_SECONDS": "5",
    }
