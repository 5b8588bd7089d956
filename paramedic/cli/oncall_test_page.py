"""`paramedic oncall test`."""

import typer

from paramedic.cli.oncall import person_named
from paramedic.cli.opened import opened
from paramedic.cli.output import AsJson, By, Data, Negative, console, safe, say_json
from paramedic.oncall.oncall_reload import OncallFile
from paramedic.paging import Pager

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("test")
def send_test(person: str, by: By, data: Data = None, as_json: AsJson = False) -> None:
    """Send a test page by every contact method; exit code 1 if none was sent."""
    settings, store = opened(data)
    file = OncallFile(settings)
    pager = Pager(store, settings, file)
    answers = []
    for way, complaint in pager.test(person_named(person, file.oncall), by):
        answers.append({"way": str(way), "left": complaint is None, "answer": complaint})
        if not as_json:
            console.print(f"{safe(way)}: {'it left' if complaint is None else safe(complaint)}")
    if as_json:
        say_json(answers)
    if not any(answer["left"] for answer in answers):
        raise Negative(f"no page to {person} left" if answers else f"{person} has no way to be told")
