"""Each setting reaches the code that it is for: with a value that is not the default, that code does what the value says.

`test_settings_as_written` shows that a setting means what was written; here, or in the test that `ELSEWHERE` names, its value is
seen where it is used.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest
import time_machine
from databases import Clock, migrated
from fake_service import target
from incident_states import begun, handed_over, on_call
from playbook_runs import opened_by, playbook_run, shop_down
from pydantic import SecretStr
from starlette.testclient import TestClient
from store_states import claimed, intended, opened

from paramedic import keys
from paramedic.alerts.flapping import Bounds
from paramedic.change import exclusive
from paramedic.change.limits import site_limits
from paramedic.change.run import PlaybookRun
from paramedic.gateway import __main__ as gateway_process
from paramedic.gateway.alerts import AlertIntake
from paramedic.gateway.app import make_app
from paramedic.gateway.senders import Senders
from paramedic.incidents.incident import State
from paramedic.incidents.outcome import Ending
from paramedic.intake.intake import Wake
from paramedic.messages import signed_link
from paramedic.paging import Pager
from paramedic.paging import pager as pager_module
from paramedic.remediation.breaker import BreakerLimit, FleetLimit
from paramedic.remediation.site_limits import SiteLimits
from paramedic.responder import worker as worker_module
from paramedic.settings import Settings
from paramedic.sources import pagerduty
from paramedic.stack.environment import child_env
from paramedic.stack.stack import Stack
from paramedic.store import Store, acts, attempts, checks, incidents
from paramedic.store.tables import claims as claim_rows
from paramedic.store.tables import quarantine
from paramedic.upkeep import checkpoints
from paramedic.watchdog import __main__ as watchdog_process
from paramedic.watchdog.attempts import AttemptProgress, Attempts, AttemptVerdict, Suspect, judge
from paramedic.watchdog.outward_heartbeat import OutwardHeartbeat
from tasks import check, diagnose
from tasks.current_run import working_on
from tasks.notify import resolved

MS = timedelta(milliseconds=1)

#: The tests that see the other settings where they are used.
ELSEWHERE = {
    "act_deadline": "tasks/test_runbooks_as_written.py",
    "approve_by_form": "tasks/test_approval_form.py",
    "approve_within": "tasks/test_runbooks_as_written.py",
    "channels": "tasks/test_runbooks_as_written.py",
    "checks_every": "dispatch/test_deployments_kept.py",
    "clock_skew": "change/test_roll_back_on_cause.py",
    "control_probes": "tasks/test_scheduled.py",
    "data": "catalog/test_library.py",
    "flows": "catalog/test_library.py",
    "gateway_hosts": "gateway/test_hosts.py",
    "gateway_tokens": "gateway/test_readiness.py",
    "gateway_url": "stack/test_some_roles.py",
    "gateway_users": "gateway/test_gateway.py",
    "host": "gateway/test_hosts.py",
    "keep_evidence": "upkeep/test_retention.py",
    "keep_inbox": "upkeep/test_retention.py",
    "keep_prefect_runs": "upkeep/test_retention.py",
    "keep_trail": "upkeep/test_retention.py",
    "logins": "integrations/probes/test_http_checks.py",
    "mail_ca_file": "cli/test_doctor_goes_each_way.py",
    "mail_from": "integrations/channels/test_mailboxes.py",
    "mail_helo": "cli/test_doctor_goes_each_way.py",
    "metrics_port": "serving/test_exposition.py",
    "plugins": "kinds/test_own_target.py",
    "port": "gateway/test_identity.py",
    "prefect_api_auth": "transports/test_prefect_http.py",
    "prefect_api_url": "transports/test_prefect_http.py",
    "prefect_shortcuts": "responder/test_shortcut_check.py",
    "prefect_timeout": "change/test_guarded.py",
    "probe_timeout": "tasks/test_runbooks_as_written.py",
    "public_url": "gateway/test_hosts.py",
    "run_memory": "responder/test_isolation.py",
    "runbooks": "tasks/test_runbooks_as_written.py",
    "sender_services": "intake/test_senders_services.py",
    "severities": "gateway/test_severities.py",
    "smtp_url": "integrations/channels/test_mailboxes.py",
    "sns_topics": "sources/test_cloudwatch.py",
    "store_owner_url": "upkeep/test_seal.py",
    "store_url": "upkeep/test_backup.py",
    "work_pool_type": "responder/test_shortcut_check.py",
}

SEEN_HERE: set[str] = set()

Test = TypeVar("Test", bound=Callable[..., None])


def sees(*names: str) -> Callable[[Test], Test]:
    """The test sees these settings where they are used."""
    SEEN_HERE.update(names)
    return lambda test: test


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    with closing(Store(migrated(tmp_path / "store.db"), now=clock.now)) as store:
        yield store


def with_run(store: Store, settings: Settings) -> PlaybookRun:
    """The run of an incident's first attempt, that has just begun."""
    runbook, at = shop_down(stable="1m", within="5m"), target("http://127.0.0.1:9/")
    return playbook_run(store, settings, opened_by(store, runbook, at, begun=True), runbook, at)


