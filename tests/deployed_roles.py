"""The roles as units on one machine, by the page's commands: PostgreSQL, Redis and nginx by TLS of an authority of its own."""

import contextlib
import json
import re
import ssl
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import redis
from certificates import Authority
from deployed_systemd import GIVEN, Machine, machine
from production_page import blocks
from production_servers import PREFECT_LOGIN, REDIS_PASSWORD, Database, Program, Tls, redis_on
from waiting import until

from paramedic.demo.world import Mailbox, free_port
from paramedic.settings import ROOT
from paramedic.store import Store, attempts
from paramedic.store.migrations import migrate

TOKEN = "a-token-of-the-sender-of-32-letters"

#: What every machine's certificate names.
INTERNAL = "paramedic.internal"

#: Where the page has the certificates.
CERTIFICATES = Path("/etc/ssl/paramedic")

#: The schema of the release before: the newest migration but one.
BEFORE = sorted((ROOT / "paramedic" / "store" / "migrations" / "versions").glob("0*.py"))[-2].name[:4]


@dataclass(frozen=True)
class Ports:
    """Of each server and each door of nginx; `absent_…` are those of a second machine that is away."""

    gateway: int = field(default_factory=free_port)
    prefect: int = field(default_factory=free_port)
    public: int = field(default_factory=free_port)
    prefects: int = field(default_factory=free_port)
    inner_gateway: int = field(default_factory=free_port)
    inner_prefect: int = field(default_factory=free_port)
    absent_gateway: int = field(default_factory=free_port)
    absent_prefect: int = field(default_factory=free_port)


@dataclass
class Deployed:
    """The roles on their machine."""

    machine: Machine
    database: Database
    redis: Program
    mailbox: Mailbox
    authority: Authority
    ports: Ports

    @property
    def public(self) -> str:
        return f"https://127.0.0.1:{self.ports.public}"

    @property
    def trusting(self) -> ssl.SSLContext:
        """What a sender that knows the authority connects with."""
        return ssl.create_default_context(cafile=str(self.authority.file))

    def owner(self) -> str:
        return self.database.postgres.url("paramedic", "paramedic", "PASSWORD-1")

    def store(self) -> Store:
        return Store(self.database.postgres.url("paramedic"))

    def ends(self, number: int) -> None:
        """Nothing of ours works on the incident any more, and its person was told."""

        store = self.store()

        def over() -> bool:
            with store.read() as tx:
                made = attempts.of(tx, number)
            return bool(made) and made[-1].state != "open"

        with contextlib.closing(store):
            until(f"the end of INC-{number}", over, 300)
        until("a word to a person", lambda: self.mailbox.about(f"INC-{number}"))

    def replace(self, old: str, new: str) -> None:
        """In every file of variables that has it."""
        for file in (self.machine.root / "etc" / "paramedic").glob("*.env"):
            file.write_text(file.read_text().replace(old, new))

    def says_to_redis(self, *words: str) -> None:
        password, file = REDIS_PASSWORD, str(self.authority.file)
        with redis.Redis(
            port=self.redis.port, host="127.0.0.1", password=password, ssl=True, ssl_ca_certs=file
        ) as client:
            client.execute_command(*words)

    def change(self, file: str, **values: str) -> None:
        """As an operator changes the file in /etc/paramedic: no line of the shipped one stays as it was."""
        path = self.machine.root / "etc" / "paramedic" / file
        lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
        assert {line.partition("=")[0] for line in lines} <= values.keys(), file
        path.write_text("".join(f"{name}={value}\n" for name, value in values.items()))


@contextlib.contextmanager
def deploying(require: Callable[[str], str]) -> Iterator[Deployed]:
    """Installed up to the commands that start the units, beside a store with the schema of the release before."""
    with (
        tempfile.TemporaryDirectory(prefix="paramedic-pg-") as pg_folder,
        tempfile.TemporaryDirectory() as folder,
        Mailbox() as mailbox,
        machine(require) as here,
    ):
        authority = Authority(Path(folder))
        tls = Tls(authority.file, *authority.issued("127.0.0.1"))
        database = Database(require("initdb"), Path(pg_folder))
        messaging = redis_on(free_port(), require("redis-server"), Path(folder), tls)
        messaging.start()
        try:
            messaging.is_ready()
            made = Deployed(here, database, messaging, mailbox, authority, Ports())
            here.plays(blocks("Where it runs")[0], GIVEN)
            another_service(here.srv / "paramedic" / "runbooks")
            _database(made, tls)
            _nginx(made, tls)
            _units(made)
            yield made
        finally:
            messaging.kill()
            database.stop()


def another_service(runbooks: Path) -> None:
    """A second service beside the one of `paramedic init`, with a runbook of its own."""
    services = runbooks / "services.yaml"
    [mine] = re.findall(r"  my-service:.*", services.read_text(), re.DOTALL)
    services.write_text(f"{services.read_text()}\n{mine.replace('my-service', 'another')}")
    runbook = (runbooks / "my-service-down.md").read_text()
    (runbooks / "another-down.md").write_text(runbook.replace("my-service", "another").replace("MyService", "Another"))


