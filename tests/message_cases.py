"""One incident at each moment at which people are told, and the message of each: what the golden texts are made of."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from incident_states import RUNBOOK

from paramedic.alerts.alert import Severity, Status
from paramedic.audit.chain import Entry
from paramedic.incidents.incident import Incident, State
from paramedic.incidents.outcome import Ending
from paramedic.incidents.tier import Tier
from paramedic.kinds.message import Message
from paramedic.kinds.process_target import process_identity
from paramedic.messages import compose, digest, page
from paramedic.messages.summary import Change, Condition, NextPage, Summary, Told
from paramedic.oncall.rotation import Person
from paramedic.remediation.approval import Answer, Approval
from paramedic.remediation.deployment import Deployment, Preceding
from paramedic.remediation.kill_switch import Pause
from paramedic.remediation.observed_paging import Paging
from paramedic.remediation.proposal import Proposal, Verdict

NOW = datetime(2026, 1, 31, 9, 35, tzinfo=UTC)
ADA = Person("ada", "Ada", (), "Europe/Berlin")
BEN = Person("ben", "Ben", ())
LINK = "http://127.0.0.1:8650/ack/WyJzdG9yZSIsNyx-sk-abcdefghijklmnopqrstuvwxyz"
LASTS = timedelta(hours=4)
SEEN = "answered 503"

INCIDENT = Incident(
    store="00000000-0000-0000-0000-000000000000",
    number=7,
    service="tracking-api",
    target="web-1/tracking-api",
    title="TrackingApiMemory",
    severity=Severity.CRITICAL,
    state=State.HANDED_OVER,
    attempt=1,
    policy="default",
    opened_at=datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
    runbook="tracking-api-memory",
    runbook_version="v1",
    ending=Ending.HANDED_OVER,
    because="restarted, still failing",
)

ALERT = {
    "name": "TrackingApiMemory",
    "severity": Severity.CRITICAL,
    "status": Status.FIRING,
    "count": 3,
    "starts_at": datetime(2026, 1, 31, 9, 29, tzinfo=UTC),
    "last_seen": datetime(2026, 1, 31, 9, 34, tzinfo=UTC),
    "ends_at": None,
    "labels": {"alertname": "TrackingApiMemory", "instance": "web-1", "job": "tracking-api", "severity": "critical"},
    "annotations": {
        "summary": "tracking-api on web-1 holds more than 120 MB",
        "description": "Resident memory has grown for ten minutes.\nOrders are not shown.",
        "runbook_url": "https://wiki.example.org/tracking-api",
    },
}


def happened(subject: str) -> str:
    """What a subject says last, before the incident's number."""
    return re.sub(r" \(INC-\d+\)$", "", subject).rpartition(": ")[2].rpartition(", ")[2]


def entry(what: str, reason: str, at: str = "09:30:01", **given: Any) -> Entry:
    values = {"actor": "triage", "phase": "decision", "data": {}, "seq": 1} | given
    moment = f"2026-01-31T{at}.000000Z"
    return Entry(
        values["seq"],
        moment,
        values["actor"],
        values["phase"],
        what,
        "INC-7",
        None,
        reason,
        values["data"],
        None,
        "",
        "",
    )


RESTART = Change(
    "restart", "web-1/tracking-api", "INC-7", datetime(2026, 1, 31, 9, 30, 5, tzinfo=UTC), "done", "it answered"
)

TIMELINE = (
    entry("incident.opened", "runbook tracking-api-memory wants it", data={"owner": "delivery"}),
    entry("attempt.raised", "runbook tracking-api-memory wants it"),
    entry("claim.taken", "nobody else has it", "09:30:02"),
    entry("restart", "every guardrail agrees", "09:30:05", phase="intent"),
    entry("restart.done", "web-1/tracking-api answered", "09:30:06", phase="outcome"),
    entry("verification.failed", f"not well for 3s on end: {SEEN}", "09:30:30", phase="outcome", data={"seen": SEEN}),
    entry("incident.handed_over", "restarted, still failing", "09:30:31", phase="outcome"),
)

_MODE = "the runbook's mode is observe, and nothing was done"

OBSERVED = Proposal(
    id=1,
    incident=7,
    attempt=1,
    rung=1,
    target="web-1/tracking-api",
    runbook="tracking-api-memory",
    remedy="restart",
    why=SEEN,
    identity=process_identity(42, 1769846400.0, "running"),
    refused_by=None,
    refusal=None,
    paging=Paging.FIRST,
    made_at=datetime(2026, 1, 31, 9, 30, 5, tzinfo=UTC),
    judge_by=datetime(2026, 1, 31, 9, 37, 5, tzinfo=UTC),
)
RECOVERED = dataclasses.replace(
    OBSERVED,
    verdict=Verdict.RECOVERED,
    verdict_why="every condition held for 1m; its alert has ended",
    judged_at=datetime(2026, 1, 31, 9, 32, 35, tzinfo=UTC),
)
OBSERVED_TIMELINE = (
    TIMELINE[0],
    entry("proposal.made", f"{OBSERVED.words}: {SEEN}", "09:30:05"),
    entry("incident.observed", f"{OBSERVED.words}; {_MODE}", "09:30:05", phase="outcome"),
    entry("proposal.judged", RECOVERED.judged, "09:32:35", phase="outcome"),
)

