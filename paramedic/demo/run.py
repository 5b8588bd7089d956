"""Runs the demo: starts everything, breaks it for real, reports what happened, and ends by itself."""

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.markup import escape

from paramedic import keys
from paramedic.audit import verification
from paramedic.demo.folder import LIMIT_MB, write
from paramedic.demo.more import More, Story, possible
from paramedic.demo.screen import line, show_around, show_mail, show_timeline
from paramedic.demo.story import Scenario, Stage, all_is_well, bad_release, beyond_help, hang, leak
from paramedic.demo.world import Mailbox, PagerSink, World
from paramedic.machine import ports
from paramedic.settings import Settings, load_settings
from paramedic.stack.stack import Stack
from paramedic.store import Store
from paramedic.store import trail as stored_trail
from paramedic.text.sanitize import one_line
from paramedic.upkeep import checkpoints


class _Interrupted(BaseException):
    """The demo was interrupted."""


def run(
    *,
    json_file: Path | None = None,
    data: Path | None = None,
    keep: bool = False,
    more: Mapping[str, Story] | None = None,
) -> int:
    """Play the four stories, and of `more` those that this machine can; returns 0 if all came out as expected, else 1.

    `data` is the folder to keep. What this machine lacks for one of `more` is said, and is no failure.
    """
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="paramedic-demo-"))  # short: a Unix socket's path lives in it
    where = data if data is not None else folder / "data"
    try:
        with _stopping_on_signals():
            return _play(console, folder, where.resolve(), json_file, keep=keep, more=more or {})
    except _Interrupted:
        console.print("stopped")
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _play(
    console: Console, folder: Path, data: Path, json_file: Path | None, *, keep: bool, more: Mapping[str, Story]
) -> int:
    faults = {"web-1": "", "web-2": "--leaks", "web-3": "", "web-4": f"--starts-full {LIMIT_MB + 30}"}
    world = World(folder / "world", [("tracking-api", host, wrong) for host, wrong in faults.items()])
    with ExitStack() as held:
        mailbox, pager = held.enter_context(Mailbox()), held.enter_context(PagerSink())
        held.enter_context(world)
        others = _others(console, held, folder, more)
        settings = _settings(data, world, mailbox, pager, others)
        stack = Stack(settings)
        line(console, "starting Prefect's server, gateway, dispatch, responder and watchdog: half a minute …", indent=2)
        stack.start()
        try:
            stack.wait_ready(240)
            console.print(f"gateway    {stack.gateway_url}")
            console.print(f"Prefect UI {stack.ui(sys.stdout)}", markup=False, soft_wrap=True)
            scenarios = _play_scenarios(console, settings, stack, world, mailbox, pager, others)
            show_mail(console, mailbox, scenarios[-1].incident)
            verified = _verify(console, settings)
            ok = verified["verified"] is True and not any(scenario.faults for scenario in scenarios)
            if json_file is not None:
                report = {"ok": ok, "trail": verified, "scenarios": [scenario.as_json() for scenario in scenarios]}
                json_file.write_text(json.dumps(report, indent=2) + "\n")
            show_around(console, scenarios, kept=data if keep else None, ui=_ui(stack))
            if keep:
                stack.run_forever()
        finally:
            stack.stop()
    return 0 if ok else 1


def _others(console: Console, held: ExitStack, folder: Path, stories: Mapping[str, Story]) -> dict[str, More]:
    """What the further stories are about, started, by their names; says of each that cannot be played what is missing."""
    here, lacking = possible(stories)
    others = {}
    for name, (_, started) in here.items():
        try:
            others[name] = held.enter_context(started(folder / name))
        except (OSError, subprocess.SubprocessError) as error:
            lacking[name] = f"it could not be started: {one_line(str(getattr(error, 'stderr', None) or error))[:300]}"
    for name, why in lacking.items():
        line(console, f"no story on {name}: {why}", indent=2)
    return others


