"""`paramedic doctor`: what is missing, and how to fix it."""

import importlib.metadata
import importlib.util
import os
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from threading import Thread

import typer

from paramedic import keys
from paramedic.catalog.library import open_library
from paramedic.cli.doctor_channels import channels, mail
from paramedic.cli.doctor_hosts import hosts
from paramedic.cli.doctor_playbooks import playbooks
from paramedic.cli.doctor_prefect import acting, prefect, shortcuts
from paramedic.cli.doctor_quiet import quiet
from paramedic.cli.doctor_targets import commands, releases, rights, targets
from paramedic.cli.finding import APART, Finding, listed, store_of
from paramedic.cli.output import NO_FOLDER, AsJson, Data, command_of, console, hanging, say_json, settings_of
from paramedic.errors import PermanentError
from paramedic.kinds import registry
from paramedic.kinds.registry import Room
from paramedic.machine import data_folder, file_ownership
from paramedic.machine.clock import spoken, utc_now
from paramedic.settings import ROOT, Settings, authored
from paramedic.store import StoreUnavailable, StoreUnknown, trail
from paramedic.text.redaction import redact
from paramedic.text.sanitize import one_line
from paramedic.text.yaml_document import BadDocument

#: So long one look may take in all: many targets are slow together.
_LOOK_SECONDS = 60.0


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def doctor(data: Data = None, as_json: AsJson = False) -> None:
    """Look at versions, data folder, store, clocks, keys, runbooks, hosts, targets, commands, mail, Prefect, what is stopped."""
    known = settings_of(data)
    findings = [_within(_LOOK_SECONDS, look, known) for look in LOOKS]
    if as_json:
        say_json([{"what": finding.what, "well": finding.well, "words": redact(finding.words)} for finding in findings])
    else:
        for finding in findings:
            head = f"{'well' if finding.well else 'MEND':<5} {finding.what:<12} "
            for line in finding.lines or (finding.words,):
                console.print(hanging(head, one_line(redact(line))), markup=False)
                head = " " * len(head)
    if not all(finding.well for finding in findings):
        raise typer.Exit(1)


def _within(seconds: float, look: Callable[[Settings], Finding], settings: Settings) -> Finding:
    """The result of one look; where it times out (a slow server, a disk that hangs), a finding that says so."""
    found: Future[Finding] = Future()

    def take() -> None:
        try:
            found.set_result(look(settings))
        except BaseException as error:  # noqa: BLE001 - raised again where it was waited for
            found.set_exception(error)

    Thread(target=take, daemon=True).start()
    try:
        return found.result(seconds)
    except TimeoutError:
        what = look.__name__.strip("_").replace("_", " ")
        return Finding(what, well=False, words=f"no answer within {seconds:.0f} s: what it looks at hangs, or drips")


def _versions(_settings: Settings) -> Finding:
    found = importlib.metadata.version("fastapi")
    major, minor = (int(part) for part in found.split(".")[:2])
    well = (major, minor) < (0, 155)
    prefect = importlib.metadata.version("prefect")
    words = f"Prefect {prefect}, FastAPI {found}"
    return Finding(
        "versions",
        well,
        words if well else f"{words}: Prefect's server does not start with 0.155 and newer: install `fastapi<0.155`",
    )


def _modules(_settings: Settings) -> Finding:
    for name in ("flows", "tasks"):
        spec = importlib.util.find_spec(name)
        places = list(spec.submodule_search_locations or []) if spec else []
        if str(ROOT / name) not in [str(Path(place).resolve()) for place in places]:
            return Finding(
                "modules", well=False, words=f"`{name}` is {places or 'not there'}, not ours: run in the checkout"
            )
    return Finding("modules", well=True, words="flows and tasks are ours")


def _data_folder(settings: Settings) -> Finding:
    """The data folder's permissions. Unlike other commands it changes nothing."""
    folder = settings.data
    if not os.path.lexists(folder):
        return Finding("data folder", well=True, words=f"`paramedic up` makes {folder}")
    try:
        found = data_folder.inspect(folder)
    except OSError as error:
        return Finding("data folder", well=False, words=f"{folder} cannot be used: {error}")
    wrong = found.problems or [f"{path} is open to other users: `chmod go-rwx {path}`" for path in found.too_open]
    if wrong:
        return listed("data folder", wrong)
    return Finding("data folder", well=True, words=f"{folder} is this user's alone")


def _plugins(settings: Settings) -> Finding:
    broken = registry.current().broken()
    count = sum(len(registry.current().names(room)) for room in Room)
    words = f"{count} kinds of sources, targets, probes and channels"
    own = f"; your own are read from {settings.plugins}" if settings.plugins else ""
    return Finding("plug-ins", well=not broken, words="; ".join(map(str, broken)) or f"{words}{own}")