HANDED_OVER = Summary(
    incident=INCIDENT,
    now=NOW,
    runbook=RUNBOOK,
    mitigation=compose.mitigation_of(RUNBOOK),
    condition=Condition(firing=1, of=1, said_at=ALERT["last_seen"]),  # type: ignore[arg-type]
    alerts=(ALERT,),
    changes=(RESTART,),
    timeline=TIMELINE,
    evidence=({"kind": "log-tail", "taken_at": NOW, "body": "\n".join(f"line {number}" for number in range(100))},),
    next_page=NextPage("ben", NOW + timedelta(minutes=10)),
    past=(
        dataclasses.replace(
            INCIDENT,
            number=3,
            state=State.RESOLVED,
            ending=Ending.REMEDIATED,
            because="the restart helped, verified",
            opened_at=NOW - timedelta(days=3),
        ),
    ),
    run_url="http://127.0.0.1:4200/runs/flow-run/1234",
)


def handed_over(incident: Incident = INCIDENT, **parts: Any) -> Summary:
    """The incident after a restart that did not help, with these parts replaced."""
    return dataclasses.replace(HANDED_OVER, incident=incident, **parts)


def paged(summary: Summary = HANDED_OVER, person: Person = ADA, link: str = LINK) -> Message:
    return page.page(summary, person=person, link=link, lasts=LASTS)


TOUCHES = "address 203.0.113.7, 2001:db8::7; for 1h"


def question(about: Approval, link: str = "http://127.0.0.1:8650/approve/abc") -> Message:
    """It waits for a person's word."""
    waiting = dataclasses.replace(INCIDENT, state=State.WORKING, ending=None, because=None)
    return compose.approval(handed_over(waiting, changes=()), about, person=ADA, link=link, code="ABCD-EFGH")


def asked(remedy: str = "restart", touches: str = "") -> Approval:
    return Approval(
        id=1,
        incident=7,
        attempt=1,
        rung=1,
        target="web-1/tracking-api",
        remedy=remedy,
        identity=process_identity(42, 1769846400.0, "running"),
        asked_at=NOW,
        expires_at=NOW + timedelta(minutes=15),
        state=Answer.ASKED,
        decided_by=None,
        decided_at=None,
        how=None,
        flow_run="run-1",
        resumed_at=None,
        wrong_codes=0,
        touches=touches,
    )


def over(ending: Ending = Ending.REMEDIATED, because: str = "the restart helped, verified", **changes: Any) -> Summary:
    ended = dataclasses.replace(INCIDENT, state=State.RESOLVED, ending=ending, because=because, ended_at=NOW, **changes)
    cured = dataclasses.replace(RESTART, result="cured")
    return dataclasses.replace(
        HANDED_OVER,
        incident=ended,
        changes=(cured,),
        condition=Condition(of=1, ended_at=datetime(2026, 1, 31, 9, 34, tzinfo=UTC)),
        timeline=(*TIMELINE[:5], entry("verification.well", "every condition held for 3s", "09:30:30")),
    )


def cases() -> Iterator[tuple[str, Callable[[], Message]]]:
    """Each message by its name."""
    yield from _pages()
    yield from _observed()
    yield from _after_the_page()
    yield from _about_paramedic()


