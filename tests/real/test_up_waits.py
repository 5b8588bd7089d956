"""`up` stays where Prefect is not what it should be: alerts are taken, people are paged, and all goes on once it answers."""

import re
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import psutil
import pytest
from mail_server import Postbox
from prefect_server import Prefect
from test_up import _all_gone, _family, _says, _start, _until

from paramedic.demo.world import free_port
from paramedic.settings import ROOT

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

ONCALL = """\
people: {ada: {name: Ada, email: ada@example.org}}
rotation: {zone: UTC, starts: 2026-01-05 09:00, every: 1 week, people: [ada]}
policies: {default: {critical: [{tell: oncall}], warning: [{tell: oncall}], repeat: 10m}}
"""


class _Garbage(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>a page of somebody else's</html>")

    do_POST = do_GET  # noqa: N815 - the base's name

    def log_message(self, *_: object) -> None:
        pass


def _authored(folder: Path) -> str:
    runbooks = folder / "runbooks"
    runbooks.mkdir(mode=0o755)
    (runbooks / "services.yaml").write_text((ROOT / "runbooks" / "services.yaml").read_text())
    (runbooks / "oncall.yaml").write_text(ONCALL)
    return str(runbooks)


def _child(up: psutil.Process, name: str) -> psutil.Process:
    (found,) = (one for one in up.children() if name in one.cmdline())
    return found


def test_a_prefect_that_answers_garbage_is_waited_for_and_what_stands_still_is_started_again(
    tmp_path: Path, postbox: Postbox
) -> None:
    port, gateway = free_port(), free_port()
    garbage = ThreadingHTTPServer(("127.0.0.1", port), _Garbage)
    threading.Thread(target=garbage.serve_forever, args=(0.05,), daemon=True).start()
    api = f"http://127.0.0.1:{port}/api"
    env = {
        "PARAMEDIC_PREFECT_API_URL": api,
        "PARAMEDIC_PORT": str(gateway),
        "PARAMEDIC_RUNBOOKS": _authored(tmp_path),
        "PARAMEDIC_SMTP_URL": postbox.url,
        "PARAMEDIC_MAIL_FROM": "paramedic@example.org",
        "PARAMEDIC_SILENT_AFTER": "5s",
    }
    data = tmp_path / "data"
    prefect = Prefect(tmp_path / "prefect", port)
    (tmp_path / "prefect").mkdir()
    process = _start(tmp_path, "up", "--data", str(data), **env)
    try:
        said = _says(process, "waiting for the Prefect server")
        assert f"http://127.0.0.1:{gateway}/alerts/alertmanager" in said
        assert f"waiting for the Prefect server at {api}: it answers, and not as Prefect's API" in said
        alert = {"labels": {"alertname": "Down", "severity": "critical"}, "status": "firing"}
        answer = httpx.post(
            f"http://127.0.0.1:{gateway}/alerts/alertmanager",
            json={"alerts": [alert | {"startsAt": "2026-01-31T09:30:00Z"}]},
            headers={"Authorization": f"Bearer {(data / 'gateway-token').read_text()}"},
            trust_env=False,
        )
        assert answer.status_code == 202
        _until("a page", lambda: "[Paramedic] the Prefect server does not answer" in postbox.subjects, 120)
        family = psutil.Process(process.pid)
        for name in ("dispatch", "responder"):
            log = data / "logs" / f"{name}.log"
            words = "is waited for: it answers, and not as Prefect's API"
            _until(f"words of {name}", lambda log=log, words=words: words in log.read_text(), 120)
            assert "Traceback" not in log.read_text()
        garbage.shutdown()
        garbage.server_close()
        prefect.start()
        said = _says(process, "logs ")
        assert process.poll() is None
        stopped = {
            name: _child(family, f"paramedic.{name}") for name in ("gateway", "dispatch", "watchdog", "responder")
        }
        for one in stopped.values():
            one.send_signal(signal.SIGSTOP)
        _until("all of them are new", lambda: _new(family, stopped), 180)
        log = (data / "logs" / "up.log").read_text()
        for name in stopped:
            assert re.search(rf"{name} stands still: it has given no sign of life for 6\d s", log)
        _until("a word", lambda: any("stands still" in one for one in postbox.subjects), 60)
        members = _family(process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        _all_gone(members)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        if prefect.process is not None:
            prefect.stop()


def _new(up: psutil.Process, before: dict[str, psutil.Process]) -> bool:
    there = {name: one.pid for one in up.children() for name in before if f"paramedic.{name}" in " ".join(_argv(one))}
    return there.keys() == before.keys() and all(there[name] != before[name].pid for name in before)


def _argv(one: psutil.Process) -> list[str]:
    try:
        return one.cmdline()
    except psutil.Error:
        return []


@pytest.mark.parametrize("how", ["refuses our login", "hangs"])
def test_a_prefect_that_is_named_and_refuses_or_hangs_ends_nothing(tmp_path: Path, how: str) -> None:
    class Moody(_Garbage):
        def do_GET(self) -> None:
            if how == "hangs":
                threading.Event().wait(30)
            self.send_response(401)
            self.end_headers()

        do_POST = do_GET  # noqa: N815 - the base's name

    moody = ThreadingHTTPServer(("127.0.0.1", 0), Moody)
    threading.Thread(target=moody.serve_forever, args=(0.05,), daemon=True).start()
    env = {"PARAMEDIC_PREFECT_API_URL": f"http://127.0.0.1:{moody.server_port}/api"}
    process = _start(tmp_path, "up", "--data", str(tmp_path / "data"), **env)
    try:
        said = _says(process, "waiting for the Prefect server")
        assert ("PARAMEDIC_PREFECT_API_AUTH" if how != "hangs" else "ReadTimeout") in said
        assert process.poll() is None
    finally:
        process.terminate()
        process.wait(20)
        moody.shutdown()
        moody.server_close()
        if process.stdout is not None:
            process.stdout.close()
