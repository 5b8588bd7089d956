"""The command line: text for people, `--json` for programs; exit code 0 done, 1 a negative answer, 2 wrong use.

`up`, which keeps running, and `runbook schema`, `oncall schema`,
`services schema` and `audit export`, which print JSON anyway, have no
`--json`. Errors go to standard error.
"""

import gc
import io
import sys
from typing import Annotated, Any, NoReturn

import typer
from typer._click.shell_completion import CompletionItem

from paramedic.cli.lazy_group import LateGroup, loaded
from paramedic.errors import PermanentError, Refused, TemporaryError
from paramedic.text.redaction import hush_logging, redact
from paramedic.text.sanitize import visible

#: command -> (module that has it, one line of help). Loaded when used: `--help` costs nothing but this list.
COMMANDS = {
    "init": ("init", "Make a folder of your own: settings, services, on call, one runbook."),
    "up": ("up", "Start everything on this machine; Ctrl-C ends it whole."),
    "demo": ("demo", "Break a real service, heal it, show the trail; ends by itself."),
    "ui": ("ui", "Print the address that opens the Prefect UI, logged in."),
    "doctor": ("doctor", "Check what Paramedic needs, and say what to mend."),
    "config": ("config", "Show every setting and where it comes from."),
    "alert": ("alert_group", "Send an alert, explain one, list what came in."),
    "source": ("source", "The kinds of senders, and what to paste at each vendor."),
    "incident": ("incident_group", "List, show, acknowledge, resolve, note, report."),
    "oncall": ("oncall_group", "Who is on call, the schedule and its gaps, overrides, a test page."),
    "runbook": ("runbook_group", "List, show, lint, test, new, schema."),
    "playbook": ("playbook", "Lint, rehearse, new: playbooks of your own."),
    "host": ("host", "List the machines of targets, and try how each is reached."),
    "services": ("services", "The schema of services.yaml, for editors."),
    "check": ("check_group", "List what Paramedic measures, measure once now."),
    "audit": ("audit", "Show, verify, export and seal the trail."),
    "pause": ("pause", "Stop every act, or those of one service or runbook; and no page."),
    "resume": ("resume", "Allow acts again."),
    "deployment": ("deployment", "Tell of a deployment, list those known."),
    "maintenance": ("maintenance_group", "Plan, list and end maintenance windows."),
    "silence": ("silence_group", "Silence alerts by matchers, list and end silences."),
    "pauses": ("resume", "What is paused, by whom and why."),
    "breaker": ("breaker", "What is blocked because it did not help; reset it."),
    "backup": ("backup", "Write the store into one file, while everything runs."),
    "prune": ("prune", "Remove what is older than its keep_* setting."),
    "upgrade": ("backup", "Bring the store to this version's schema, with a backup before."),
    "restore": ("backup", "Make a store of a backup again; acts wait for `resume`."),
}


class _Lazy(LateGroup):
    """Loads a command's module when it is called."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the base's form
        """Every command, in the order of daily use."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - the base's form
        """The command, loaded on demand; None if there is none."""
        if cmd_name not in COMMANDS:
            return None
        return getattr(loaded(COMMANDS[cmd_name][0]), f"{cmd_name}_command")

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - the base's form
        """The list, without loading any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in COMMANDS.items()])

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """The commands and options that begin so, without loading any command: a shell asks at each Tab."""
        if incomplete.startswith("-"):
            return list(super().shell_complete(ctx, incomplete))
        return [
            CompletionItem(name, help=words) for name, (_, words) in COMMANDS.items() if name.startswith(incomplete)
        ]


def _say_version(wanted: bool) -> None:  # noqa: FBT001 - the form of a callback
    if wanted:
        from importlib import metadata  # here: a third of what `--help` would take

        typer.echo(f"paramedic {metadata.version('paramedic')}")
        raise typer.Exit


_group = typer.Typer(
    name="paramedic",
    cls=_Lazy,
    help="Paramedic, the first responder of production systems.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@_group.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None: ...


app: Any = typer.main.get_command(_group)


#: No word of a command is longer: a path has 4,096 bytes, and what people say is kept by less.
_LONGEST = 10_000


#: So many new objects are a reason to look for garbage among them: most commands have ended before.
_YOUNG = 50_000


def main(argv: list[str] | None = None) -> None:
    """The entry point."""
    gc.set_threshold(_YOUNG, 10, 10)
    hush_logging()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal of another encoding than UTF-8 shows the rest as escapes
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        for number, word in enumerate(sys.argv[1:] if argv is None else argv, 1):
            _check_word(number, word)
        app.main(args=argv, prog_name="paramedic")
    except (TemporaryError, Refused) as error:
        _end(error, 1)
    except PermanentError as error:
        _end(error, 2)
    except OSError as error:  # the process's edge: a full disk or a missing right, not a fault of ours
        where = f"{error.filename}: " if error.filename is not None else ""
        _end(f"{where}{error.strerror or error}", 1)


def _check_word(number: int, word: str) -> None:
    """Raises PermanentError for a word that neither the store nor a terminal could hold."""
    if len(word) > _LONGEST:
        raise PermanentError(f"argument {number}, {word[:40]!r}…, has {len(word)} characters; allowed: {_LONGEST}")
    try:
        word.encode()
    except UnicodeEncodeError as error:
        raise PermanentError(f"argument {number}, {word[:80]!r}, is not UTF-8; write it in UTF-8") from error


def _end(words: object, code: int) -> NoReturn:
    typer.echo(visible(redact(str(words))), err=True)
    sys.exit(code)
