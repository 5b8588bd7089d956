"""`paramedic doctor`: what is missing, and how to mend it."""

import importlib.metadata
import importlib.util
import smtplib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import typer

from paramedic import library, settings
from paramedic.cli.answer import AsJson, Data, chosen, command_of, console, safe, say_json
from paramedic.document import BadDocument
from paramedic.doors import reading
from paramedic.error import TryAgain, Useless
from paramedic.settings import ROOT, Settings
from paramedic.store import Store, StoreUnavailable, StoreUnknown
from paramedic.way import Way

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    what: str
    well: bool
    words: str


@app.command()
def doctor(data: Data = None, as_json: AsJson = False) -> None:
    """Check configuration, store, runbooks, targets, mail, Prefect, clock, versions, module names."""
    picked = chosen(data)
    findings = [look(picked) for look in LOOKS]
    if as_json:
        say_json([{"what": one.what, "well": one.well, "words": one.words} for one in findings])
    else:
        for one in findings:
            console.print(f"{'well' if one.well else 'MEND':<5} {one.what:<12} {safe(one.words)}")
    if not all(one.well for one in findings):
        raise typer.Exit(1)


def _versions(_picked: Settings) -> Finding:
    found = importlib.metadata.version("fastapi")
    major, minor = (int(part) for part in found.split(".")[:2])
    well = (major, minor) < (0, 155)
    prefect = importlib.metadata.version("prefect")
    words = f"Prefect {prefect}, FastAPI {found}"
    return Finding(
        "versions", well, words if well else f"{words}: Prefect's server does not start with 0.155 and newer"
    )


def _modules(_picked: Settings) -> Finding:
    for name in ("flows", "tasks"):
        spec = importlib.util.find_spec(name)
        places = list(spec.submodule_search_locations or []) if spec else []
        if str(ROOT / name) not in [str(Path(place).resolve()) for place in places]:
            return Finding(
                "modules", well=False, words=f"`{name}` is {places or 'not there'}, not ours: run in the checkout"
            )
    return Finding("modules", well=True, words="flows and tasks are ours")


def _store(picked: Settings) -> Finding:
    if picked.store_url is None and not (picked.data / "paramedic.db").exists():
        return Finding("store", well=True, words=f"`paramedic up` makes one in {picked.data}")
    try:
        store = Store(picked.store())
        with store.read() as tx:
            words = f"store {tx.store} on {tx.conn.dialect.name}"
            if tx.conn.dialect.name == "postgresql":
                query = "SELECT has_table_privilege(current_user, 'trail', 'UPDATE')"
                if tx.conn.exec_driver_sql(query).scalar_one():
                    words += "; this role may alter the trail: migrate as another (store_owner_url)"
    except (StoreUnavailable, StoreUnknown) as error:
        return Finding("store", well=False, words=str(error))
    return Finding("store", well=True, words=words)


def _runbooks(picked: Settings) -> Finding:
    try:
        shelf = library.load(picked.runbooks, picked.flows)
    except BadDocument as error:
        return Finding("runbooks", well=False, words=str(error))
    words = f"{len(shelf.runbooks)} runbooks, {len(list(shelf.services))} targets in {picked.runbooks}"
    if shelf.problems:
        return Finding("runbooks", well=False, words=f"{words}; {shelf.problems[0]}")
    return Finding("runbooks", well=True, words=words)


def _targets(picked: Settings) -> Finding:
    try:
        targets = list(library.load(picked.runbooks, picked.flows).services)
    except BadDocument:
        return Finding("targets", well=False, words="services.yaml cannot be read")
    for target in targets:
        try:
            reading.reader(target).identity()
        except (TryAgain, Useless) as error:
            return Finding("targets", well=False, words=str(error))
    return Finding("targets", well=True, words=f"{len(targets)} answer")


def _ways(picked: Settings) -> list[Way]:
    """Every way that a person or a channel is told by. Raises BadDocument."""
    shelf = library.load(picked.runbooks)
    ways = {way for person in shelf.oncall.people.values() for way in person.ways}
    return sorted(ways.union(*(one.notify for one in shelf.runbooks.values())), key=str)


