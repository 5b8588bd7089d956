"""The access log of a real nginx under real requests, over its own way of rotation, is what it answered; here and by SSH."""

import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_service import target
from waiting import until

from paramedic.checks.check import CheckSpec, Sample, check_spec
from paramedic.demo.world import free_port
from paramedic.kinds import log_source
from paramedic.kinds.transport import Transport
from paramedic.sampling import one_sample

pytestmark = pytest.mark.real

CONFIG = """
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
  log_format timed '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" rt=$request_time';
  log_format js escape=json '{{"msec": $msec, "status": $status, "request_time": $request_time, "request": "$request"}}';
  access_log {folder}/access.log timed;
  access_log {folder}/access.json js;
  client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port};
    location / {{ return 200 "well"; }}
    location /bad {{ return 503; }}
  }}
}}
"""  # noqa: E501 - nginx's own


class Nginx:
    def __init__(self, require: Callable[[str], str], folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        (folder / "conf").write_text(CONFIG.format(folder=folder, port=self.port))
        program = [require("nginx"), "-p", str(folder), "-c", str(folder / "conf"), "-g", "daemon off;"]
        self.process = subprocess.Popen(program, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until("nginx answers", self._answers, 30)

    def _answers(self) -> bool:
        try:
            return socket.create_connection(("127.0.0.1", self.port), 1).close() is None
        except OSError:
            return False

    def asked(self, path: str, times: int) -> None:
        with httpx.Client(trust_env=False) as client:
            for _ in range(times):
                client.get(f"http://127.0.0.1:{self.port}{path}", headers={"User-Agent": 'a "b" \\ 200 [c]'})

    def garbage(self) -> None:
        """What is no HTTP, as scanners send it: nginx writes a line of it, with the status 400."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as connected:
            connected.sendall(b"\x16\x03\x01\x02\x00\x01\n\n")
            connected.recv(100)


@pytest.fixture
def nginx(require: Callable[[str], str], tmp_path: Path) -> Iterator[Nginx]:
    tmp_path.chmod(0o755)
    log_source.forget()
    made = Nginx(require, tmp_path)
    yield made
    made.process.terminate()
    made.process.wait(30)
    log_source.forget()


@pytest.fixture
def look(there: Transport, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Sample]:
    monkeypatch.setattr(one_sample, "transport", lambda _: there)

    def looked(log: Path, **words: Any) -> Sample:
        check = check_spec(CheckSpec)(check="access_log", file=str(log), timeout="14s", at_least=1, **words).build()
        return one_sample.sample(check, target(), now=lambda: datetime.now(UTC), last_heard=lambda _: None)

    return looked


@pytest.mark.parametrize(("name", "words"), [("access.log", {"took": "rt="}), ("access.json", {"lines": "json"})])
def test_what_nginx_answered_is_what_its_log_says(
    nginx: Nginx, look: Callable[..., Sample], name: str, words: dict[str, str]
) -> None:
    log = nginx.folder / name
    nginx.asked("/", 30)
    nginx.asked("/bad", 10)
    nginx.garbage()

    def seen(requests: int, errors: int) -> Sample:
        found: list[Sample] = []

        def so() -> bool:
            found.append(look(log, **words))
            return f"{requests} requests within 1m by {log}, {errors} of them errors" in found[-1].why

        until(f"{requests} requests were seen", so, 20)
        return found[-1]

    first = seen(41, 10)
    assert first.values is not None
    assert first.values["error_rate"] == pytest.approx(100 * 10 / 41)
    assert first.values["unread"] == 0
    assert 0 <= first.values["latency_p95"] < 1
    nginx.asked("/", 9)
    log.rename(log.with_name(f"{name}.1"))
    nginx.asked("/bad", 5)  # nginx goes on in the file that it has open
    nginx.process.send_signal(signal.SIGUSR1)
    until("nginx has opened its log anew", log.exists, 20)
    nginx.asked("/", 5)
    assert seen(60, 15).values is not None
