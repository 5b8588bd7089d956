"""`paramedic runbook record`: what a runbook would have done and whether that was right; what it did and whether it held."""

from typing import Annotated, Any

import typer

from paramedic.cli.opened import opened
from paramedic.cli.output import AsJson, Data, Limit, Negative, console, safe, say_json
from paramedic.incidents.incident import name as incident_name
from paramedic.machine.clock import iso
from paramedic.remediation import cure_record
from paramedic.remediation.proposal import Proposal
from paramedic.remediation.record import lines, sum_up
from paramedic.store import acts, cure_looks, incidents, proposals

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def record(
    name: Annotated[str, typer.Argument(help="A runbook, of now or of before.")],
    limit: Limit = 20,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """What it would have done while it observed, and would it have been right? What it did, and did that help, and hold?

    The newest proposals are listed one by one, `--limit` of them; all of them are counted. Its remedies are counted for each
    target, with what was seen 1 h and 24 h after a cure.
    """
    _, store = opened(data)
    with store.read() as tx:
        made = proposals.of_runbook(tx, name)
        remedies = cure_record.sum_up(acts.of_runbook(tx, name), cure_looks.of_runbook(tx, name))
        if not made and name not in (known := incidents.runbooks(tx)):
            there = ", ".join(sorted(known)) or "none"
            raise Negative(f"runbook {name!r} never had an incident here; these had: {there}")
    summary, newest = sum_up(made), made[::-1][:limit]
    if as_json:
        acted = {"remedies": [remedy.as_json() for remedy in remedies]}
        say_json({"name": name, **summary.as_json(), "newest": [_as_json(proposal) for proposal in newest], **acted})
        return
    for line in [*lines(name, summary), *cure_record.lines(remedies)]:
        console.print(safe(line))
    for proposal in newest:
        what = f"{iso(proposal.made_at)[:16]}Z {incident_name(proposal.incident)} {proposal.words}"
        console.print(safe(f"{what}; {proposal.judged or 'not judged yet'}"))


def _as_json(proposal: Proposal) -> dict[str, Any]:
    return {
        "incident": incident_name(proposal.incident),
        "attempt": proposal.attempt,
        "target": proposal.target,
        "remedy": proposal.remedy,
        "why": proposal.why,
        "refused_by": proposal.refused_by,
        "refusal": proposal.refusal,
        "made_at": iso(proposal.made_at),
        "verdict": proposal.verdict,
        "verdict_why": proposal.verdict_why,
        "judged_at": None if proposal.judged_at is None else iso(proposal.judged_at),
        "words": proposal.words,
        "judged": proposal.judged,
    }