def _trust(settings: Settings) -> Finding:
    """Whether other users can change code or settings that Paramedic runs."""
    wrong = file_ownership.complaints(authored(settings))
    words = "; ".join(wrong) or "nobody else can change the runbooks, the playbooks and the code"
    return Finding("trust", well=not wrong, words=words)


def _store(settings: Settings) -> Finding:
    store = store_of(settings)
    if store is None:
        return Finding("store", well=True, words=f"`paramedic up` makes one in {settings.data}")
    try:
        with closing(store), store.read() as tx:
            words = f"store {tx.store} on {tx.database}"
            if trail.role_may(tx, "UPDATE"):
                words += "; this role may alter the trail: migrate as another (store_owner_url)"
    except StoreUnknown as error:
        return Finding("store", well=False, words=str(error))
    except StoreUnavailable as error:
        where = settings.store_url or settings.data / "paramedic.db"
        words = f"{error}: look at {where}, bring back a backup (`paramedic restore`), or set PARAMEDIC_STORE_URL"
        return Finding("store", well=False, words=words)
    return Finding("store", well=True, words=words)


def _clock(settings: Settings) -> Finding:
    """Whether the store's clock, which leases and cooldowns use, agrees with this machine's."""
    store = store_of(settings)
    if store is None:
        return Finding("clock", well=True, words="there is no store yet to compare it with")
    try:
        with closing(store), store.read() as tx:
            apart = abs(utc_now() - tx.now)
    except (StoreUnavailable, StoreUnknown):
        return Finding("clock", well=False, words="the store does not tell its time: mend that first")
    if apart > APART:
        return Finding("clock", well=False, words=f"the store's and ours are {spoken(apart)} apart: mend NTP")
    return Finding("clock", well=True, words="the store's and ours agree")


def _runbooks(settings: Settings) -> Finding:
    if not settings.runbooks.exists():
        return Finding("runbooks", well=False, words=f"there is no folder {settings.runbooks}: {NO_FOLDER}")
    try:
        library = open_library(settings)
    except BadDocument as error:
        return Finding("runbooks", well=False, words=str(error))
    words = f"{len(library.runbooks)} runbooks, {len(list(library.services))} targets in {settings.runbooks}"
    if library.problems:
        return Finding("runbooks", well=False, words=f"{words}; {library.problems[0]}; all: `paramedic runbook lint`")
    return Finding("runbooks", well=True, words=words)


def _senders(settings: Settings) -> Finding:
    made = keys.gateway_token_file(settings)
    if settings.gateway_tokens or settings.gateway_users or made.exists():
        return Finding("senders", well=True, words="the gateway knows at least one")
    return Finding("senders", well=True, words=f"`paramedic up` makes a token in {made}")


def _links(settings: Settings) -> Finding:
    words = f"links in messages begin with {settings.links_at()}"
    if settings.public_url is None and settings.host in ("0.0.0.0", "::"):  # noqa: S104 - asked, not bound
        return Finding("links", well=False, words=f"{words}, which leads nowhere: set PARAMEDIC_PUBLIC_URL")
    if settings.public_url is None:
        words += "; for people on other machines set PARAMEDIC_PUBLIC_URL"
    return Finding("links", well=True, words=words)


def _keys(settings: Settings) -> Finding:
    """Whether the keys exist. None is made here: it would belong to the caller, not to the process that needs it."""
    private, public, link = (at(settings) for at in (keys.signing_key_file, keys.public_key_file, keys.link_key_file))
    if public.exists() and not private.exists():
        return Finding("keys", well=False, words=f"{public} is there, and {private} is not: bring it back")
    try:
        if private.exists():
            keys.signing_key(settings)
        if link.exists():
            keys.link_key(settings)
    except (OSError, ValueError, PermanentError) as error:
        return Finding("keys", well=False, words=str(error))
    missing = [str(path) for path in (private, link) if not path.exists()]
    if missing:
        return Finding("keys", well=True, words=f"`paramedic up` makes {' and '.join(missing)}")
    return Finding("keys", well=True, words="the trail and the links can be signed")


LOOKS: tuple[Callable[[Settings], Finding], ...] = (
    _versions,
    _modules,
    _plugins,
    _data_folder,
    _trust,
    _store,
    _clock,
    _keys,
    _runbooks,
    playbooks,
    hosts,
    targets,
    rights,
    releases,
    commands,
    _senders,
    _links,
    channels,
    mail,
    prefect,
    shortcuts,
    acting,
    quiet,
)

doctor_command = command_of(app)
