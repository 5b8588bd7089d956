"""`paramedic alert show`: one received alert, as it was read and decided on, and the body that it came in."""

from typing import Annotated, Any

import typer

from paramedic.cli.opened import opened
from paramedic.cli.output import AsJson, Data, Negative, console, safe, say_json
from paramedic.machine.clock import iso
from paramedic.store import Tx, inbox, raw_bodies
from paramedic.store.raw_bodies import MOST, NOT_KEPT, RawBody
from paramedic.text.sanitize import visible

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def show(
    alert: Annotated[str, typer.Argument(help="Its position in `paramedic alert list`, or its receipt.", metavar="ID")],
    *,
    raw: Annotated[bool, typer.Option("--raw", help="The body that it came in, redacted, and nothing else.")] = False,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """One received alert: what was read, what was decided and why; with --raw the body as its sender posted it."""
    _, store = opened(data)
    with store.read() as tx:
        row = inbox.one(tx, alert)
        if row is None:
            raise Negative(f"there is no alert {alert!r:.80}; `paramedic alert list` has positions, a 202 the receipts")
        kept, why_not = _raw(tx, row)
    if as_json:
        fields = None if kept is None else {"headers": dict(kept.headers), "size": kept.size, "body": kept.body}
        say_json(row | {"raw": fields, "raw_not_kept": why_not or None})
    elif not raw:
        _say(row, kept, why_not)
    elif kept is None:
        raise Negative(why_not)
    else:
        console.print(visible(kept.body), markup=False, highlight=False, soft_wrap=True)


def _raw(tx: Tx, row: dict[str, Any]) -> tuple[RawBody | None, str]:
    """The body, or why there is none."""
    if row["raw"] is None:
        return None, "it came in no body: a check of Paramedic's raised it, or an older version received it"
    if row["raw"] == NOT_KEPT:
        return None, "its body was not kept: too much came at once (docs/keeping.md)"
    kept = raw_bodies.get(tx, row["raw"])
    return kept, "" if kept else f"its body is no longer kept: it is older than keep_inbox, or {MOST} came since"


def _say(row: dict[str, Any], kept: RawBody | None, why_not: str) -> None:
    alert = row["alert"]
    incident = f"INC-{row['incident']}" if row["incident"] else "none"
    until = f", looked at again at {iso(row['look_again_at'])[:19]}" if row["look_again_at"] else ""
    facts = [
        ("alert", f"{alert['name']} ({alert['severity']}, {alert['status']}), {alert['fingerprint']}"),
        (
            "received",
            f"{iso(row['received_at'])[:19]} from {row['sender']} ({row['source']}), receipt {row['receipt']}",
        ),
        ("decided", f"{row['verdict'] or row['state']}: {row['reason'] or 'not yet'}{until}"),
        ("incident", incident),
        *((f"label {name}", str(value)) for name, value in sorted(alert["labels"].items())),
        *((f"annotation {name}", str(value)) for name, value in sorted(alert["annotations"].items())),
        *(("note", str(note)) for note in alert.get("notes") or ()),
    ]
    for name, value in facts:
        console.print(f"{safe(name)}: {safe(value)}", soft_wrap=True)
    if kept is None:
        console.print(why_not)
    else:
        cut = f", cut to {len(kept.body)} characters" if len(kept.body) < kept.size else ""
        console.print(f"its body of {kept.size} bytes{cut}: paramedic alert show {row['position']} --raw")