def _channels(picked: Settings) -> Finding:
    try:
        ways = _ways(picked)
    except BadDocument:
        return Finding("channels", well=False, words="oncall.yaml cannot be read")
    for way in ways:
        channel = picked.channels.get(way.to)
        if way.kind != "email" and channel is None:
            return Finding("channels", well=False, words=f"{way} leads nowhere: set PARAMEDIC_CHANNELS for {way.to}")
        if way.kind == "webhook" and channel is not None and channel.secret is None:
            return Finding("channels", well=False, words=f"{way} has no secret to sign with: set PARAMEDIC_CHANNELS")
    return Finding("channels", well=True, words="every way that somebody is told by leads somewhere")


def _mail(picked: Settings) -> Finding:
    if picked.smtp_url is None:
        with suppress(BadDocument):
            if all(way.kind != "email" for way in _ways(picked)):
                return Finding("mail", well=True, words="nobody is told by mail")
        return Finding("mail", well=False, words="no mail can leave: set PARAMEDIC_SMTP_URL and PARAMEDIC_MAIL_FROM")
    parts = urlsplit(picked.smtp_url.get_secret_value())
    smtp, port = (smtplib.SMTP_SSL, 465) if parts.scheme == "smtps" else (smtplib.SMTP, 25)
    try:
        with smtp(parts.hostname or "", parts.port or port, timeout=5) as mail:
            mail.noop()
    except (OSError, ValueError, smtplib.SMTPException) as error:
        return Finding("mail", well=False, words=f"the mail server does not answer: {error}")
    return Finding("mail", well=True, words=f"{parts.hostname} answers")


def _prefect(picked: Settings) -> Finding:
    if picked.prefect_api_url is None:
        return Finding("prefect", well=True, words="`paramedic up` starts a server of its own")
    auth = picked.prefect_api_auth.get_secret_value().partition(":") if picked.prefect_api_auth else None
    url = picked.prefect_api_url.rstrip("/")
    try:
        with httpx.Client(auth=(auth[0], auth[2]) if auth else None, timeout=5, trust_env=False) as prefect:
            answer = prefect.get(f"{url}/health").raise_for_status()
            pool = prefect.get(f"{url}/work_pools/{picked.work_pool}")
    except httpx.HTTPError as error:
        return Finding("prefect", well=False, words=f"{url} does not answer: {error}")
    if pool.status_code in (401, 403):
        return Finding("prefect", well=False, words=f"{url} refuses our login: set PARAMEDIC_PREFECT_API_AUTH")
    if pool.status_code == 404:
        return Finding(
            "prefect", well=False, words=f"there is no work pool {picked.work_pool}: `paramedic up` makes it"
        )
    there = answer.headers.get("date")
    skew = abs((datetime.now(UTC) - parsedate_to_datetime(there)).total_seconds()) if there else 0.0
    if skew > 5:
        return Finding("prefect", well=False, words=f"its clock and ours are {skew:.0f} s apart: mend NTP")
    return Finding("prefect", well=True, words=f"answers, pool {picked.work_pool} is there")


def _senders(picked: Settings) -> Finding:
    made = settings.gateway_token_file(picked)
    if picked.gateway_tokens or picked.gateway_users or made.exists():
        return Finding("senders", well=True, words="the gateway knows at least one")
    return Finding("senders", well=True, words=f"`paramedic up` makes a token in {made}")


def _links(picked: Settings) -> Finding:
    words = f"links in messages begin with {picked.links_at()}"
    if picked.public_url is None and picked.host in ("0.0.0.0", "::"):  # noqa: S104 - asked, not bound
        return Finding("links", well=False, words=f"{words}, which leads nowhere: set PARAMEDIC_PUBLIC_URL")
    if picked.public_url is None:
        words += "; for people on other machines set PARAMEDIC_PUBLIC_URL"
    return Finding("links", well=True, words=words)


def _keys(picked: Settings) -> Finding:
    try:
        settings.signing_key(picked)
        settings.link_key(picked)
    except (OSError, ValueError, Useless) as error:
        return Finding("keys", well=False, words=str(error))
    return Finding("keys", well=True, words="the trail and the links can be signed")


LOOKS: tuple[Callable[[Settings], Finding], ...] = (
    _versions,
    _modules,
    _store,
    _keys,
    _runbooks,
    _targets,
    _senders,
    _links,
    _channels,
    _mail,
    _prefect,
)

doctor_command = command_of(app)
