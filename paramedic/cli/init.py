"""`paramedic init`: a folder of one's own, with settings, services, who is on call, and one runbook that only observes."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from paramedic.cli.output import AsJson, Negative, command_of, say_json
from paramedic.machine.data_folder import BadDataFolder
from paramedic.text.sanitize import visible

app = typer.Typer(add_completion=False, rich_markup_mode=None)

#: What each of the files says; who fills them in reads them, and nothing else.
FILES = {
    "paramedic.toml": """\
# The settings of Paramedic. Every command that is run in this folder reads this file, and so does `paramedic up`.
# A variable counts first: PARAMEDIC_SMTP_URL is smtp_url here. `paramedic config` shows all of them, and where each is from.
# Paths are beside this file. It may hold secrets: keep it readable by you alone.

data = "data"          # the store, the trail's keys, the logs; `paramedic up` makes it
runbooks = "runbooks"  # services.yaml, oncall.yaml and the runbooks

# Change: where mail leaves by. Until these are set, nobody is told of anything.
# smtp_url = "smtp://user:password@mail.example.org:587"
# mail_from = "paramedic@example.org"

# Change for people on other machines: what the links in messages begin with.
# public_url = "https://paramedic.example.org"

# Somebody outside who notices when Paramedic itself is gone.
# heartbeat_url = "https://heartbeats.example.org/paramedic"
""",
    "runbooks/services.yaml": """\
# Which targets there are. No alert can name one that is not listed here.
services:
  my-service:          # change: what your service is called
    owner: my-team     # change: who owns it
    targets:
      - host: localhost                  # change: as alerts call it in `instance`
        systemd: my-service.service      # change: the unit; or supervisord: {program: NAME, address: "unix:///PATH"}
        health: http://127.0.0.1:8080/health  # change: what says whether it is well: a 2xx is
        # log: /var/log/my-service.log            # its end is kept as evidence
""",
    "runbooks/oncall.yaml": """\
# Who is told, and in what order. Times are those of the rotation's zone.
people:
  me: {name: Me, email: me@example.org}  # change: name and address; add the others

rotation:
  zone: UTC                  # change: where the shifts begin
  starts: 2026-01-05 09:00   # of the first shift
  every: 1 week
  people: [me]

policies:
  default:                   # also of alerts that no runbook wants
    rungs:
      - tell: oncall
    repeat: 30m              # the last rung, until somebody acknowledges
""",
    "runbooks/my-service-down.md": """\
---
runbook: my-service-down     # as the file is called
service: my-service          # of services.yaml
when:
  - alert: MyServiceDown     # change: the name of your alert, as Alertmanager sends it
mode: observe                # acts on nothing; `ask` asks a person before each change, `act` acts
playbook: restart-service
with:
  target: {systemd: my-service.service, host: localhost}  # change: as in services.yaml; "{instance}" is a label of the alert
  evidence: [journal]        # looked at before a change; log-tail too, once services.yaml names a log
  verify: {health: ok, stable: 1m, within: 5m}  # what proves that a change helped
guardrails: {budget: 3 per hour, cooldown: 10m}
---
# My service is down

**Meaning.** Change: what the alert says, and of what.

**Impact.** Change: who notices, and what they cannot do.

## Diagnosis

1. Change: what to look at first.

## Mitigation

1. Change: what to do by hand where Paramedic could not.
""",
}

_PRIVATE = "paramedic.toml"

_NEXT = (
    "change what is marked `change` in its files, then in it:",
    "  paramedic runbook lint   says what is wrong, and where",
    "  paramedic doctor         says what is missing",
    "  paramedic up             starts everything; nobody is told before smtp_url is set, and nothing acts in `observe`",
)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="The folder to make, outside the checkout.", metavar="FOLDER")],
    as_json: AsJson = False,
) -> None:
    """Make a folder of your own, with settings, services, who is on call and one runbook that only observes."""
    files = {folder / name: text for name, text in FILES.items()}
    if there := [path for path in files if os.path.lexists(path)]:
        raise Negative(f"{visible(str(there[0]))} exists already; nothing was written")
    with ExitStack() as undo:  # all of it or nothing: a second try must not meet the first one's half
        try:
            for path, text in files.items():
                _make(path.parent, undo)
                _write(path, text, undo)
        except OSError as error:
            where = visible(str(error.filename or folder))
            raise BadDataFolder(f"{where} cannot be made: {error.strerror or error}; nothing was written") from error
        undo.pop_all()
    if as_json:
        say_json({"folder": str(folder.absolute()), "files": [str(path.absolute()) for path in files]})
        return
    for path in files:
        typer.echo(visible(str(path)))
    typer.echo("\n".join(_NEXT))


def _make(folder: Path, undo: ExitStack) -> None:
    for path in (*reversed(folder.parents), folder):
        if not path.is_dir():
            path.mkdir(mode=0o755)
            undo.callback(path.rmdir)


def _write(path: Path, text: str, undo: ExitStack) -> None:
    """Make the file: others may not write it, whatever the umask says, or it would not be read."""
    mode = 0o600 if path.name == _PRIVATE else 0o644
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    undo.callback(path.unlink)
    with os.fdopen(number, "w", encoding="utf-8") as out:
        out.write(text)


init_command = command_of(app)
