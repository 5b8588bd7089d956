"""`python -m paramedic.watchdog`, as it really runs."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from incident_states import PEOPLE, handed_over
from mail_server import Postbox
from waiting import until
from watchdog_harness import Outside

from paramedic.settings import ROOT
from paramedic.store import Store

pytestmark = pytest.mark.real


@pytest.fixture
def backend() -> str:
    return "sqlite"


@contextmanager
def watchdog(folder: Path, store_url: str, outside: Outside, postbox: Postbox) -> Iterator[subprocess.Popen[str]]:
    (folder / "runbooks").mkdir(exist_ok=True)
    oncall = folder / "runbooks" / "oncall.yaml"
    if not oncall.exists():
        oncall.write_text(PEOPLE)
    env = {
        "PARAMEDIC_STORE_URL": store_url,
        "PARAMEDIC_DATA": str(folder / "data"),
        "PARAMEDIC_RUNBOOKS": str(folder / "runbooks"),
        "PARAMEDIC_PORT": str(outside.port),
        "PARAMEDIC_PREFECT_API_URL": f"http://127.0.0.1:{outside.port}/api",
        "PARAMEDIC_SMTP_URL": postbox.url,
        "PARAMEDIC_WATCHDOG_EVERY": "100ms",
        "PARAMEDIC_SILENT_AFTER": "500ms",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "paramedic.watchdog"],
        env=os.environ | env,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_it_pages_and_ends_when_it_is_asked_to(
    tmp_path: Path, store_url: str, outside: Outside, postbox: Postbox
) -> None:
    incident = handed_over(Store(store_url))
    with watchdog(tmp_path, store_url, outside, postbox) as process:
        until(
            "its page",
            lambda: (
                postbox.subjects
                == [f"[critical] tracking-api on web-1: TrackingApiMemory, handed over ({incident.id})"]
            ),
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert re.fullmatch("GET /(api/health|healthz)", outside.asked[0])


def test_a_broken_services_yaml_and_a_store_that_never_was_keep_it_from_no_page(
    tmp_path: Path, outside: Outside, postbox: Postbox
) -> None:
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "services.yaml").write_text("services: [")
    url = f"sqlite:///{tmp_path}/never/was.db"
    with watchdog(tmp_path, url, outside, postbox):
        until("its page", lambda: "[Paramedic] the store does not answer" in postbox.subjects)


def test_without_anybody_to_tell_it_does_not_pretend_to_watch(
    tmp_path: Path, store_url: str, outside: Outside, postbox: Postbox
) -> None:
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "oncall.yaml").write_text("people: {}")
    with watchdog(tmp_path, store_url, outside, postbox) as process:
        output = process.communicate(timeout=30)[1]
    assert process.returncode == 1
    assert "oncall.yaml" in output


def test_it_needs_no_prefect() -> None:
    code = "import sys, paramedic.watchdog.__main__; sys.exit('prefect' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
