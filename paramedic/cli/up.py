"""`paramedic up`."""

import logging
import signal
import sys
from types import FrameType

import typer

from paramedic.cli.answer import Data, chosen, command_of, console, safe
from paramedic.up import Stack

app = typer.Typer(add_completion=False, rich_markup_mode=None)


class _Stop(Exception):
    """SIGTERM or Ctrl-C."""


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise _Stop


@app.command()
def up(data: Data = None) -> None:
    """Start the Prefect server, the gateway, dispatch, the responder and the watchdog; Ctrl-C ends them all."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    stack = Stack(chosen(data, may_be_new=True))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    try:
        stack.start()
        console.print("starting …")
        stack.wait_ready(240)
        console.print(f"gateway    {stack.gateway_url}/alerts/alertmanager", markup=False)
        if stack.token_file.exists():
            console.print(f"its token  {stack.token_file}", markup=False)
        console.print(f"Prefect UI {stack.ui(sys.stdout)}", markup=False, soft_wrap=True)
        console.print(f"logs       {stack.settings.data / 'logs'}", markup=False)
        for problem in stack.library.problems:
            console.print(f"refused    {safe(problem)}")
        stack.run_forever()
    except _Stop:
        console.print("stopping …")
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        stack.stop()


up_command = command_of(app)