# --- the watchdog -----------------------------------------------------------------------------------------------------


@sees("heartbeat_every", "heartbeat_url")
def test_a_heartbeat_is_sent_as_often_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    now, sent = 1000.0, []
    url = SecretStr("https://beats.example/1")
    beats = OutwardHeartbeat(Settings(heartbeat_url=url, heartbeat_every="7m"), lambda: now)
    answer = SimpleNamespace(raise_for_status=lambda: None)
    monkeypatch.setattr(beats, "_http", SimpleNamespace(post=lambda at, **_: sent.append((at, now)) or answer))
    for now in (1000.0, 1419.999, 1420.0):  # noqa: B007 - read by what is called
        beats.beat(silent=(), nobody_knows=False)
    assert sent == [("https://beats.example/1", 1000.0), ("https://beats.example/1", 1420.0)]


@sees("claim_within", "silent_after")
def test_an_attempt_is_waited_for_as_long_as_they_say(store: Store) -> None:
    settings = Settings(claim_within="50s", silent_after="200s")
    incident = begun(store)
    with store.read() as tx:
        attempt = attempts.get(tx, incident.number, 1)
    assert attempt is not None

    def verdicts(stand: AttemptProgress, state: str | None, seconds: int) -> list[AttemptVerdict]:
        silent = timedelta(seconds=seconds)
        return [judge(Suspect(attempt, incident, stand, at), state, settings)[0] for at in (silent, silent + MS)]

    wait, again, person = AttemptVerdict.WAIT, AttemptVerdict.RAISE, AttemptVerdict.HAND_OVER
    assert verdicts(AttemptProgress.UNCLAIMED, "CRASHED", 50) == [wait, again]
    assert verdicts(AttemptProgress.UNBEGUN, "SCHEDULED", 100) == [wait, person]
    assert verdicts(AttemptProgress.LAPSED, None, 200) == [wait, person]


@sees("max_attempts")
@pytest.mark.parametrize(("most", "state"), [(1, State.HANDED_OVER), (2, State.WORKING)])
def test_so_many_attempts_are_made(store: Store, clock: Clock, most: int, state: State) -> None:
    prefect: Any = SimpleNamespace(
        is_of_another_store=lambda _: False, state=lambda _: "CRASHED", cause=lambda _: "it was killed"
    )
    incident = begun(store)
    clock.advance(timedelta(seconds=31))
    Attempts(store, Settings(max_attempts=most), prefect).look()
    with store.read() as tx:
        assert incidents.get(tx, incident.number).state is state


@sees("watchdog_every")
def test_the_watchdog_looks_as_often_as_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    stop = SimpleNamespace(wait=lambda seconds: waited.append(seconds) or True, set=lambda: None)
    monkeypatch.setattr(watchdog_process, "threading", SimpleNamespace(Event=lambda: stop))
    monkeypatch.setattr(watchdog_process, "signal", SimpleNamespace(signal=lambda *_: None, SIGTERM=15, SIGINT=2))
    monkeypatch.setattr(watchdog_process, "load_settings", lambda: Settings(data=tmp_path, watchdog_every="17s"))
    monkeypatch.setattr(watchdog_process, "Watchdog", lambda *_: SimpleNamespace(beat=None))
    for name in ("PrefectStatus", "Pager", "OncallFile", "hush_logging"):
        monkeypatch.setattr(watchdog_process, name, lambda *_: None)
    pipe = SimpleNamespace(beat=lambda: None, silent_seconds=lambda: None)
    monkeypatch.setattr(watchdog_process, "liveness", SimpleNamespace(inherited_pipe=lambda: pipe))
    watchdog_process.main()
    assert waited == [17.0]


# --- the gateway ------------------------------------------------------------------------------------------------------


@sees("link_expires", "link_key_file")
def test_a_link_works_for_as_long_as_it_says(store: Store, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, link_expires="90m", link_key_file=tmp_path / "links")
    number = handed_over(store).number
    with TestClient(make_app(settings, store, wake=Wake(), alive=lambda: True)) as client:
        keys.link_key(settings)
        for ago, status in ((timedelta(minutes=89), 200), (timedelta(minutes=91), 410)):
            with time_machine.travel(-ago):
                what = signed_link.Acknowledgement(store.uuid, number, "ada")
                token = signed_link.sign((tmp_path / "links").read_bytes(), what)
            assert client.get(f"/ack/{token}").status_code == status
            with time_machine.travel(-ago):
                what = signed_link.Approving(store.uuid, 1, "ada")
                token = signed_link.sign_approval((tmp_path / "links").read_bytes(), what)
            assert ("expired" in client.get(f"/approve/{token}").text) is (status == 410)


