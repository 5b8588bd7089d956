"""What stands around several Paramedics in production: PostgreSQL, Redis, two Prefect servers, nginx before each pair."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import redis
from databases import Postgres, start_postgres, stop_postgres
from waiting import until

from paramedic.demo.world import free_port
from paramedic.machine.parent_death import command, module
from paramedic.stack.prefect_server import server_env

REDIS_PASSWORD = secrets.token_hex(16)
PREFECT_LOGIN = f"paramedic:{secrets.token_hex(16)}"

#: The one before each pair. A request is handed to the other server where this one refuses the connection.
_NGINX = """\
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
{pairs}
}}
"""

_PAIR = """\
  upstream {name} {{ {servers} }}
  server {{
    listen 127.0.0.1:{port};
    client_max_body_size 16m;
    location / {{
      proxy_pass http://{name};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_connect_timeout 2s;
    }}
  }}
"""

_UPGRADE = "  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }\n"


@dataclass
class Program:
    """A server that a test kills and starts again on what it left."""

    name: str
    argv: list[str]
    folder: Path
    answers: Callable[[], bool]
    env: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    port: int = 0

    def start(self) -> None:
        """Begin; `is_ready` says when it serves."""
        with (self.folder / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                command(self.argv),
                env=dict(os.environ) | self.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                process_group=0,
            )

    def is_ready(self, seconds: float = 300) -> None:
        until(self.name, self.answers, seconds)

    def kill(self) -> None:
        """With everything that it has started."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def log(self) -> str:
        return (self.folder / f"{self.name}.log").read_text(errors="replace")[-3000:]


@dataclass(frozen=True)
class Tls:
    """What a server shows, and the authority that signed it."""

    authority: Path
    certificate: Path
    key: Path


@dataclass
class Database:
    """A PostgreSQL that a test kills and starts again on its data, at its port."""

    initdb: str
    folder: Path

    def __post_init__(self) -> None:
        self.postgres, self._process = start_postgres(self.initdb, self.folder)

    def kill(self) -> None:
        """The postmaster with SIGKILL. Each session ends as it notices; before the last one has, none starts on these data."""
        sessions = psutil.Process(self._process.pid).children()
        self._process.kill()
        self._process.wait()
        _, alive = psutil.wait_procs(sessions, timeout=60)
        assert not alive, f"sessions outlive their PostgreSQL: {alive}"

    def start(self) -> None:
        """It recovers what was committed, and answers."""
        self.postgres, self._process = start_postgres(self.initdb, self.folder, self.postgres.port)

    def secure(self, tls: Tls) -> None:
        """From now on every role but the superuser comes by TLS alone, and with its password."""
        data = self.folder / "data"
        for file, name in ((tls.certificate, "server.crt"), (tls.key, "server.key")):
            (data / name).write_bytes(file.read_bytes())
            (data / name).chmod(0o600)
            shutil.chown(data / name, *([data.owner()] * 2))
        rules = ("host all postgres 127.0.0.1/32 trust", "hostssl all all 127.0.0.1/32 scram-sha-256")
        (data / "pg_hba.conf").write_text("\n".join(rules) + "\n")
        self.postgres.run("ALTER SYSTEM SET ssl = on")
        self.postgres.run("SELECT pg_reload_conf()")

    def stop(self) -> None:
        stop_postgres(self._process)


@dataclass
class Servers:
    """All of them, and where they are reached."""

    database: Database
    redis: Program
    prefects: list[Program]
    nginx: Program
    gateway_ports: list[int]
    gateway: str
    prefect: str

    @property
    def postgres(self) -> Postgres:
        return self.database.postgres


