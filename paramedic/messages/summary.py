"""What is known about an incident, and the answers to what whoever is on call asks first. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from paramedic.alerts.alert import Severity, Status
from paramedic.audit.chain import Entry
from paramedic.incidents.incident import Incident, State
from paramedic.incidents.tier import Tier
from paramedic.machine.clock import spoken
from paramedic.messages.words import short
from paramedic.remediation.approval import Approval
from paramedic.remediation.deployment import Preceding
from paramedic.remediation.figures import Figure
from paramedic.remediation.kill_switch import Pause
from paramedic.remediation.maintenance import Window
from paramedic.remediation.proposal import Proposal
from paramedic.text.local_time import LocalTime, ago
from paramedic.text.markdown import part_of

#: Entries whose reason says what the last look at the target found.
_FINDINGS = ("verification.failed", "verification.blind")

#: Entries whose reason says whether a cure has held.
_CURE = "cure."

#: How often in a row the same incident is listed as an earlier one.
PAST_LIMIT = 3

#: So many deployments before an incident are shown.
DEPLOYED_LIMIT = 5


@dataclass(frozen=True, slots=True)
class Condition:
    """The state of an incident's alerts at the moment when a message about it is composed."""

    firing: int = 0  # how many of them fire
    of: int = 0
    said_at: datetime | None = None  # when one that fires was last said
    ended_at: datetime | None = None  # when the last of them ended, if none fires

    def words(self, times: LocalTime, now: datetime) -> str:
        """The condition as a sentence; empty without alerts."""
        if self.ended_at is not None:
            which = "its alert has" if self.of == 1 else f"all {self.of} alerts have"
            return f"{which} ended, at {times.day_and_clock(self.ended_at, near=now)}, by its sender's word"
        if self.said_at is not None:
            which = "its alert fires" if self.of == 1 else f"{self.firing} of {self.of} alerts fire"
            return f"{which}, last said at {times.day_and_clock(self.said_at, near=now)}"
        return ""


@dataclass(frozen=True, slots=True)
class Change:
    """A change to the target that was begun: its remedy, and what came of it (`result` None: not known)."""

    remedy: str  # its name on the trail
    target: str
    incident: str  # `INC-42`
    begun_at: datetime
    result: str | None = None
    why: str = ""
    figures: Sequence[Figure] = ()  # what was measured before it and after it

    @property
    def words(self) -> str:
        """What was done, in the past tense, and what came of it."""
        done = _PAST.get(self.remedy, f"did {short(self.remedy)} on")
        if self.remedy.startswith("run: "):
            done = f"ran {short(self.remedy.removeprefix('run: '))} on"
        return f"{done} {short(self.target)}: {self._outcome}"

    @property
    def _outcome(self) -> str:
        match self.result:
            case None:
                return "nobody knows whether it happened"
            case "done":
                return "done"
            case "cured":
                return "done, and it helped"
            case "not_sent":
                return f"not done: {short(self.why)}"
            case "failed":
                return f"failed: {short(self.why)}"
            case _:
                return f"its outcome was not seen; {short(self.why)}"


_PAST = {"restart": "restarted", "reload": "reloaded", "roll_back": "rolled back", "undo": "undid the last change of"}

#: Results that say that the target was, or may have been, touched.
_TOUCHED = (None, "done", "cured", "failed", "unknown", "decided")


@dataclass(frozen=True, slots=True)
class Told:
    """A person who was told, and when."""

    person: str
    at: datetime


