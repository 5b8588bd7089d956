"""Other nights: a full disk, a Prefect that says 503, a Prefect that stays away."""

import contextlib
import http.client
import http.server
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kill.driver import Ward, verify, wait_for, ward

from paramedic.demo.world import free_port
from paramedic.incidents.outcome import Ending
from paramedic.machine.parent_death import command
from paramedic.stack.prefect_server import server_command, server_env

pytestmark = [pytest.mark.real, pytest.mark.kill, pytest.mark.timeout(400)]


@contextlib.contextmanager
def _up(services: list[tuple[str, str, str]], **env: str) -> Iterator[Ward]:
    with tempfile.TemporaryDirectory(prefix="pk-") as folder, ward(Path(folder), services, **env) as up:
        yield up


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A disk of a few megabytes. Only root may mount one."""
    if os.getuid() != 0:
        reason = "only root can mount a small disk"
        if os.environ.get("PARAMEDIC_REQUIRE_REAL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="pd-"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
    folder.rmdir()


def test_on_a_full_disk_nothing_acts_unrecorded_a_person_is_told_and_all_goes_on(small_disk: Path) -> None:
    """SQLite may find room in its own files for a while: then what acts is recorded, and that is well too."""
    env = {"PARAMEDIC_STORE_URL": f"sqlite:///{small_disk}/paramedic.db", "PARAMEDIC_SILENT_AFTER": "5s"}
    with _up([("full", "web-1", "")], **env) as up:
        service = up.service("full")
        up.break_it(service)
        up.boundaries.arm("evidence_taken", "web-1/full")
        assert up.send(up.alert(service)).status_code == 202
        up.boundaries.wait("evidence_taken", up.stack.tick)
        incident = up.incidents_on(service)[0]
        _fill(small_disk / "filler")
        up.boundaries.release("evidence_taken")

        def told() -> bool:
            assert service.starts - 1 <= len(up.acts_of(incident)), "it acted, and no intent was written"
            return bool(up.mailbox.about("the store does not answer") or up.mailbox.about(incident.id))

        wait_for("a word", told, up.stack.tick, seconds=120)
        (small_disk / "filler").unlink()
        incident = up.ended(service, seconds=150)
        assert (incident.ending, service.starts) == (Ending.REMEDIATED, 2), incident.because
        verify(up)


def _fill(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


class _Moody(http.server.BaseHTTPRequestHandler):
    """Passes on to Prefect, and says 503 to every third call."""

    protocol_version = "HTTP/1.1"
    port = 0
    calls = 0
    lock = threading.Lock()

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        with _Moody.lock:
            _Moody.calls += 1
            moody = _Moody.calls % 3 == 0
        if moody and not self.path.endswith("/health"):
            self.send_response(503)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        upstream = http.client.HTTPConnection("127.0.0.1", _Moody.port, timeout=30)
        headers = {key: value for key, value in self.headers.items() if key.lower() not in ("host", "connection")}
        try:
            upstream.request(self.command, self.path, body or None, headers)
            answer = upstream.getresponse()
            said = answer.read()
        except OSError:
            self.close_connection = True
            return
        self.send_response(answer.status)
        for key, value in answer.getheaders():
            if key.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(key, value)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _pass  # noqa: N815 - the base's names

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def moody_prefect(tmp_path: Path) -> Iterator[str]:
    """A real Prefect server behind a door that says 503 to every third call."""
    _Moody.port = free_port()
    env = dict(os.environ) | server_env(tmp_path / "prefect")
    with (tmp_path / "prefect.log").open("wb") as log:
        server = subprocess.Popen(command(server_command(_Moody.port)), env=env, stdout=log, stderr=log)
    door = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Moody)
    thread = threading.Thread(target=door.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{door.server_port}/api"
    door.shutdown()
    server.terminate()
    server.wait(10)


def test_a_prefect_that_says_503_to_every_third_call_loses_and_doubles_no_run(moody_prefect: str) -> None:
    names = [f"moody-{number}" for number in range(3)]
    env = {"PARAMEDIC_PREFECT_API_URL": moody_prefect, "PARAMEDIC_CLAIM_WITHIN": "60s"}
    with _up([(name, "web-1", "") for name in names], **env) as up:
        for name in names:
            up.break_it(up.service(name))
            up.send(up.alert(up.service(name)))
        for name in names:
            service = up.service(name)
            incident = up.ended(service, seconds=200)
            # What the 503s hide for too long (its own state, that its run was taken) gives it to a person, untouched.
            assert incident.ending in (Ending.REMEDIATED, Ending.REFUSED, Ending.HANDED_OVER), incident.because
            assert service.starts == (2 if incident.ending is Ending.REMEDIATED else 1), incident.because
            assert len(up.flow_runs(incident)) == incident.attempt


def test_a_word_about_a_prefect_that_stays_away() -> None:
    with _up([("alone", "web-1", "")], PARAMEDIC_SILENT_AFTER="4s") as up:
        import psutil

        prefect = psutil.Process(up.stack.pids()["prefect"])
        prefect.suspend()
        try:
            wait_for("a word", lambda: up.mailbox.about("Prefect server does not answer"), up.stack.tick, seconds=60)
            service = up.service("alone")
            up.break_it(service)
            assert up.send(up.alert(service)).status_code == 202
            incident = up.ended(service, seconds=60)
        finally:
            prefect.resume()
        assert (incident.ending, service.starts) == (Ending.HANDED_OVER, 1)
