"""Every command line of the compose file and of the manifests, in the image: on PostgreSQL, Redis and a Prefect of the image."""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from built_image import BASE, HARDENED, IMAGE, USER, Engine, accepted
from databases import Postgres
from production_servers import PREFECT_LOGIN, REDIS_PASSWORD, redis_on
from shipped_containers import COMPOSE, Parsed, composed, manifests, pods
from ssh_servers import Relay
from waiting import until

from paramedic.demo.world import free_port

pytestmark = [pytest.mark.real, pytest.mark.long, pytest.mark.timeout(2400)]

TOKEN = "a-token-of-the-sender"

#: In the order in which they wait for each other.
IN_ORDER = ("migrate", "migrate-prefect", "prefect", "gateway", "responder", "watchdog-1")


def command_of(service: Parsed) -> tuple[list[str], list[str]]:
    """What replaces the image's entrypoint, and what its command."""
    return service.get("entrypoint", []), service.get("command", [])


@dataclass
class Shape:
    """One network namespace in which each service has the ports and the names that it has in compose and in a cluster."""

    podman: Engine
    inside: str
    folder: Path
    secrets: dict[str, dict[str, str]]

    def composed(self, name: str) -> list[str]:
        """The options of `podman run` that say what the service of the compose file says."""
        service = composed()["services"][name]
        words = ["--read-only"] * service["read_only"] + [f"--cap-drop={each}" for each in service["cap_drop"]]
        words += [f"--security-opt={each.replace(':true', '')}" for each in service["security_opt"]]
        words += [f"--tmpfs={each}" for each in service["tmpfs"]]
        for volume in service["volumes"]:
            at = volume.replace("./runbooks", f"{self.folder}/runbooks").replace(
                "watchdog-1:", f"{self.inside}-watchdog:"
            )
            words.append(f"--volume={at}")
        words += [f"--volume={self.folder}/{each}:/run/secrets/{each}:ro" for each in service.get("secrets", [])]
        written = service.get("environment", {})
        env = {name: re.sub(r"^\$\{.*\}$", "http://127.0.0.1", value) for name, value in written.items()}
        return words + _env(*(self.secrets[Path(each).stem] for each in service["env_file"]), env)

    def clustered(self, workload: str, pod: Parsed) -> list[str]:
        """The same of a pod's container. Its folder of data is a kubelet's `emptyDir` under the pod's group."""
        data = self.folder / workload
        data.mkdir()
        os.chown(data, 0, USER)
        data.chmod(0o2777)
        for each in pod.get("initContainers", []):
            mounts = (
                f"--volume={data}:/data",
                f"--volume={self.folder}/configmap:/from:ro",
                f"--entrypoint={each['command'][0]}",
            )
            self.podman.says(IMAGE, *each["command"][1:], options=(*HARDENED, *mounts))
        maps = {each["metadata"]["name"]: each["data"] for each in manifests() if each["kind"] == "ConfigMap"}
        env = [
            maps[each["configMapRef"]["name"]] if "configMapRef" in each else self.secrets[each["secretRef"]["name"]]
            for each in pod["containers"][0]["envFrom"]
        ]
        mounts = (f"--volume={data}:/data", f"--volume={self.folder}/keys:/keys:ro")
        return [*HARDENED, *mounts, *_env(*env)]

    def start(self, name: str, options: list[str], entrypoint: list[str], command: list[str]) -> str:
        """The container of these command lines; its name."""
        at = [f"--entrypoint={json.dumps(entrypoint)}"] if entrypoint else []
        self.podman.start(
            IMAGE, made := f"{self.inside}-{name}", f"--network=container:{self.inside}", *options, *at, command=command
        )
        return made

    def ends(self, name: str) -> None:
        """The container ends by itself, and well."""
        assert self.podman.run("wait", name, seconds=400) == "0", self.log(name)

    def becomes_well(self, name: str, *check: str) -> None:
        """By this check of a container that goes on; by the image's own without one."""
        until(name, lambda: self._is_well(name, *check), 300, tick=lambda: time.sleep(1))

    def _is_well(self, name: str, *check: str) -> bool:
        assert self.podman.inspect(name)["State"]["Running"], self.log(name)
        if check:
            return self.podman.run("exec", name, "sh", "-c", '"$@" && echo well', "sh", *check, well=False) == "well"
        self.podman.run("healthcheck", "run", name, well=False)
        return bool(self.podman.inspect(name)["State"]["Health"]["Status"] == "healthy")

    def log(self, name: str) -> str:
        return self.podman.run("logs", name)[-3000:]

    def stop(self, name: str) -> None:
        self.podman.run("rm", "--force", "--time=30", name)


def _env(*given: dict[str, str]) -> list[str]:
    return [f"--env={name}={value}" for one in given for name, value in one.items()]


def secrets(store: str, redis: str) -> dict[str, dict[str, str]]:
    """What docs/production.md has in `secrets/`, by the names of compose's files and of the cluster's Secrets."""
    shared = {"PARAMEDIC_STORE_URL": f"postgresql://paramedic_runtime@{store}/paramedic"}
    ours = shared | {
        "PARAMEDIC_PREFECT_API_AUTH": PREFECT_LOGIN,
        "PARAMEDIC_GATEWAY_TOKENS": json.dumps({"alertmanager": TOKEN}),
    }
    owner = shared | {"PARAMEDIC_STORE_OWNER_URL": f"postgresql://paramedic@{store}/paramedic"}
    prefect = {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": f"postgresql+asyncpg://paramedic@{store}/prefect",
        "PREFECT_REDIS_MESSAGING_URL": f"redis://:{REDIS_PASSWORD}@{redis}/0",
        "PREFECT_SERVER_DOCKET_URL": f"redis://:{REDIS_PASSWORD}@{redis}/1",
        "PREFECT_SERVER_API_AUTH_STRING": PREFECT_LOGIN,
    }
    return {
        "paramedic": ours,
        "owner": owner,
        "prefect": prefect,
        "paramedic-owner": owner,
        "paramedic-prefect": prefect,
    }