@dataclass(frozen=True, slots=True)
class NextPage:
    """Who is paged next, and when, if nobody takes the incident before."""

    person: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything that a page, `incident show` and the run's page in Prefect say about an incident, as one moment had it."""

    incident: Incident
    now: datetime
    runbook: str = ""  # the text of its runbook, in the version that it was opened with; empty without one
    mitigation: str = ""  # the checklist of its runbook, and of others that match its alerts
    condition: Condition = field(default_factory=Condition)
    alerts: Sequence[Mapping[str, Any]] = ()  # as the store has them, with labels and annotations
    affected: Sequence[Mapping[str, Any]] = ()  # alerts of services that depend on its service, which wait for it
    changes: Sequence[Change] = ()  # of this incident
    open_changes: Sequence[Change] = ()  # on its target, of any incident, whose outcome is not known
    proposals: Sequence[Proposal] = ()  # what its runbook would have done, while it observes
    timeline: Sequence[Entry] = ()
    notes: Mapping[int, str] = field(default_factory=dict)  # what people noted, by the number of the entry
    evidence: Sequence[Mapping[str, Any]] = ()
    acting: str | None = None  # what holds the claim on its target for it
    question: Approval | None = None  # that waits for a person's answer
    paused: Sequence[Pause] = ()  # pauses that stop changes to it
    window: Window | None = None  # the maintenance window that it is in
    told: Sequence[Told] = ()
    next_page: NextPage | None = None
    past: Sequence[Incident] = ()  # earlier ones of the same fault, the newest first, at most PAST_LIMIT
    run_url: str = ""  # its last run in the Prefect UI
    preceding: Preceding | None = None  # what was deployed before it began; None: nothing is known of deployments

    # --- what is broken -------------------------------------------------------------------------------------------

    @property
    def alert(self) -> Mapping[str, Any] | None:
        """The alert that says most: the worst that fires, the newest of them; without one that fires, the last that did."""
        return max(self.alerts, key=_weight, default=None)

    @property
    def alert_words(self) -> list[str]:
        """What is broken in the alert's own words: its summary, else its message or the beginning of its description."""
        said = [self.annotation(name) for name in ("summary", "message", "title", "description")]
        return [short(words) for words in said if words][:1]

    def annotation(self, name: str) -> str:
        """The alert's annotation of this name; empty without it."""
        return "" if self.alert is None else str(self.alert["annotations"].get(name, ""))

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels of the alert that says most."""
        return {} if self.alert is None else self.alert["labels"]

    @property
    def service_words(self) -> str:
        """Its service, how much customers depend on it and whose it is; empty where services.yaml says neither."""
        tier = "" if self.incident.tier is Tier.STANDARD else f"a {self.incident.tier} service"
        owner = self._when_opened("owner")
        said = [words for words in (tier, f"of {owner}" if owner else "") if words]
        return ", ".join([short(self.incident.service), *said]) if said else ""

    @property
    def customers(self) -> str:
        """What customers notice while its service is down, as services.yaml said when it was opened; else empty."""
        return self._when_opened("customers")

    @property
    def affects(self) -> list[str]:
        """Which services, that depend on its own, have alerts that wait for it: one line each, with the worst that fires."""
        by_service: dict[str, list[Mapping[str, Any]]] = {}
        for alert in self.affected:
            if alert["status"] == Status.FIRING:
                by_service.setdefault(alert["affects"], []).append(alert)
        return [
            f"{short(service)}: {short(max(alerts, key=_weight)['name'])} ({max(alerts, key=_weight)['severity']})"
            + (f", and {len(alerts) - 1} more" if len(alerts) > 1 else "")
            for service, alerts in sorted(by_service.items())
        ]

    def _when_opened(self, fact: str) -> str:
        opened = [entry for entry in self.timeline if entry.what == "incident.opened"]
        return short(str(opened[0].data.get(fact, ""))) if opened else ""

    def part(self, heading: str) -> str:
        """A part of its runbook: `Meaning`, `Impact`; empty without it."""
        return part_of(self.runbook, heading)

    # --- what was found and done ------------------------------------------------------------------------------------

    @property
    def finding(self) -> tuple[str, datetime] | None:
        """What the last look at the target found, and when; None if no look told anything after a change."""
        for entry in reversed(self.timeline):
            if entry.what in _FINDINGS:
                seen = str(entry.data.get("seen") or entry.reason)
                return short(seen), datetime.fromisoformat(entry.at)
        return None

    @property
    def touched(self) -> list[Change]:
        """The changes that touched the target, or may have."""
        return [change for change in self.changes if change.result in _TOUCHED]

    @property
    def refusal(self) -> str:
        """The last refusal of a guardrail; empty if there was none."""
        refused = [entry for entry in self.timeline if entry.what.endswith(".refused")]
        return short(refused[-1].reason) if refused else ""

    @property
    def deployed_before(self) -> list[str]:
        """What was deployed just before it began, the newest first, with how long before; and what of that is not known."""
        if self.preceding is None:
            return []
        lines = [
            short(f"{self.preceding.before(one)}: {one.words(service=self.incident.service)}")
            for one in self.preceding.found[:DEPLOYED_LIMIT]
        ]
        if (more := len(self.preceding.found) - len(lines)) > 0:
            lines.append(f"and {more} more: `paramedic deployment list`")
        if not lines and (last := self.preceding.last) is not None:
            what, earlier = short(last.words(service=self.incident.service)), ago(self.preceding.began - last.at)
            lines.append(
                f"nothing in the {spoken(self.preceding.within)} before it; the last was {what}, {earlier} before"
            )
        return [*lines, *([f"not seen: {short(self.preceding.unseen)}"] if self.preceding.unseen else [])]

    @property
    def is_over(self) -> bool:
        """Whether none of its alerts fires any more."""
        return self.condition.ended_at is not None

    # --- answers ----------------------------------------------------------------------------------------------------

    def since(self, times: LocalTime) -> str:
        """Since when, and since when again if it was reopened."""
        incident = self.incident
        begun = incident.reopened_at or incident.opened_at
        words = f"{times.moment(begun)} ({ago(self.now - begun)} ago)"
        if incident.reopened_at is not None:
            words = f"{words}, again; first {times.day_and_clock(incident.opened_at, near=self.now)}"
        return words

    def did(self, times: LocalTime) -> list[str]:
        """What Paramedic did, by name, one line each; what it found after it; and why it did nothing else."""
        lines = []
        for change in self.changes:
            lines.append(f"{times.day_and_clock(change.begun_at, near=self.now)}  {change.words}")
            lines += [f"  measured: {figure.words}" for figure in change.figures if figure.after is not None]
        for proposal in self.proposals:
            saw = short(f"{proposal.words}, for it saw: {proposal.why}")
            lines.append(f"{times.day_and_clock(proposal.made_at, near=self.now)}  {saw}")
            if proposal.judged_at is not None:
                lines.append(f"{times.day_and_clock(proposal.judged_at, near=self.now)}  {short(proposal.judged)}")
        if self.finding is not None:
            found, at = self.finding
            lines.append(f"{times.day_and_clock(at, near=self.now)}  still not well: {found}")
        for entry in self.timeline:
            if entry.what.startswith(_CURE):
                at = datetime.fromisoformat(entry.at)
                lines.append(f"{times.day_and_clock(at, near=self.now)}  {short(entry.reason)}")
        if not lines and not self.refusal:
            lines.append("nothing: no runbook wants it" if self.incident.runbook is None else "nothing was changed")
        if self.refusal and self.incident.state is not State.RESOLVED:
            lines.append(f"refused: {self.refusal}")
        return lines

    @property
    def acts_now(self) -> str:
        """Whether anything acts on it at this moment."""
        if self.acting is not None:
            return f"{short(self.acting)} works on it"
        if self.open_changes:
            return f"nobody knows: {self.open_changes[0].words}"
        if self.question is not None:
            words = short(f"the {self.question.with_touches} of {self.question.target}")
            return f"nothing: it waits for a person's word, whether to do {words}"
        if self.incident.state in (State.OPEN, State.WORKING):
            return f"attempt {self.incident.attempt} is about to"
        return "nothing, and Paramedic changes nothing more"

    def owner(self, times: LocalTime) -> str:
        """Whose it is, and since when."""
        incident = self.incident
        if incident.state is State.RESOLVED:
            return "nobody's: it is over"
        if incident.acknowledged_by is not None and incident.acknowledged_at is not None:
            since = times.day_and_clock(incident.acknowledged_at, near=self.now)
            held = ago(self.now - incident.acknowledged_at)
            words = f"{short(incident.acknowledged_by)}'s since {since}, for {held}"
            return words if incident.state is State.ACKNOWLEDGED else f"nobody's any more; it was {words}"
        if incident.state is State.HANDED_OVER:
            return "nobody's yet: whoever takes it first"
        return "Paramedic's"

    def knows(self, times: LocalTime) -> str:
        """Who has been told."""
        latest = {told.person: told for told in self.told}
        words = [f"{short(told.person)} ({times.day_and_clock(told.at, near=self.now)})" for told in latest.values()]
        return ", ".join(words) or "nobody yet"

    def next(self, times: LocalTime) -> str:
        """Who is paged next, and when."""
        if self.next_page is None:
            return "nobody"
        return f"{short(self.next_page.person)}, at {times.day_and_clock(self.next_page.at, near=self.now)}"

    @property
    def last_time(self) -> list[str]:
        """How the same fault ended before, the newest first."""
        lines = []
        for past in self.past:
            who = f", {short(past.acknowledged_by)} had it" if past.acknowledged_by else ""
            when = ago(self.now - past.opened_at)
            lines.append(f"{past.id}, {when} ago: {ending(past)}{who}. {short(past.because or '')}".rstrip(" ."))
        return lines


def ending(incident: Incident) -> str:
    """How it ended, or was handed over, in words."""
    return short(incident.outcome) or "handed over"


def _weight(alert: Mapping[str, Any]) -> tuple[bool, bool, datetime]:
    return alert["status"] == Status.FIRING, alert["severity"] == Severity.CRITICAL, alert["last_seen"]


def labels_of(labels: Mapping[str, str]) -> Iterator[str]:
    """The labels as `name=value`, by name."""
    return (f"{short(name)}={short(str(value))}" for name, value in sorted(labels.items()))