def _settings(data: Path, world: World, mailbox: Mailbox, pager: PagerSink, others: Mapping[str, More]) -> Settings:
    runbooks = data / "runbooks"
    hosts = "".join(other.hosts for other in others.values())
    services = world.services_yaml("tracking-api") + "".join(other.services for other in others.values())
    further = {name: text for other in others.values() for name, text in other.runbooks.items()}
    if hosts:  # where one is listed all are
        here = [*dict.fromkeys(service.host for service in world.services), "localhost"]
        services = "hosts:\n" + "".join(f"  {host}: {{local: true}}\n" for host in here) + hosts + services
    write(runbooks, services, further)
    os.environ.update(
        {
            "PARAMEDIC_DATA": str(data),
            "PARAMEDIC_RUNBOOKS": str(runbooks),
            "PARAMEDIC_CHECKS_EVERY": "20s",
            "PARAMEDIC_FLEET_SHARE": "100",  # every target of the demo breaks, one after the other
            "PARAMEDIC_CHANNELS": json.dumps({"pager": {"url": pager.url, "secret": pager.secret}}),
            "PARAMEDIC_SMTP_URL": mailbox.url,
            "PARAMEDIC_MAIL_FROM": "paramedic@example.org",
            "PARAMEDIC_GATEWAY_TOKENS": json.dumps({"alertmanager": secrets.token_urlsafe(24)}),
            # Nobody sends to a demo: one may run beside what listens on the usual ports.
            "PARAMEDIC_PORT": os.environ.get("PARAMEDIC_PORT") or str(ports.available("127.0.0.1", 8650)),
            "PREFECT_SERVER_API_PORT": os.environ.get("PREFECT_SERVER_API_PORT")
            or str(ports.available("127.0.0.1", 4200)),
        }
    )
    return load_settings()


def _play_scenarios(  # noqa: PLR0917 - what the stage is made of
    console: Console,
    settings: Settings,
    stack: Stack,
    world: World,
    mailbox: Mailbox,
    pager: PagerSink,
    others: Mapping[str, More],
) -> list[Scenario]:
    store = Store(settings.store())
    token = next(iter(settings.gateway_tokens.values())).get_secret_value()
    scenarios = []
    first = zip((hang, leak, bad_release, beyond_help), world.services, strict=True)
    plays: list[tuple[str, Callable[[Stage], Scenario]]] = [
        (play.__name__.replace("_", "-"), partial(play, service=service)) for play, service in first
    ]
    further = [(name, other.play) for name, other in others.items()]
    # what is beyond help stays broken: beside it one more broken service would be a mass failure, in which nothing is changed
    for name, play_it in [*plays[:-1], *further, plays[-1]]:
        with console.status("…") as status:

            def say(words: str) -> None:
                status.update(escape(one_line(words)))
                line(console, f"  {one_line(words)}", indent=4)

            console.rule(name.replace("-", " "))
            stage = Stage(
                store=store,
                services=stack.library.services,
                gateway=stack.gateway_url,
                token=token,
                prefect=stack.prefect_api,
                world=world,
                mailbox=mailbox,
                pager=pager,
                tick=stack.tick,
                say=say,
            )
            try:
                all_is_well(stage)
                scenario = play_it(stage)
            except TimeoutError as error:
                scenario = Scenario(name, faults=[str(error)])
        scenarios.append(scenario)
        if scenario.number:
            show_timeline(console, store, scenario)
        for fault in scenario.faults:
            console.print(f"  [red]not as promised:[/red] {escape(fault)}")
    store.close()
    return scenarios


def _verify(console: Console, settings: Settings) -> dict[str, object]:
    key = keys.signing_key(settings)
    store = Store(settings.store())
    checkpoints.write(store, key, settings.checkpoints())
    with store.read() as tx:
        found = verification.verify(
            stored_trail.entries(tx),
            lambda seq: stored_trail.content(tx, seq),
            checkpoints.read(settings.checkpoints()),
            key.public_key(),
            tx.store,
        )
    store.close()
    console.rule()
    if found.verified:
        console.print(f"trail verified: {found.entries} entries")
    for fault in found.faults:
        console.print(f"[red]entry {fault.seq}[/red] {escape(fault.what)}")
    return {"entries": found.entries, "verified": found.verified}


def _ui(stack: Stack) -> str:
    return stack.prefect_url.removesuffix("/api")


@contextlib.contextmanager
def _stopping_on_signals() -> Iterator[None]:
    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise _Interrupted

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