def answers(url: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(url, timeout=3, trust_env=False).is_success
    return False


@contextlib.contextmanager
def serving(require: Callable[[str], str], folder: Path, pg_folder: Path) -> Iterator[Servers]:
    """Everything started, with two free ports for gateways that are to come."""
    programs = [require(name) for name in ("initdb", "redis-server", "nginx")]
    database = Database(programs[0], pg_folder)
    made: list[Program] = []
    try:
        for name in ("paramedic", "prefect"):
            database.postgres.run(f"CREATE DATABASE {name}")
        servers = _around(database, programs[1], programs[2], folder)
        made = [servers.redis, *servers.prefects, servers.nginx]
        for program in (servers.redis, servers.prefects[0], servers.nginx):
            program.start()
        servers.prefects[0].is_ready()  # it migrates; the second finds it done
        servers.prefects[1].start()
        for program in made:
            program.is_ready()
        yield servers
    finally:
        for program in made:
            program.kill()
        database.stop()


def _around(database: Database, redis_server: str, nginx: str, folder: Path) -> Servers:
    redis_port, ports = free_port(), [free_port() for _ in range(6)]
    prefects = [
        _prefect(f"prefect-{number}", port, database.postgres, redis_port, folder)
        for number, port in enumerate(ports[:2])
    ]
    gateway, prefect = ports[4:]
    pairs = _pair("gateways", gateway, ports[2:4]) + _pair("prefects", prefect, ports[:2])
    config = str(folder / "nginx.conf")
    Path(config).write_text(_NGINX.format(folder=folder, pairs=_UPGRADE + pairs))
    run_as = ["-g", "daemon off; user root;"] if os.getuid() == 0 else ["-g", "daemon off;"]
    return Servers(
        database,
        redis_on(redis_port, redis_server, folder),
        prefects,
        Program("nginx", [nginx, "-p", str(folder), "-c", config, *run_as], folder, lambda: _listens(gateway)),
        ports[2:4],
        f"http://127.0.0.1:{gateway}",
        f"http://127.0.0.1:{prefect}/api",
    )


def _pair(name: str, port: int, behind: list[int]) -> str:
    servers = " ".join(f"server 127.0.0.1:{each} max_fails=1 fail_timeout=2s;" for each in behind)
    return _PAIR.format(name=name, port=port, servers=servers)


def redis_on(port: int, program: str, folder: Path, tls: Tls | None = None) -> Program:
    """A Redis at this port of loopback, with REDIS_PASSWORD; by TLS alone where it has a certificate."""
    listens = f"port {port}\n"
    if tls is not None:
        listens = f"port 0\ntls-port {port}\ntls-auth-clients no\ntls-ca-cert-file {tls.authority}\n"
        listens += f"tls-cert-file {tls.certificate}\ntls-key-file {tls.key}\n"
    rest = f'bind 127.0.0.1\nrequirepass {REDIS_PASSWORD}\nsave ""\nappendonly no\ndir {folder}\n'
    (folder / "redis.conf").write_text(listens + rest)
    authority = None if tls is None else str(tls.authority)
    client = redis.Redis(
        port=port,
        password=REDIS_PASSWORD,
        socket_timeout=2,
        host="127.0.0.1",
        ssl=tls is not None,
        ssl_ca_certs=authority,
    )

    def pongs() -> bool:
        with contextlib.suppress(redis.RedisError):
            return bool(client.ping())
        return False

    return Program("redis", [program, str(folder / "redis.conf")], folder, pongs, port=port)


def _prefect(name: str, port: int, postgres: Postgres, redis_port: int, folder: Path) -> Program:
    """Prefect's own server, as docs/production.md has several of it."""
    home = folder / name
    home.mkdir()
    redis_url = f"redis://:{REDIS_PASSWORD}@127.0.0.1:{redis_port}"
    env = server_env(home) | {
        "PREFECT_SERVER_DATABASE_CONNECTION_URL": postgres.url("prefect").replace(
            "postgresql://", "postgresql+asyncpg://"
        ),
        "PREFECT_MESSAGING_BROKER": "prefect_redis.messaging",
        "PREFECT_MESSAGING_CACHE": "prefect_redis.messaging",
        "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "prefect_redis.ordering",
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect_redis.lease_storage",
        "PREFECT_REDIS_MESSAGING_URL": f"{redis_url}/0",
        "PREFECT_SERVER_DOCKET_URL": f"{redis_url}/1",
        "PREFECT_SERVER_API_AUTH_STRING": PREFECT_LOGIN,
        "PREFECT_SERVER_REGISTER_BLOCKS_ON_START": "false",  # none is used, and they cost seconds of CPU
    }
    argv = [sys.executable, "-Pm", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)]
    return Program(name, argv, folder, lambda: answers(f"http://127.0.0.1:{port}/api/health"), env)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


__all__ = ["PREFECT_LOGIN", "REDIS_PASSWORD", "Program", "Servers", "Tls", "answers", "module", "redis_on", "serving"]