@sees("quarantine_limit")
def test_so_many_bodies_that_could_not_be_read_are_kept(store: Store, tmp_path: Path) -> None:
    settings = Settings(
        data=tmp_path, quarantine_limit=2, body_limit=10_000, gateway_tokens={"here": "a-token-that-is-long"}
    )
    with TestClient(make_app(settings, store, wake=Wake(), alive=lambda: True)) as client:
        headers = {"Authorization": "Bearer a-token-that-is-long"}
        for body, status in (("[1]", 422), ("[2]", 422), ("[3]", 422), ("z" * 20_000, 413), ("y" * 20_000, 413)):
            assert client.post("/alerts/alertmanager", content=body, headers=headers).status_code == status
            with store.read() as tx:
                assert len(tx.conn.execute(quarantine.select()).all()) == min(2, 1 + "123zy".index(body.strip("[]")[0]))


@sees("body_limit")
def test_a_body_is_taken_up_to_its_limit_whoever_sent_it(store: Store, tmp_path: Path) -> None:
    settings: Any = Settings(data=tmp_path, body_limit=4096)
    parts: Any = {"store": store, "senders": Senders(settings), "wake": Wake(), "readiness": None, "tiers": None}
    intake = AlertIntake(settings=settings, body_timeout=timedelta(seconds=1), **parts)
    lane = intake.signing_lane(pagerduty, lambda *_: True)
    assert [bodies._limit for bodies in (intake.bodies, lane.bodies)] == [4096, 4096]


class Ended(Exception):
    """What the process was started with is known."""


@sees("reopen_within", "flapping_times", "flapping_within", "flapping_quiet")
def test_the_gateways_intake_reopens_and_holds_as_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: dict[str, Any] = {}
    flapping: Any = {"flapping_times": 6, "flapping_within": "33m", "flapping_quiet": "7m"}
    settings = Settings(data=tmp_path, reopen_within="77m", **flapping)

    def intake(*_: Any, **how: Any) -> None:
        started.update(how)
        raise Ended

    monkeypatch.setattr(gateway_process, "load_settings", lambda: settings)
    monkeypatch.setattr(gateway_process, "hush_logging", lambda: None)
    monkeypatch.setattr(gateway_process, "Intake", intake)
    with pytest.raises(Ended):
        gateway_process.main()
    assert started["reopen_within"] == timedelta(minutes=77)
    assert started["flapping"] == Bounds(6, timedelta(minutes=33), timedelta(minutes=7))


# --- who is told ------------------------------------------------------------------------------------------------------


@sees("messages_a_minute")
def test_a_person_gets_so_many_messages_a_minute(
    store: Store, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data=tmp_path, messages_a_minute=3)
    pager, told = Pager(store, settings, on_call(), steady=clock.steady), []
    monkeypatch.setattr(
        pager, "_reach_directly", lambda _, person, words: told.append((person.id, list(words))) or True
    )
    assert [pager.page_directly(subject, "is broken") for subject in "abcd"] == [True, True, True, False]
    assert told == [("ada", ["a"]), ("ada", ["b"]), ("ada", ["c"])]
    assert pager_module.SAME_WORD_SECONDS > 60


# --- a change ---------------------------------------------------------------------------------------------------------


@sees("breaker_failures", "breaker_within", "fleet_share", "fleet_within", "storm_cooldown")
def test_every_change_is_judged_by_the_breakers_that_they_ask_for() -> None:
    asked = Settings(
        breaker_failures=4, breaker_within="5h", fleet_share=30, fleet_within="2h", storm_cooldown="7m"
    )  # each another value than any other here
    breaker, fleet = BreakerLimit(4, timedelta(hours=5)), FleetLimit(30, timedelta(hours=2), 10)
    assert site_limits(asked, 10) == SiteLimits(breaker, fleet, timedelta(minutes=7))