def written(folder: Path, books: Path) -> None:
    """The authors' files and the key, as compose mounts them and as a kubelet does."""
    (folder / "runbooks").symlink_to(books)
    for inside, name, mode, owner in (("", "link.key", 0o400, USER), ("keys/..1", "link.key", 0o440, 0)):
        file = folder / inside / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("5" * 44)
        file.chmod(mode)
        os.chown(file, owner, USER)
    shutil.copytree(books, folder / "configmap" / "..1")
    for volume in ("keys", "configmap"):
        (folder / volume).chmod(0o777)
        (folder / volume / "..data").symlink_to("..1")
        for file in (folder / volume / "..1").iterdir():
            (folder / volume / file.name).symlink_to(f"..data/{file.name}")


@pytest.fixture(scope="module")
def shape(image: Engine, require: Callable[[str], str], postgres: Postgres) -> Iterator[Shape]:
    """PostgreSQL and Redis, the files, and the namespace."""
    postgres.run("CREATE ROLE paramedic LOGIN SUPERUSER")
    postgres.run("CREATE DATABASE paramedic OWNER paramedic")
    for statement in (COMPOSE / "databases.sql").read_text().split(";")[:-1]:
        postgres.run(statement)
    folder, inside = image.folder / "shape", f"paramedic-roles-{os.getpid()}"
    (folder / "redis").mkdir(parents=True)
    redis = redis_on(port := free_port(), require("redis-server"), folder / "redis")
    redis.start()
    redis.is_ready()
    network, mine = image.network(inside), image.authored("roles")
    written(folder, mine / "runbooks")
    names = [f"--add-host={name}:127.0.0.1" for name in ("proxy", "prefect", "gateway")]
    image.start(BASE, inside, f"--network={network}", "-p", "127.0.0.1::8650", *names, command=("sleep", "infinity"))
    here = image.gateway_of(network)
    relays = [Relay(("127.0.0.1", to), here) for to in (postgres.port, port)]
    try:
        yield Shape(image, inside, folder, secrets(*(f"{here}:{relay.port}" for relay in relays)))
    finally:
        for relay in relays:
            relay.close()
        redis.kill()


def test_every_command_line_of_the_cluster_is_one_of_compose() -> None:
    lines = [
        command_of(service) for service in composed()["services"].values() if "PARAMEDIC_IMAGE" in service["image"]
    ]
    for name, pod in pods():
        [container] = pod["containers"]
        assert (container.get("command", []), container.get("args", [])) in lines, name


def test_each_service_of_compose_starts_and_an_alert_comes_to_its_end(shape: Shape) -> None:
    services = composed()["services"]
    ours = {name for name, service in services.items() if "PARAMEDIC_IMAGE" in service["image"]}
    assert ours == {*IN_ORDER, "watchdog-2"}
    for name in IN_ORDER:
        started = shape.start(name, shape.composed(name), *command_of(services[name]))
        if name.startswith("migrate"):
            shape.ends(started)
        elif name == "prefect":
            shape.becomes_well(started, *services[name]["healthcheck"]["test"][1:])
        else:
            shape.becomes_well(started)
    comes_to_its_end(shape, f"{shape.inside}-gateway", "MyServiceDown", 1)


def comes_to_its_end(shape: Shape, gateway: str, alert: str, number: int) -> str:
    """The alert by the published port; the incident that it opens, once nobody works on it any more."""
    address = f"http://{shape.podman.run('port', shape.inside, '8650')}"
    until("a 202", lambda: accepted(address, TOKEN, alert))

    def ended() -> str:
        show = ("paramedic", "incident", "show", str(number))
        shown = shape.podman.run("exec", gateway, *show, well=False)
        print(shown)
        return shown if "handed over" in shown else ""

    return str(until("its end", ended, 240, tick=lambda: time.sleep(3)))


def test_each_workload_of_the_cluster_starts_on_the_volumes_of_a_kubelet(shape: Shape) -> None:
    for name in ("gateway", "responder", "watchdog-1", "prefect"):
        shape.stop(f"{shape.inside}-{name}")
    found = dict(pods())
    for name in ("migrate", "migrate-prefect", "prefect", "gateway", "responder", "watchdog"):
        [container] = found[name]["containers"]
        started = shape.start(
            f"pod-{name}", shape.clustered(name, found[name]), container.get("command", []), container.get("args", [])
        )
        if name.startswith("migrate"):
            shape.ends(started)
            continue
        probe = container["readinessProbe"]["httpGet"]
        [port] = [each["containerPort"] for each in container["ports"] if each["name"] == probe["port"]]
        ask = f"import urllib.request as r; r.urlopen('http://127.0.0.1:{port}{probe['path']}', timeout=5)"
        shape.becomes_well(started, "python", "-c", ask)
    comes_to_its_end(shape, f"{shape.inside}-pod-gateway", "AnotherOne", 2)
