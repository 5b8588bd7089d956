"""How much waits in queues: of a real Redis, and of a RabbitMQ's management API by its contract."""

import json
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from looked_at import look, made
from pydantic import ValidationError
from scripted_http import Said, Server, scripted
from waiting import until

from paramedic.checks.check import Sample
from paramedic.demo.world import free_port
from paramedic.kinds import logins
from paramedic.machine.parent_death import command
from paramedic.settings import load_settings
from paramedic.text import redaction
from paramedic.transports import redis_session

pytestmark = [pytest.mark.real]

PASSWORD = "sesame-of-redis-0123"
BOUND: dict[str, Any] = {"queued": {"critical": 100}}


class Redis:
    """A real one, which wants a password, and its own commands."""

    def __init__(self, port: int) -> None:
        self.address = f"redis://127.0.0.1:{port}"

    def run(self, *words: str) -> Any:
        with redis_session.session(self.address, timedelta(seconds=20), (PASSWORD,)) as server:
            return server.ask(*words)


@pytest.fixture(scope="module")
def redis(require: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    program, folder, port = require("redis-server"), tmp_path_factory.mktemp("redis"), free_port()
    (folder / "redis.conf").write_text(
        f'port {port}\nbind 127.0.0.1\nsave ""\ndir {folder}\nrequirepass {PASSWORD}\nuser worker on >{PASSWORD}-2 ~* +@read\n'
    )
    started = subprocess.Popen(command([program, str(folder / "redis.conf")]), stdout=subprocess.DEVNULL)
    server = Redis(port)

    def answers() -> bool:
        try:
            return bool(server.run("PING") == "PONG")
        except Exception:
            return False

    try:
        until("Redis answers", answers)
        yield server
    finally:
        started.kill()
        started.wait()


@pytest.fixture
def login(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings = {
        "redis": {"url": redis.address, "password": PASSWORD},
        "worker": {"url": redis.address, "user": "worker", "password": f"{PASSWORD}-2"},
        "wrong": {"url": redis.address, "password": "another-password"},
        "second": {"url": f"{redis.address}/1", "password": PASSWORD},
        "rabbit": {"url": "http://127.0.0.1:1", "user": "watch", "password": "rabbit-password"},
    }
    monkeypatch.setenv("PARAMEDIC_LOGINS", json.dumps(settings))
    load_settings()
    redis.run("FLUSHALL")
    yield
    logins.use({})
    redaction.forget_all()


def queued(queue: str, **words: Any) -> Sample:
    return look(made(check="redis", queue=queue, timeout="15s", **BOUND, **words))


def count(sample: Sample) -> float | None:
    return None if sample.values is None else sample.values["queued"]


def test_each_kind_of_queue_has_its_length(redis: Redis, login: None) -> None:
    redis.run("RPUSH", "list", "a", "b", "c")
    redis.run("ZADD", "sorted", "1", "a", "2", "b")
    redis.run("SADD", "set", "a")
    for _ in range(5):
        redis.run("XADD", "stream", "*", "of", "x" * 10)
    assert {name: count(queued(name)) for name in ("list", "sorted", "set", "stream")} == {
        "list": 3,
        "sorted": 2,
        "set": 1,
        "stream": 5,
    }
    assert queued("list").why == "3 in the list list"


def test_a_queue_that_was_worked_off_is_empty_and_not_unknown(redis: Redis, login: None) -> None:
    redis.run("RPUSH", "jobs", "a")
    redis.run("LPOP", "jobs")
    assert count(queued("jobs")) == 0


def test_of_a_group_counts_what_it_was_not_given_and_what_it_has_not_acknowledged(redis: Redis, login: None) -> None:
    redis.run("XGROUP", "CREATE", "orders", "workers", "$", "MKSTREAM")
    assert count(queued("orders", consumer_group="workers")) == 0
    ids = [redis.run("XADD", "orders", "*", "of", str(number)) for number in range(7)]
    redis.run("XREADGROUP", "GROUP", "workers", "one", "COUNT", "3", "STREAMS", "orders", ">")
    redis.run("XACK", "orders", "workers", ids[0])
    sample = queued("orders", consumer_group="workers")
    assert (count(sample), sample.why) == (6, "4 not given to workers yet, 2 not acknowledged")
    redis.run("XDEL", "orders", ids[4])
    assert count(queued("orders", consumer_group="workers")) is None, "Redis itself cannot tell any more"
    assert "entries were deleted" in queued("orders", consumer_group="workers").why


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ({"queue": "text"}, "text is a string, and no queue"),
        ({"queue": "text", "consumer_group": "g"}, "there is no stream: its type is string"),
        ({"queue": "gone", "consumer_group": "g"}, "there is no stream: its type is none"),
        ({"queue": "orders", "consumer_group": "g"}, "the stream has no group g; it has workers"),
        ({"queue": "list", "login": "wrong"}, "refuses: WRONGPASS"),
        ({"queue": "list", "login": "nobody"}, "the setting `logins` has no 'nobody'"),
        ({"queue": "list", "check": "redis://127.0.0.1:1"}, "is not reached: "),
    ],
)
def test_what_is_no_queue_is_unknown(redis: Redis, login: None, words: dict[str, Any], why: str) -> None:
    redis.run("SET", "text", "a")
    redis.run("XGROUP", "CREATE", "orders", "workers", "$", "MKSTREAM")
    sample = look(made(**({"check": "redis", "timeout": "15s"} | BOUND | words)))
    assert count(sample) is None
    assert why in sample.why
    assert PASSWORD not in sample.why


