"""What lint says beyond the library's problems: it can be used, and some of it would come to nothing."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from paramedic.catalog import agreement, runbook_file
from paramedic.catalog.library import Library
from paramedic.machine.clock import spoken
from paramedic.text import markdown
from paramedic.text.last_usable import text_of
from paramedic.text.nearest import several
from paramedic.text.yaml_document import BadDocument, Problem, place


def advice(library: Library, folder: Path, *, act_deadline: timedelta) -> Iterator[Problem]:
    """What comes to nothing: what is asked of targets without it, headings without text, time that no command is given."""
    for runbook in library.runbooks.values():
        file = str(folder / f"{runbook.name}.md")
        for key, lacking, allowed in agreement.lacks(runbook, agreement.meant_by(runbook, library.services)):
            if lacking:
                names = several(target.id for target in lacking)
                what = f"{key}: services.yaml names no {allowed.partition(':')[0]} for {names}"
                at = runbook_file.place_of(runbook.text, *agreement.parts(key))
                yield Problem(file, *at, what, f"services.yaml: {allowed}")
        for part in markdown.parts(runbook.text):
            if part.is_empty:
                what = f"there is nothing under {part.heading}"
                yield Problem(file, part.line, 1, what, "a person on call looks for all four")
    yield from _ended_sooner(library, folder / "services.yaml", act_deadline)


def _ended_sooner(library: Library, file: Path, act_deadline: timedelta) -> Iterator[Problem]:
    """Commands with more time than a change has."""
    try:
        text = text_of(file)
    except BadDocument:
        return
    seen: dict[str, int] = {}
    for target in library.services:
        number = seen[target.service] = seen.get(target.service, -1) + 1
        for command in target.commands.values():
            if command.timeout > act_deadline:
                at = ("services", target.service, "targets", number, "commands", command.name, "timeout")
                limit = f"a change ends after {spoken(act_deadline)} (PARAMEDIC_ACT_DEADLINE), and the command with it"
                yield Problem(
                    str(file),
                    *place(text, at),
                    f"{'.'.join(map(str, at))}: {spoken(command.timeout)} are never given: {limit}",
                    f"write {spoken(act_deadline)} or less, or raise PARAMEDIC_ACT_DEADLINE",
                )
