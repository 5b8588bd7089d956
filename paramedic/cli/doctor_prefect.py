"""The part of `paramedic doctor` about Prefect: its server, login, pool and workers, and what is paused there."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from email.utils import parsedate_to_datetime

import httpx

from paramedic.cli.finding import APART, Finding, store_of
from paramedic.errors import PermanentError
from paramedic.machine.clock import spoken, utc_now
from paramedic.remediation.kill_switch import TAG
from paramedic.responder import shortcut_check
from paramedic.settings import Settings
from paramedic.stack.running_prefect import with_running_prefect
from paramedic.store import StoreUnavailable, StoreUnknown, kill_switch
from paramedic.transports.http_deadline import certificate_fault
from paramedic.transports.prefect_http import PrefectApi
from paramedic.transports.prefect_login import asks_for_login
from paramedic.transports.prefect_tls import Verification

#: What the answer of something else than Prefect's API raises.
_NO_API = (ValueError, KeyError, TypeError)

#: So long Prefect has for one whole answer, whatever it drips meanwhile.
_ANSWER_SECONDS = 5.0


def prefect(settings: Settings) -> Finding:
    """Whether Prefect answers, asks for a login, has our clock, and a worker for the pool."""
    try:
        api = _api(settings)
    except PermanentError as error:
        return Finding("prefect", well=False, words=str(error))
    if api is None:
        return Finding("prefect", well=True, words="`paramedic up` starts a server of its own")
    tls = f"; {Verification.configured()}" if api.base_url.scheme == "https" else ""
    try:
        with api:
            there = api.get("/health").raise_for_status().headers.get("date")
            apart = abs(utc_now() - parsedate_to_datetime(there)) if there else timedelta(0)
            wrong = list(_pool(api, settings))
    except httpx.HTTPError as error:
        fault = certificate_fault(error)
        if fault is not None:
            words = f"the certificate of {api.base_url} is not trusted ({fault}){tls}"
        else:
            words = f"{api.base_url} does not answer: {error}: start it, or set PARAMEDIC_PREFECT_API_URL"
        return Finding("prefect", well=False, words=words)
    except _NO_API:
        words = f"{api.base_url} answers, and not as Prefect's API: set PARAMEDIC_PREFECT_API_URL, http://HOST:4200/api{tls}"
        return Finding("prefect", well=False, words=words)
    if asks_for_login(str(api.base_url), timeout=timedelta(seconds=_ANSWER_SECONDS)) is False:
        wrong.append(
            "it answers everybody without a login: start it with PREFECT_SERVER_API_AUTH_STRING=user:password, and set "
            "PARAMEDIC_PREFECT_API_AUTH to the same (docs/security.md)"
        )
    if apart > APART:
        wrong.append(f"its clock and ours are {spoken(apart)} apart: mend NTP")
    words = f"answers, and a worker of the pool {settings.work_pool} is online"
    return Finding("prefect", well=not wrong, words=("; ".join(wrong) or words) + tls)


def shortcuts(settings: Settings) -> Finding:
    """Whether runs begin as soon as they can. Imports what Prefect runs flows with, which takes seconds."""
    if settings.work_pool_type != "paramedic":
        return Finding("run start", well=True, words="Prefect's own worker runs the playbooks")
    if not settings.prefect_shortcuts:
        return Finding("run start", well=True, words="prefect_shortcuts is off: runs begin Prefect's own way")
    wrong = shortcut_check.complaint()
    if wrong is not None:
        words = f"{shortcut_check.words(wrong)} (install a Prefect that suits, or set prefect_shortcuts to false)"
        return Finding("run start", well=False, words=words)
    return Finding("run start", well=True, words="Prefect is as the shortcuts of a run's start need it")


def _api(settings: Settings) -> httpx.Client | None:
    """Prefect's API, where the settings or the `paramedic up` in this folder say that there is one."""
    api = PrefectApi.named(with_running_prefect(settings))
    return None if api is None else api.client(seconds=_ANSWER_SECONDS)


def _pool(api: httpx.Client, settings: Settings) -> Iterator[str]:
    """What keeps the pool's runs from starting. Raises httpx.HTTPError."""
    name = settings.work_pool
    answer = api.get(f"/work_pools/{name}")
    if answer.status_code in (401, 403):
        yield "it refuses our login: set PARAMEDIC_PREFECT_API_AUTH"
        return
    if answer.status_code == 404:
        yield f"there is no work pool {name}: `paramedic up` makes it"
        return
    pool = answer.raise_for_status().json()
    if pool["is_paused"]:
        yield f"an operator paused the pool {name}, and no run begins: `prefect work-pool resume {name}`"
    if pool["concurrency_limit"] == 0:
        yield (
            f"an operator's limit of 0 on the pool {name} keeps every run from beginning: "
            f"`prefect work-pool clear-concurrency-limit {name}`"
        )
    workers = api.post(f"/work_pools/{name}/workers/filter", json={}).raise_for_status().json()
    if all(worker["status"] != "ONLINE" for worker in workers):
        heard = max((worker["last_heartbeat_time"] for worker in workers), default="never")
        start = f"prefect worker start --type {settings.work_pool_type} --pool {name}"
        yield f"no worker of the pool {name} is online (last heard: {heard}): `paramedic up`, or `{start}`"


def acting(settings: Settings) -> Finding:
    """What an operator has stopped: pauses and limits."""
    stops, store = [], store_of(settings)
    if store is not None:
        try:
            with closing(store), store.read() as tx:
                stops = [f"paused: {pause.words} (`{pause.resume}`)" for pause in kill_switch.standing(tx)]
        except (StoreUnavailable, StoreUnknown):
            stops = ["the store does not say what is paused: mend that first"]
    stops += _limit(settings)
    return Finding("acting", well=not stops, words="; ".join(stops) or "nothing stops it")


def _limit(settings: Settings) -> list[str]:
    try:
        api = _api(settings)
        if api is None:
            return []
        with api:
            answer = api.get(f"/concurrency_limits/tag/{TAG}")
            if answer.status_code == 404:
                return []
            limit: int = answer.raise_for_status().json()["concurrency_limit"]
    except (httpx.HTTPError, PermanentError, *_NO_API):
        return [f"Prefect does not say whether a limit on the tag `{TAG}` stops every change: mend that first"]
    if limit > 0:
        return []
    lift = f"prefect concurrency-limit delete {TAG}"
    return [f"an operator's limit of 0 on the tag `{TAG}` in Prefect stops every change (`{lift}`)"]