def test_it_logs_in_as_a_user_that_may_only_read_and_into_a_database(redis: Redis, login: None) -> None:
    redis.run("RPUSH", "jobs", "a", "b")
    assert count(queued("jobs", login="worker")) == 2
    assert count(queued("jobs", login="second")) == 0


def test_without_a_login_a_server_that_wants_one_says_so(redis: Redis, login: None) -> None:
    sample = look(made(check=redis.address, queue="jobs", timeout="15s", **BOUND))
    assert count(sample) is None
    assert "refuses: NOAUTH" in sample.why


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ({"check": "redis"}, "name the `queue`"),
        ({"check": "redis://:secret@here:6379", "queue": "q"}, "a password stands in the setting `logins`"),
        ({"check": "redis://here", "queue": "q", "login": "redis"}, "a login is sent to its own address alone"),
        ({"check": "rabbitmq"}, "name the `queue`"),
        ({"check": "rabbitmq", "queue": "q", "server": "http://a", "login": "b"}, "a login is sent to its own address"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        made(**words, **BOUND)
    assert says in str(refused.value)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$99999999\r\n", b"*3\r\n+a\r\n", b"+OK" * 30_000, b""]
)
def test_what_does_not_speak_as_redis_is_unknown(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            line, _ = listening.accept()
            with line:
                line.recv(65_536)
                line.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        sample = look(made(check=f"redis://127.0.0.1:{listening.getsockname()[1]}", queue="q", timeout="2s", **BOUND))
    assert count(sample) is None
    assert "the check itself failed" not in sample.why


# --- RabbitMQ ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def rabbit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with scripted(lambda _: Said(500)) as server:
        settings = {"rabbitmq": {"url": server.url, "user": "watch", "password": "rabbit-password"}}
        monkeypatch.setenv("PARAMEDIC_LOGINS", json.dumps(settings))
        load_settings()
        yield server
        logins.use({})
        redaction.forget_all()


FULL = {"messages": 17, "messages_ready": 12, "messages_unacknowledged": 5, "consumers": 2, "state": "running"}


def test_a_queue_of_rabbitmq_is_asked_by_its_name_in_its_virtual_host(rabbit: Server) -> None:
    rabbit.answer = lambda _: Said(200, json.dumps(FULL).encode())
    check = made(check="rabbitmq", queue="orders/eu", vhost="/shop", consumers={"critical": 0}, timeout="5s", **BOUND)
    sample = look(check)
    assert check.metrics([sample]) == {"queued": 17, "consumers": 2}
    assert sample.why == "12 ready, 5 not acknowledged, 2 consumers"
    [asked] = rabbit.asked
    assert (asked.method, asked.path) == ("GET", "/api/queues/%2Fshop/orders%2Feu")
    assert asked.headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (Said(404, b'{"error":"Object Not Found"}'), "RabbitMQ has no queue orders in /"),
        (Said(401, b'{"error":"not_authorized","reason":"Login failed"}'), "does not let us ask (401): Login failed"),
        (Said(200, b'{"name":"orders","state":"down"}'), "does not know how much is in orders now: its state is down"),
        (Said(200, b"[]"), "does not know how much"),
        (Said(503, b"busy"), "RabbitMQ answers 503"),
        (Said(200, b"{}", late=30), "gives no whole answer within 200ms"),
    ],
)
def test_a_rabbitmq_that_does_not_say_is_unknown(rabbit: Server, said: Said, why: str) -> None:
    rabbit.answer = lambda _: said
    sample = look(made(check="rabbitmq", queue="orders", timeout="200ms" if said.late else "5s", **BOUND))
    assert count(sample) is None
    assert why in sample.why
    assert "rabbit-password" not in sample.why


def test_no_consumer_is_a_breach_of_its_own(rabbit: Server) -> None:
    check = made(check="rabbitmq", queue="q", consumers={"critical": 0, "for": "0s"})
    [threshold] = check.thresholds
    assert not threshold.holds(0)
    assert threshold.holds(1)