def _pages() -> Iterator[tuple[str, Callable[[], Message]]]:
    unlisted = dataclasses.replace(
        INCIDENT, runbook=None, runbook_version=None, title="KubePodCrashLooping", because="no runbook wants it"
    )
    again = dataclasses.replace(INCIDENT, reopened_at=NOW - timedelta(minutes=2), attempt=2)
    late = dataclasses.replace(INCIDENT, acknowledged_by="ben", acknowledged_at=NOW - timedelta(hours=4))
    refused = dataclasses.replace(INCIDENT, ending=Ending.REFUSED, because="restart refused: acting is paused")
    paused = Pause("all", "ben", "a release is under way", NOW - timedelta(minutes=20))
    refusal = entry("restart.refused", "acting is paused, by ben: a release is under way", "09:30:05")
    open_change = dataclasses.replace(RESTART, result=None)

    yield "page", paged
    yield (
        "page-no-runbook",
        lambda: paged(
            handed_over(
                unlisted, runbook="", mitigation="", changes=(), timeline=TIMELINE[:1], past=(), evidence=(), run_url=""
            )
        ),
    )
    yield "page-alert-has-ended", lambda: paged(handed_over(condition=Condition(of=1, ended_at=NOW)))
    yield "page-again", lambda: paged(handed_over(again))
    yield (
        "page-not-taken-for-long",
        lambda: paged(handed_over(late, told=(Told("ben", NOW - timedelta(hours=4)),), next_page=NextPage("ada", NOW))),
    )
    yield (
        "page-refused",
        lambda: paged(handed_over(refused, changes=(), timeline=(TIMELINE[0], refusal), paused=(paused,))),
    )
    core = entry(
        "incident.opened", "r", data={"owner": "delivery", "tier": "core", "customers": "Nobody sees an order."}
    )
    of_core = dataclasses.replace(INCIDENT, tier=Tier.CORE)
    yield "page-core-service", lambda: paged(handed_over(of_core, timeline=(core, *TIMELINE[1:])))
    yield "page-open-act", lambda: paged(handed_over(changes=(open_change,), open_changes=(open_change,)))
    deployed = Preceding(
        began=datetime(2026, 1, 31, 9, 29, tzinfo=UTC),
        within=timedelta(hours=1),
        found=[
            deployment("v7", 9, 22, by="ada", link="https://ci.example.org/7", environment="prod", told_by="ci"),
            deployment("2026-01-31", 8, 40, target="web-1/tracking-api"),
        ],
    )
    yield "page-deployed-before", lambda: paged(handed_over(preceding=deployed))
    nothing = dataclasses.replace(
        deployed, found=(), last=deployment("v6", 3, 0, told_by="ci"), unseen="web-1 does not answer"
    )
    yield "page-nothing-deployed-before", lambda: paged(handed_over(preceding=nothing))
    yield "page-bare", lambda: page.bare(7, person=ADA, link=LINK, lasts=LASTS, because="KeyError: 'x'", now=NOW)


def deployment(version: str, hour: int, minute: int, **fields: str) -> Deployment:
    at = datetime(2026, 1, 31, hour, minute, tzinfo=UTC)
    return Deployment(id=version, service="tracking-api", version=version, at=at, **fields)


def _observed() -> Iterator[tuple[str, Callable[[], Message]]]:
    observed = dataclasses.replace(
        INCIDENT, ending=Ending.OBSERVED, because=f"{OBSERVED.words}, for it saw: {SEEN}; {_MODE}"
    )
    watched = handed_over(observed, changes=(), timeline=OBSERVED_TIMELINE[:2], proposals=(OBSERVED,))
    yield "page-observed", lambda: paged(watched)
    yield (
        "channel-update-observed",
        lambda: compose.channel_update(watched, happened=OBSERVED.words, person=BEN),
    )
    yield (
        "resolution-observed",
        lambda: compose.resolution(
            dataclasses.replace(
                over(Ending.RECOVERED, f"{RECOVERED.judged}; Paramedic {OBSERVED.words}"),
                changes=(),
                timeline=OBSERVED_TIMELINE,
                proposals=(RECOVERED,),
            ),
            person=ADA,
        ),
    )


def _after_the_page() -> Iterator[tuple[str, Callable[[], Message]]]:
    mine = dataclasses.replace(
        INCIDENT, state=State.ACKNOWLEDGED, acknowledged_by="ada", acknowledged_at=NOW - timedelta(minutes=3)
    )
    yield "approval", lambda: question(asked())
    yield "approval-block-address", lambda: question(asked(remedy="block_address", touches=TOUCHES))
    yield (
        "update",
        lambda: compose.update(
            handed_over(mine), subject="TrackingApiErrors joined", body="TrackingApiErrors (critical)", person=ADA
        ),
    )
    yield "resolution", lambda: compose.resolution(over(), person=ADA)
    yield (
        "resolution-by-a-person",
        lambda: compose.resolution(
            over(
                Ending.HANDED_OVER,
                "gave it more memory",
                acknowledged_by="ada",
                acknowledged_at=NOW,
                resolved_by="ben",
            ),
            person=ADA,
        ),
    )
    yield "channel-update", lambda: compose.channel_update(HANDED_OVER, happened="handed over", person=BEN)


def _about_paramedic() -> Iterator[tuple[str, Callable[[], Message]]]:
    yield (
        "internal-alert",
        lambda: compose.internal_alert(
            "Prefect does not answer",
            "Prefect has not answered for 60 s.\nNothing is healed meanwhile.",
            now=NOW,
            person=ADA,
        ),
    )
    yield "test", lambda: compose.test(ADA, by="ben", now=NOW)
    yield (
        "digest",
        lambda: digest.digest(
            [
                digest.item(INCIDENT, kind="rung", subject="", now="its alert fires", link=LINK, code=""),
                digest.internal_alert("Prefect does not answer", "Prefect has not answered for 60 s."),
            ],
            person=ADA,
            now=NOW,
        ),
    )
