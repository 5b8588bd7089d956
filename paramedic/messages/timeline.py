"""An incident's timeline for people: what happened in words, without the steps of Paramedic's own machinery. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from paramedic.audit.chain import Entry
from paramedic.messages.words import short
from paramedic.text.local_time import LocalTime

#: Steps that every incident has, and that tell a reader nothing: they are on the trail.
_MACHINERY = {"attempt.began", "attempt.raised", "claim.taken", "run.created", "trail.sealed"}

#: A remedy that helped ends its incident in the same moment, whose entry says so.
_SAID_BY_ITS_END = ".cured"

_IN_WORDS = {
    "acknowledgement.ended": "nobody's any more",
    "approval.asked": "asked for an approval",
    "approval.denied": "denied",
    "approval.expired": "the question expired",
    "approval.granted": "approved",
    "attempt.began_again": "begun again after a stop",
    "cause.found": "a deployment is the cause",
    "cure.held": "looked again: it holds",
    "cure.lost": "looked again: it did not hold",
    "cure.replaced": "looked again: another release runs",
    "cure.undone": "looked again: somebody has undone it",
    "cure.unseen": "not seen again",
    "evidence.taken": "looked, and kept what was seen",
    "incident.acknowledged": "taken",
    "incident.handed_over": "handed over",
    "incident.note": "note",
    "incident.observed": "given to a person",
    "incident.opened": "opened",
    "incident.recovered": "well before anything was done",
    "incident.remediated": "well",
    "incident.reopened": "opened again",
    "incident.resolved": "resolved",
    "incident.retried": "tried again",
    "host.unreached": "its host was not reached",
    "incident.measured_again": "measured again",
    "incident.rose": "worse",
    "incident.taken_over": "taken over",
    "news.told": "told",
    "person.told": "paged",
    "person.unreachable": "could not be paged",
    "proposal.judged": "only observed",
    "proposal.made": "only observes",
    "undo.chosen": "stops, and undoes what made it worse",
    "update.told": "told",
    "verification.blind": "could not see whether it helped",
    "verification.failed": "looked: still not well",
    "verification.well": "looked: well",
}


def lines(
    entries: Sequence[Entry], times: LocalTime, *, near: datetime, notes: Mapping[int, str], limit: int
) -> Iterator[str]:
    """The newest `limit` of them, one line each, oldest first; `notes` are the texts of notes by their entry's number."""
    shown = [entry for entry in entries if entry.what not in _MACHINERY and not entry.what.endswith(_SAID_BY_ITS_END)]
    if len(shown) > limit:
        yield f"… {len(shown) - limit} earlier entries are in `paramedic incident show`"
    for entry in shown[-limit:]:
        at = times.day_and_clock(datetime.fromisoformat(entry.at), near=near)
        yield f"{at}  {_words(entry, notes)}"


def _words(entry: Entry, notes: Mapping[int, str]) -> str:
    what = _IN_WORDS.get(entry.what, entry.what)
    verb, _, came = entry.what.partition(".")
    is_change = bool(entry.data.keys() & {"act", "guardrail"})
    # The name of a command that was run is only in the data.
    remedy = str(entry.data.get("remedy", verb)) if is_change else verb
    if entry.phase == "intent":
        what = f"{remedy} begins".replace("_", " ")
    elif entry.what not in _IN_WORDS and came:
        what = f"{remedy} {came}".replace("_", " ")
    by = f" by {short(entry.actor.removeprefix('person:'))}" if entry.actor.startswith("person:") else ""
    reason = notes.get(entry.seq, entry.reason)
    return f"{short(what)}{by}: {short(reason)}"
