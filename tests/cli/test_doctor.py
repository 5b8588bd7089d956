"""`paramedic doctor`: everything that is missing or stopped is named, with how to mend it, and nothing is touched."""

import json
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from endless_servers import dripping
from fake_service import serving
from prefect_server import Prefect

from paramedic import keys
from paramedic.cli import doctor, doctor_channels, doctor_prefect, finding, main
from paramedic.demo.world import Service, World, free_port
from paramedic.machine.clock import utc_now
from paramedic.settings import ROOT, Settings
from paramedic.stack import instance
from paramedic.stack.instance import Running
from paramedic.store import Store, kill_switch

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("_nothing_set")]

Look = Callable[[str], dict[str, Any]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with nothing in it but the people of its runbooks."""
    books = tmp_path / "data" / "runbooks"
    books.mkdir(parents=True)
    shutil.copyfile(ROOT / "runbooks" / "oncall.yaml", books / "oncall.yaml")
    (books / "services.yaml").write_text("services: {}\n")
    return tmp_path / "data"


@pytest.fixture
def look(data: Path, capsys: pytest.CaptureFixture[str]) -> Look:
    """What doctor finds under this name."""

    def run(what: str) -> dict[str, Any]:
        with pytest.raises(SystemExit):
            main(["doctor", "--json", "--data", str(data)])
        found: dict[str, Any] = {row["what"]: row for row in json.loads(capsys.readouterr().out)}
        return found[what]

    return run


def mended(look: Look, what: str) -> dict[str, Any]:
    """Once it is well: what was started needs a moment."""
    until = time.monotonic() + 60
    while not (found := look(what))["well"]:
        assert time.monotonic() < until, found
    return found


def test_each_target_that_does_not_answer_is_named_and_no_other(look: Look, data: Path) -> None:
    folder = Path(tempfile.mkdtemp(prefix="doctor-"))
    books = data / "runbooks" / "services.yaml"
    try:
        with World(folder, [("tracking-api", "web-1", ""), ("shop", "web-2", "")]) as world:
            books.write_text(world.services_yaml("tracking"))
            assert mended(look, "targets")["words"] == "2 answer"
            nobody = free_port()
            away = 'supervisord: {program: app, address: "unix:///nowhere/s.sock"}'
            there = f'supervisord: {{program: shop, address: "{world.address("web-2")}"}}'
            books.write_text(
                world.services_yaml("tracking")
                + f"      - {{host: web-3, {away}}}\n"
                + f"      - {{host: web-4, {there}, health: 'http://127.0.0.1:{nobody}/health'}}\n"
            )
            found = look("targets")
    finally:
        shutil.rmtree(folder)
    assert not found["well"]
    assert "web-3/app: the supervisord of web-3/app is not there" in found["words"]
    assert f"web-4/shop: its health http://127.0.0.1:{nobody}/health: could not connect" in found["words"]
    assert found["words"].endswith(": start what is down, or mend services.yaml")
    assert "web-1" not in found["words"]
    assert "web-2" not in found["words"]


@pytest.fixture
def app(data: Path, tmp_path: Path) -> Service:
    """A release folder with a healthy release, and a newer one that is current."""
    app = Service("app", "web-1", "", tmp_path / "app")
    app.deploy("v1")
    app.seen_healthy("v1")
    app.deploy("v2")
    target = {"host": "web-1", "releases": str(app.folder)}
    target |= {"supervisord": {"program": "app", "address": "unix:///nowhere/s.sock"}}
    (data / "runbooks" / "services.yaml").write_text(json.dumps({"services": {"app": {"targets": [target]}}}))
    return app


def everything(folder: Path) -> list[tuple[str, int]]:
    return sorted((str(path), path.lstat().st_mtime_ns) for path in [folder, *folder.rglob("*")])


def test_releases_that_one_can_go_back_from_are_well_and_left_as_they_are(look: Look, app: Service) -> None:
    before = everything(app.folder)
    found = look("releases")
    assert (found["well"], found["words"]) == (True, "1 can be rolled back")
    assert everything(app.folder) == before


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        (
            "releases/v1",
            "no release of web-1/app before v2 is marked healthy and still lies there: deploy one that works",
        ),
        ("releases/v2", "web-1/app: `current` of web-1/app points at v2, which is not there"),
        ("current", "has no `current`"),
        ("releases", "/releases cannot be read: No such file"),
        ("", "web-1/app: the release folder "),
    ],
)
def test_releases_that_nobody_can_go_back_from_are_named(look: Look, app: Service, gone: str, words: str) -> None:
    (app.folder / gone).rename(app.folder.parent / "elsewhere")
    found = look("releases")
    assert not found["well"]
    assert words in found["words"]
    assert ("docs/targets.md" in found["words"]) == (gone != "releases/v1"), "how to mend it"


@pytest.fixture
def pool(prefect: Prefect, monkeypatch: pytest.MonkeyPatch) -> str:
    """A work pool of the server, with no worker yet."""
    name = f"pool-{time.monotonic_ns()}"
    monkeypatch.setenv("PARAMEDIC_PREFECT_API_URL", prefect.api)
    monkeypatch.setenv("PARAMEDIC_WORK_POOL", name)
    prefect.ask("POST", "/work_pools/", json={"name": name, "type": "paramedic"})
    return name


def beat(prefect: Prefect, pool: str, worker: str) -> None:
    """As a worker says that it is there."""
    prefect.ask("POST", f"/work_pools/{pool}/workers/heartbeat", json={"name": worker})


def test_a_pool_without_a_worker_that_is_online_is_named(look: Look, prefect: Prefect, pool: str) -> None:
    found = look("prefect")
    assert not found["well"]
    assert f"no worker of the pool {pool} is online (last heard: never)" in found["words"]
    assert f"`prefect worker start --type paramedic --pool {pool}`" in found["words"]
    beat(prefect, pool, "gone")
    with closing(sqlite3.connect(prefect.home / "prefect.db")) as db, db:  # as the server notes it, a while later
        long_ago = "status = 'OFFLINE', last_heartbeat_time = '2026-01-31 09:30:00.000000'"
        db.execute(f"UPDATE worker SET {long_ago} WHERE name = 'gone'")
    assert f"no worker of the pool {pool} is online (last heard: 2026-01-31T09:30:00Z)" in look("prefect")["words"]
    beat(prefect, pool, "here")
    found = look("prefect")
    assert "no worker" not in found["words"]
    assert not found["well"], "this Prefect answers everybody"
    assert found["words"].startswith(
        "it answers everybody without a login: start it with PREFECT_SERVER_API_AUTH_STRING"
    )
    assert "PARAMEDIC_PREFECT_API_AUTH" in found["words"]


@pytest.mark.parametrize(
    ("stop", "words", "lift"),
    [
        ({"is_paused": True}, "an operator paused the pool", "prefect work-pool resume"),
        ({"concurrency_limit": 0}, "an operator's limit of 0 on the pool", "prefect work-pool clear-concurrency-limit"),
    ],
)
def test_a_pool_that_an_operator_stopped_is_named(
    look: Look, prefect: Prefect, pool: str, stop: dict[str, Any], words: str, lift: str
) -> None:
    beat(prefect, pool, "here")
    prefect.ask("PATCH", f"/work_pools/{pool}", json=stop)
    found = look("prefect")
    assert not found["well"]
    assert f"{words} {pool}" in found["words"]
    assert f"`{lift} {pool}`" in found["words"]


def test_a_limit_of_0_on_the_tag_of_changes_is_named_and_no_other_limit(
    look: Look, prefect: Prefect, pool: str
) -> None:
    assert look("acting")["well"]
    prefect.ask("POST", "/concurrency_limits/", json={"tag": "changes", "concurrency_limit": 1})
    try:
        assert look("acting")["well"]
        prefect.ask("POST", "/concurrency_limits/", json={"tag": "changes", "concurrency_limit": 0})
        found = look("acting")
    finally:
        prefect.ask("DELETE", "/concurrency_limits/tag/changes")
    assert not found["well"]
    assert found["words"] == (
        "an operator's limit of 0 on the tag `changes` in Prefect stops every change "
        "(`prefect concurrency-limit delete changes`)"
    )


def test_the_prefect_that_up_started_is_looked_at(
    look: Look, prefect: Prefect, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARAMEDIC_WORK_POOL", "nobodys")  # other tests of this server may have made `paramedic`
    assert "starts a server of its own" in look("prefect")["words"]
    with instance.lock(data) as held:
        instance.announce(held, Running(pid=1, gateway="http://127.0.0.1:1", prefect=prefect.api))
        assert "there is no work pool nobodys: `paramedic up` makes it" in look("prefect")["words"]
    assert "starts a server of its own" in look("prefect")["words"], "what a killed one has left is nobody's address"


def test_what_answers_in_prefects_place_is_not_taken_for_it(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as another:
        monkeypatch.setenv("PARAMEDIC_PREFECT_API_URL", another.url.removesuffix("/health"))
        assert "answers, and not as Prefect's API: set PARAMEDIC_PREFECT_API_URL" in look("prefect")["words"]
        assert not look("acting")["well"]


def test_where_prefect_does_not_answer_it_is_open_whether_changes_are_stopped(
    look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PARAMEDIC_PREFECT_API_URL", f"http://127.0.0.1:{free_port()}/api")
    assert "does not answer" in look("prefect")["words"]
    assert "does not say whether a limit on the tag `changes`" in look("acting")["words"]
    assert not look("acting")["well"]


def test_a_mail_server_that_is_set_and_not_there_is_named(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look("mail")["words"] == "no mail can leave: set PARAMEDIC_SMTP_URL and PARAMEDIC_MAIL_FROM"
    port = free_port()
    monkeypatch.setenv("PARAMEDIC_SMTP_URL", f"smtp://127.0.0.1:{port}")
    answer = look("mail")
    assert answer["well"] is False
    assert answer["words"].startswith(f"the mail server 127.0.0.1:{port} does not answer: ")
    assert answer["words"].endswith(": start it, or mend PARAMEDIC_SMTP_URL")


@pytest.mark.parametrize(
    ("what", "setting", "drips"),
    [
        ("mail", "PARAMEDIC_SMTP_URL=smtp://127.0.0.1:{port}", "smtp"),
        ("prefect", "PARAMEDIC_PREFECT_API_URL=http://127.0.0.1:{port}/api", "http head"),
    ],
)
def test_a_server_that_drips_its_answer_holds_no_doctor(
    look: Look, monkeypatch: pytest.MonkeyPatch, what: str, setting: str, drips: str
) -> None:
    monkeypatch.setattr(doctor_channels, "_ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(doctor_prefect, "_ANSWER_SECONDS", 0.3)
    with dripping(drips) as port:
        name, _, value = setting.format(port=port).partition("=")
        monkeypatch.setenv(name, value)
        began = time.monotonic()
        assert "does not answer" in look(what)["words"]
        assert time.monotonic() - began < 20, "a byte now and then is no answer"


def test_what_is_paused_is_named_with_the_command_that_ends_it(look: Look, data: Path, sqlite_template: Path) -> None:
    shutil.copyfile(sqlite_template, data / "paramedic.db")
    assert look("acting") == {"what": "acting", "well": True, "words": "nothing stops it"}
    store = Store(f"sqlite:///{data}/paramedic.db")
    with store.record() as tx:
        kill_switch.pause(tx, by="ada", reason="a look")
        kill_switch.pause(tx, by="eve", reason="a new disk", scope="service:shop")
    store.close()
    found = look("acting")
    assert not found["well"]
    everything, shop = found["words"].split("; ")
    assert everything.startswith("paused: everything, by ada since ")
    assert everything.endswith(": a look (`paramedic resume`)")
    assert shop.startswith("paused: service shop, by eve since ")
    assert shop.endswith(": a new disk (`paramedic resume --service shop`)")


@pytest.mark.parametrize(("seconds", "well"), [(4, True), (20, False), (-6, False)])  # to travel takes a moment itself
def test_a_store_whose_clock_is_not_ours_is_named(
    look: Look, own_url: str, monkeypatch: pytest.MonkeyPatch, seconds: int, *, well: bool
) -> None:
    monkeypatch.setenv("PARAMEDIC_STORE_URL", own_url)
    with time_machine.travel(utc_now() + timedelta(seconds=seconds)):
        found = look("clock")
    assert found["well"] is well
    assert well or found["words"].endswith("s apart: mend NTP")


def test_keys_are_made_by_who_needs_them_and_one_that_is_lost_is_named(look: Look, data: Path) -> None:
    assert "`paramedic up` makes " in look("keys")["words"]
    assert sorted(path.name for path in data.iterdir()) == ["runbooks"]
    settings = Settings(data=data)
    keys.signing_key(settings)
    keys.link_key(settings)
    assert look("keys")["words"] == "the trail and the links can be signed"
    keys.signing_key_file(settings).unlink()
    found = look("keys")
    assert not found["well"]
    assert "signing.key is not: bring it back" in found["words"]
    assert not keys.signing_key_file(settings).exists()


def test_a_look_that_does_not_come_back_holds_up_no_other(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mail server that drips its greeting, a disk that hangs."""
    end = threading.Event()

    def _mail(_settings: Settings) -> finding.Finding:
        end.wait()
        return finding.Finding("mail", well=True, words="")

    monkeypatch.setattr(doctor, "LOOKS", (_mail, doctor._versions))
    monkeypatch.setattr(doctor, "_LOOK_SECONDS", 0.2)
    with pytest.raises(SystemExit):
        main(["doctor", "--data", str(data)])
    output = capsys.readouterr().out
    assert "MEND  mail         no answer within 0 s" in output
    assert "well  versions" in output
    end.set()