def _database(made: Deployed, tls: Tls) -> None:
    superuser = f"psql --host 127.0.0.1 --port {made.database.postgres.port} --username postgres"
    made.machine.plays(blocks("Units for each role")[0], {"runuser -u postgres -- psql": superuser})
    made.database.secure(tls)
    migrate(made.owner(), runtime_role="paramedic_runtime", revision=BEFORE)


def _nginx(made: Deployed, tls: Tls) -> None:
    """Its site, with this machine's doors and a second machine that is away."""
    folder, ports = made.machine.root / CERTIFICATES.relative_to("/"), made.ports
    folder.mkdir(mode=0o755)
    internal = made.authority.issued(INTERNAL)
    files = {"ca.pem": tls.authority, "public.pem": tls.certificate, "public.key": tls.key}
    for name, file in (files | {"machine.pem": internal[0], "machine.key": internal[1]}).items():
        (folder / name).write_bytes(file.read_bytes())
        (folder / name).chmod(0o600 if name.endswith(".key") else 0o644)
    changed = {
        "machine-a.internal:8643": f"127.0.0.1:{ports.inner_gateway}",
        "machine-b.internal:8643": f"127.0.0.1:{ports.absent_gateway}",
        "machine-a.internal:4243": f"127.0.0.1:{ports.inner_prefect}",
        "machine-b.internal:4243": f"127.0.0.1:{ports.absent_prefect}",
        "listen 443 ssl": f"listen 127.0.0.1:{ports.public} ssl",
        "listen 127.0.0.1:4201;": f"listen 127.0.0.1:{ports.prefects};",
        "listen 8643 ssl": f"listen 127.0.0.1:{ports.inner_gateway} ssl",
        "listen 4243 ssl": f"listen 127.0.0.1:{ports.inner_prefect} ssl",
        "http://127.0.0.1:8650": f"http://127.0.0.1:{ports.gateway}",
        "http://127.0.0.1:4200;": f"http://127.0.0.1:{ports.prefect};",
    }
    shipped = (ROOT / "deployments" / "nginx" / "paramedic.conf").read_text()
    assert [written for written in changed if written not in shipped] == []
    edits = " ".join(f"-e 's|{written}|{instead}|'" for written, instead in changed.items())
    site = "/etc/nginx/conf.d/paramedic.conf"
    alone = "rm -f /etc/nginx/sites-enabled/*; mkdir -p /var/log/nginx /var/lib/nginx"
    made.machine.plays(
        blocks("TLS")[0],
        {
            "nginx -t": f"sed -i {edits} {site}; {alone}; nginx -t",
            "systemctl reload nginx": "nginx",
        },
    )


def _units(made: Deployed) -> None:
    install, ports = blocks("Units for each role")[1], made.ports
    made.machine.plays("".join(line for line in install.splitlines(keepends=True) if "enable" not in line))
    trusted = f"{CERTIFICATES}/ca.pem"
    store = f"@127.0.0.1:{made.database.postgres.port}/paramedic?sslmode=verify-full&sslrootcert={trusted}"
    runtime = f"postgresql://paramedic_runtime:PASSWORD-2{store}"
    at_redis = f"rediss://:{REDIS_PASSWORD}@127.0.0.1:{made.redis.port}"
    made.change(
        "roles.env",
        PARAMEDIC_STORE_URL=runtime,
        PARAMEDIC_PREFECT_API_URL=f"http://127.0.0.1:{ports.prefects}/api",
        PARAMEDIC_PREFECT_API_AUTH=PREFECT_LOGIN,
        PARAMEDIC_GATEWAY_TOKENS=json.dumps({"alertmanager": TOKEN}),
        PARAMEDIC_GATEWAY_URL=f"http://127.0.0.1:{ports.gateway}",
        PARAMEDIC_PUBLIC_URL=made.public,
        PARAMEDIC_PORT=str(ports.gateway),
        PARAMEDIC_SMTP_URL=made.mailbox.url,
        PARAMEDIC_WARM_PROCESSES="1",
    )
    made.change(
        "owner.env", PARAMEDIC_STORE_URL=runtime, PARAMEDIC_STORE_OWNER_URL=f"postgresql://paramedic:PASSWORD-1{store}"
    )
    made.change(
        "prefect.env",
        PREFECT_SERVER_DATABASE_CONNECTION_URL=f"postgresql+asyncpg://prefect:PASSWORD-3{store.partition('/')[0]}/prefect",
        PREFECT_SERVER_DATABASE_SQLALCHEMY_CONNECT_ARGS_TLS_ENABLED="true",
        PREFECT_SERVER_DATABASE_SQLALCHEMY_CONNECT_ARGS_TLS_CA_FILE=trusted,
        PREFECT_REDIS_MESSAGING_URL=f"{at_redis}/0?ssl_ca_certs={trusted}",
        PREFECT_SERVER_DOCKET_URL=f"{at_redis}/1?ssl_ca_certs={trusted}",
        PREFECT_SERVER_API_AUTH_STRING=PREFECT_LOGIN,
        PREFECT_SERVER_API_PORT=str(ports.prefect),
    )
