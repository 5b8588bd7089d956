"""The pictures of docs/operators.md: the demo as it runs, seen in the real Prefect UI by the machine's own Chromium.

`make pictures` runs it. It needs Chromium (Debian's package `chromium`; or name another: CHROMIUM=/path/to/it).
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from paramedic import keys
from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.incidents.incident import State, parse_ref
from paramedic.machine.clock import utc_now
from paramedic.messages import signed_link
from paramedic.messages.signed_link import Acknowledgement
from paramedic.settings import ROOT, Settings
from paramedic.stack.instance import Running, running
from paramedic.store import Store, inbox, incidents
from paramedic.transports.prefect_http import PrefectApi
from paramedic.transports.prefect_login import clickable, with_embedded_login

PICTURES = Path(__file__).parent / "pictures"

#: A browser that asks nothing of the network but the page it is shown.
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

#: Where the checkout lies is nobody's business.
_WITHOUT_OUR_FOLDER = """folder => {
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(folder, "/opt/paramedic")
}"""


#: Prefect's page has an ornament behind everything, which shows nothing and is a tenth of a picture's bytes.
_PLAIN = "* { background-image: none !important }"


def main() -> None:
    """Play the demo, look at it, end it."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        raise SystemExit("this machine has no Chromium; install Debian's package chromium, or name one: CHROMIUM=…")
    with tempfile.TemporaryDirectory(prefix="paramedic-pictures-") as folder:
        report, data = Path(folder) / "told.json", Path(folder) / "data"
        paramedic = Path(sys.executable).with_name("paramedic")
        demo = subprocess.Popen([paramedic, "demo", "--keep", "--json", report, "--data", data])
        try:
            _until("the demo's end", lambda: report.exists() or demo.poll() is not None, seconds=600)
            where = running(data)
            if where is None:
                raise SystemExit("the demo has ended before it could be looked at")
            settings = with_embedded_login(Settings(data=data), where.prefect)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
                page = browser.new_page()
                page.set_default_timeout(60_000)
                _look(page, json.loads(report.read_text())["scenarios"], where, settings)
                browser.close()
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait(60)


def _look(page: Page, scenarios: list[dict[str, Any]], where: Running, settings: Settings) -> None:
    ui = where.prefect.removesuffix("/api")
    healed = next(scenario for scenario in scenarios if scenario["outcome"] == "remediated")
    given = next(scenario for scenario in scenarios if scenario["outcome"] == "handed_over")

    if settings.prefect_api_auth is not None:
        page.goto(clickable(ui, settings.prefect_api_auth.get_secret_value()), wait_until="commit")
        page.wait_for_url("**/dashboard**", wait_until="commit")
        _until_still(page)  # a page that is left while it asks whether the login is right forgets it
    page.set_viewport_size({"width": 1280, "height": 960})
    _take(page, "runs", f"{ui}/runs", given["incident"])
    page.set_viewport_size({"width": 1280, "height": 720})
    for name, scenario, word in (("healed", healed, "Remediated"), ("handed-over", given, "HandedOver")):
        _take(page, name, f"{ui}/runs/flow-run/{scenario['flow_runs'][0]}", word)
    for name, scenario, kind in (
        ("incident", healed, "incident"),
        ("evidence", given, "evidence"),
    ):
        key = f"{kind}-{scenario['incident'].lower()}"
        _take(page, name, f"{ui}/artifacts/artifact/{_artifact(where, settings, key)}", scenario["incident"])
    path = "/deployments/name/restart-service/restart-service"
    with PrefectApi(where.prefect, settings.prefect_api_auth).client(seconds=10) as prefect:
        deployment = prefect.get(path).raise_for_status().json()
    _take(page, "form", f"{ui}/deployments/deployment/{deployment['id']}/run", "attempt")
    resource = f"paramedic.incident.{Store(settings.store()).uuid}.{given['incident']}"
    _take(page, "events", f"{ui}/events?resource={resource}", "handed")
    page.set_viewport_size({"width": 720, "height": 640})
    _take(page, "acknowledgement", _ask(where, settings), "is it yours?")


def _take(page: Page, name: str, address: str, word: str) -> None:
    """The page once the word is on it and what it shows stands still: Prefect's pages load without end."""
    page.goto(address, wait_until="commit")
    page.get_by_text(word).first.wait_for()
    _until_still(page)
    page.add_style_tag(content=_PLAIN)
    page.evaluate(_WITHOUT_OUR_FOLDER, str(ROOT))
    file = PICTURES / f"{name}.png"
    page.screenshot(path=file)
    with Image.open(file) as shot:
        shot.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(file, optimize=True)
    print(f"{file}  {file.stat().st_size:,} B", flush=True)  # noqa: T201 - a script's answer


def _until_still(page: Page) -> None:
    """Until a page shows the same for two seconds: its words, and the lines of its charts, which fade in."""
    seen, since = "", time.monotonic()
    until = time.monotonic() + 30
    while time.monotonic() - since < 2 and time.monotonic() < until:
        page.wait_for_timeout(200)
        now = page.evaluate("() => document.body.innerText + document.querySelectorAll('svg *').length")
        if now != seen:
            seen, since = now, time.monotonic()


def _artifact(where: Running, settings: Settings, key: str) -> str:
    body = {"artifacts": {"key": {"any_": [key]}}, "sort": "CREATED_DESC", "limit": 1}
    with PrefectApi(where.prefect, settings.prefect_api_auth).client(seconds=10) as prefect:
        return str(prefect.post("/artifacts/filter", json=body).raise_for_status().json()[0]["id"])


def _ask(where: Running, settings: Settings) -> str:
    """The link in the message about an alert that no runbook wants: a person has it from the first moment."""
    store = Store(settings.store())
    labels = {"alertname": "DiskAlmostFull", "instance": "web-3", "service": "tracking-api"}
    alert = Alert(
        "alertmanager",
        labels["alertname"],
        Severity.CRITICAL,
        Status.FIRING,
        utc_now(),
        fingerprint("alertmanager", labels),
        labels,
    )
    inbox.receive(store, [alert], source="alertmanager", sender="pictures")

    def newest() -> Any:
        with store.read() as tx:
            return incidents.listed(tx, limit=1)[0]

    _until("the incident", lambda: newest().state is State.HANDED_OVER and newest().title == labels["alertname"])
    token = signed_link.sign(keys.link_key(settings), Acknowledgement(store.uuid, parse_ref(newest().id)[1], "ada"))
    store.close()
    return f"{where.gateway}/ack/{token}"


def _until(what: str, holds: Callable[[], bool], *, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > until:
            raise SystemExit(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.2)


if __name__ == "__main__":
    main()
