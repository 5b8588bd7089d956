"""`paramedic up`."""

import io
import logging
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from paramedic.catalog.library import Library
from paramedic.cli.output import NO_FOLDER, Data, command_of, console, protected_settings, safe
from paramedic.errors import PermanentError
from paramedic.kinds import registry
from paramedic.kinds.registry import Room
from paramedic.machine import service_manager
from paramedic.machine.data_folder import LOGS
from paramedic.machine.service_manager import ServiceManager
from paramedic.paging.channel_settings import complaints, from_settings
from paramedic.settings import Settings
from paramedic.stack.children import appended
from paramedic.stack.stack import Stack
from paramedic.store.running_processes import ROLES
from paramedic.text.sanitize import visible

app = typer.Typer(add_completion=False, rich_markup_mode=None)


log = logging.getLogger(__name__)

#: So long a start is left alone; then it is said what it waits for: again where that has changed, or has lasted.
_PATIENCE_SECONDS, _CHANGED_SECONDS, _AGAIN_SECONDS = 5.0, 10.0, 60.0


class _Stop(BaseException):
    """SIGTERM or Ctrl-C. It passes every `except Exception`: logging has one around each line that it writes."""


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise _Stop


def _begin(stack: Stack, manager: ServiceManager) -> None:
    """Wait until everything has been ready, however long: alerts are accepted and people paged meanwhile."""
    saying, steps = Saying(), Steps()
    announced = False
    while (waited := stack.waits_for()) is not None:
        stack.tick()
        _print(steps.new(stack.ready()))
        if not announced and stack.takes_alerts():
            announced = True
            manager.ready()
            _announce_gateway(stack)
        manager.alive(f"waiting for {visible(': '.join(filter(None, waited)))}")
        words = saying.about(*waited)
        if words is not None:
            log.warning("%s", words)
        time.sleep(0.2)
    _print(steps.new(stack.ready()))
    manager.ready()
    if not announced and stack.has("gateway"):
        _announce_gateway(stack)


def _keep_running(stack: Stack, manager: ServiceManager) -> None:
    while True:
        stack.tick()
        manager.alive("everything has been ready")
        time.sleep(0.2)


def _print(lines: list[str]) -> None:
    for line in lines:
        console.print(line, markup=False)


def _log_to(file: Path) -> None:
    """Also log to a file."""
    handler = logging.StreamHandler(io.TextIOWrapper(appended(file), line_buffering=True))
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.getLogger().addHandler(handler)


def _announce_gateway(stack: Stack) -> None:
    for name in registry.current().usable(Room.SOURCES):
        console.print(f"gateway    {stack.gateway_url}/alerts/{name}", markup=False)
    if stack.token_file.exists():
        console.print(f"its token  {stack.token_file}", markup=False)


def _announce_faults(settings: Settings, library: Library) -> None:
    """Print which files and settings are not used, and why."""
    methods = library.contact_methods()
    if settings.smtp_url is None and any("smtp_url" in from_settings(method) for method in methods):
        console.print("mail       none can leave: set smtp_url and mail_from", markup=False)
    for complaint in complaints(settings, methods):
        console.print(f"channel    {safe(complaint)}")
    for refused in (*registry.current().broken(), *library.problems):
        console.print(f"refused    {safe(refused)}")


class Steps:
    """The progress of the start: each step once, as it becomes ready, with the seconds since the beginning."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._reported = 0

    def new(self, ready: list[str]) -> list[str]:
        """A line for each step that was not ready before; `ready`: all that are, in order."""
        after = f"{self._clock() - self._began:.0f} s"
        lines = [f"ready      {what} ({after})" for what in ready[self._reported :]]
        self._reported = len(ready)
        return lines


class Saying:
    """Decides when to report what is waited for: after a while, when it changes, and regularly while it lasts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._what: tuple[str, str] | None = None
        self._since = self._said_at = clock()

    def about(self, what: str, why: str) -> str | None:
        """What to report now; None: nothing."""
        now = self._clock()
        if self._what is None or self._what[0] != what:
            self._what, self._since, self._said_at = (what, ""), now, now - _AGAIN_SECONDS
        due = now - self._said_at >= (_AGAIN_SECONDS if self._what[1] == why else _CHANGED_SECONDS)
        if not why or not due or now - self._since < _PATIENCE_SECONDS:
            return None
        self._what, self._said_at = (what, why), now
        return f"waiting for {what}: {visible(why)}"


Only = Annotated[
    str | None,
    typer.Option("--only", help=f"Start only these, and no Prefect: of {', '.join(ROLES)}.", metavar="ROLE,…"),
]


@app.command()
def up(data: Data = None, only: Only = None) -> None:
    """Start the Prefect server, the gateway, dispatch, the responder and the watchdog; Ctrl-C ends them all."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    settings = protected_settings(data, may_be_new=True)
    if not settings.runbooks.exists() and not settings.last_good().exists():
        raise PermanentError(f"there is no folder {settings.runbooks}: {NO_FOLDER}")
    manager = service_manager.inherited()
    stack = Stack(settings, ROLES if only is None else [role.strip() for role in only.split(",")])
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    try:
        stack.start()
        console.print("starting …")
        _log_to(stack.settings.data / LOGS / "up.log")
        _begin(stack, manager)
        console.print(f"Prefect UI {stack.ui(sys.stdout)}", markup=False, soft_wrap=True)
        console.print(f"logs       {stack.settings.data / 'logs'}", markup=False)
        _announce_faults(stack.settings, stack.library)
        _keep_running(stack, manager)
    except _Stop:
        console.print("stopping …")
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        manager.stopping()
        stack.stop()


up_command = command_of(app)
