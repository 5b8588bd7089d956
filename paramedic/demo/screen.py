"""What the demo shows: each incident's timeline, one mail, and how to look around."""

import textwrap
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from paramedic.demo.story import Scenario
from paramedic.demo.world import Mailbox, text_of
from paramedic.messages import timeline
from paramedic.store import Store, trail
from paramedic.text.local_time import LocalTime
from paramedic.text.sanitize import visible

_STEPS_LIMIT = 100


def line(console: Console, text: str, *, indent: int) -> None:
    """Print one line, folded to the terminal's width, what follows indented."""
    width = min(console.width, 100)
    fold = textwrap.TextWrapper(width, subsequent_indent=" " * indent)
    fold.break_on_hyphens = fold.break_long_words = False  # an address is copied as it stands
    for folded in fold.wrap(visible(text)) or [""]:
        console.print(escape(folded), soft_wrap=True)


def show_timeline(console: Console, store: Store, scenario: Scenario) -> None:
    """What happened in this story, as people are told it."""
    with store.read() as tx:
        entries, now = list(trail.entries(tx, incident=scenario.number)), tx.now
    for step in timeline.lines(entries, LocalTime(""), near=now, notes={}, limit=_STEPS_LIMIT):
        line(console, f"  {step}", indent=12)


def show_mail(console: Console, mailbox: Mailbox, incident: str) -> None:
    """The first screen of the page that the first person got."""
    mails = mailbox.about(incident)
    if not mails:
        return
    console.rule("the mail that ada got")
    line(console, f"Subject: {mails[0]['Subject']}", indent=9)
    console.print()
    for written in text_of(mails[0]).partition("\nLinks:\n")[0].partition("\nTimeline:\n")[0].splitlines():
        line(console, written, indent=len(written) - len(written.lstrip()) + 4)


def show_around(console: Console, scenarios: list[Scenario], *, kept: Path | None, ui: str) -> None:
    """How to look at what has happened; `kept` is the data folder where everything stays up, `ui` its Prefect UI."""
    console.rule("look around")
    if kept is None:
        line(console, "`paramedic demo --keep` leaves all of it up, to look at in the Prefect UI.", indent=2)
        line(console, "For a service of your own, see README.md, `Your own service, in ten minutes`.", indent=2)
        return
    line(console, "Everything stays up; Ctrl-C ends it. In another terminal:", indent=2)
    for command in ("incident list", f"incident show {scenarios[-1].incident}", "ui"):
        console.print(f"  paramedic {command} --data {kept}", soft_wrap=True, markup=False)
    line(console, "The last one prints the address that logs you in; then these runs:", indent=2)
    for scenario in scenarios:
        for run_id in scenario.flow_runs:
            console.print(f"  {scenario.incident}  {ui}/runs/flow-run/{run_id}", soft_wrap=True, markup=False)