@sees("lease", "renew")
def test_a_claim_is_held_for_the_lease_and_renewed_as_often_as_they_say(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = with_run(store, Settings(data=tmp_path, lease="40s", renew="11s"))
    kept: dict[str, Any] = {}

    def keeper(*_: Any, **how: Any) -> Any:
        kept.update(how)
        return SimpleNamespace(start=lambda: None)

    monkeypatch.setattr(exclusive, "ClaimKeeper", keeper)
    exclusive._claim(run, run.target.id)
    with store.read() as tx:
        [row] = tx.conn.execute(claim_rows.select()).all()
        assert row.lease_until - tx.now == timedelta(seconds=40)
    assert (kept["lease"], kept["every"]) == (timedelta(seconds=40), timedelta(seconds=11))


@sees("evidence_within")
def test_evidence_is_waited_for_as_long_as_it_says(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = with_run(store, Settings(data=tmp_path, evidence_within="13s"))
    waited: list[timedelta] = []
    monkeypatch.setattr(diagnose, "gather", lambda *_, patience, **__: waited.append(patience) or [])
    monkeypatch.setattr(diagnose, "show", lambda *_, **__: None)
    with working_on(run):
        diagnose.gather_evidence.fn(run.incident, run.runbook)  # type: ignore[attr-defined]
    assert waited == [timedelta(seconds=13)]


@sees("cures_per_day")
@pytest.mark.parametrize(("most", "ending"), [(1, Ending.HANDED_OVER), (2, Ending.REMEDIATED)])
def test_so_many_cures_of_a_day_are_nobodys_business(store: Store, tmp_path: Path, most: int, ending: Ending) -> None:
    run = with_run(store, Settings(data=tmp_path, cures_per_day=most))
    with exclusive.claimed(run, run.target.id), store.record() as tx:
        assert run.keeper is not None
        acts.close(tx, intended(tx, run.keeper.claim), result="done", why="it answered", actor=run.holder)
    with working_on(run):
        assert resolved.fn(run.incident, ()).ending is ending  # type: ignore[attr-defined]


@sees("mass_breach")
def test_so_many_breaches_at_once_are_a_mass_failure(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits: list[int] = []
    monkeypatch.setattr(checks, "record_without_trail", lambda *_, **__: None)
    monkeypatch.setattr(checks, "record", lambda *_, mass_limit, **__: limits.append(mass_limit))
    this: Any = SimpleNamespace(settings=Settings(data=tmp_path, mass_breach=9), store=store, still_ours=lambda _: None)
    check._record(this, SimpleNamespace(), SimpleNamespace(sample=None, blind=False))  # type: ignore[arg-type]
    assert limits == [9]


# --- the processes of this machine ------------------------------------------------------------------------------------


@sees("warm_processes", "work_pool")
def test_the_responder_keeps_so_many_processes_warm_in_the_pool_of_this_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data=tmp_path, warm_processes=7, work_pool="theirs", work_pool_type="process")
    stack = Stack(settings)
    assert stack._responder()[-3:] == ["--pool", "theirs", "--create-pool-if-not-found"]
    assert child_env(stack.settings, 8650)["PARAMEDIC_WARM_PROCESSES"] == "7"
    warm: list[int] = []
    monkeypatch.setattr(worker_module, "load_settings", lambda: settings)

    def pool(count: int, *_: object) -> SimpleNamespace:
        warm.append(count)
        return SimpleNamespace(warm=lambda: 0)

    monkeypatch.setattr(worker_module, "ProcessPool", pool)
    worker_module.ParamedicWorker(work_pool_name="theirs")
    assert warm == [7]


@sees("prefect_ui_url")
def test_links_to_prefects_pages_lead_where_it_says(tmp_path: Path) -> None:
    settings = Settings(
        data=tmp_path,
        prefect_ui_url="https://ui.example/p/",
        prefect_api_url="https://a.example/api",
    )
    assert settings.prefect_ui_at() == "https://ui.example/p"
    assert Stack(settings).ui(SimpleNamespace(isatty=lambda: False)) == "https://ui.example/p/"  # type: ignore[arg-type]


@sees("checkpoint_file", "signing_key_file")
def test_checkpoints_are_written_where_it_says_and_signed_with_its_key(store: Store, tmp_path: Path) -> None:
    settings = Settings(
        data=tmp_path, checkpoint_file=tmp_path / "far" / "checkpoints", signing_key_file=tmp_path / "far" / "key"
    )
    (tmp_path / "far").mkdir()
    with store.record() as tx:
        claimed(tx, opened(tx))
    checkpoints.write(store, keys.signing_key(settings), settings.checkpoints())
    assert json.loads((tmp_path / "far" / "checkpoints").read_text().splitlines()[-1])
    assert (tmp_path / "far" / "key").stat().st_size > 0


def test_every_setting_is_seen_where_it_is_used() -> None:
    assert SEEN_HERE | set(ELSEWHERE) == set(Settings.model_fields)
    assert SEEN_HERE & set(ELSEWHERE) == set()
    for name, file in ELSEWHERE.items():
        text = (Path(__file__).parent / file).read_text(encoding="utf-8")
        assert name in text or name.upper() in text, (name, file)
