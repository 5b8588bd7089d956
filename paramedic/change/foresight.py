"""What would stop the next change of an incident, judged as things are now: advice for a person, and no promise."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from paramedic.catalog import runbook_file
from paramedic.catalog.library import open_library
from paramedic.catalog.touched import touched_by
from paramedic.change.limits import current_limits
from paramedic.incidents.incident import Incident
from paramedic.remediation.guardrail_rules import APPROVAL, Guardrails
from paramedic.remediation.target import Target
from paramedic.remediation.touched import Touched
from paramedic.settings import Settings
from paramedic.store import Store, Tx, intents, runbook_versions
from paramedic.text.yaml_document import BadDocument


@dataclass(frozen=True, slots=True)
class Rung:
    """A remedy of the incident's ladder, and what it is judged by: its runbook as it was, and as it is now."""

    remedy: str
    pinned: Guardrails
    current: Guardrails
    on_trail: str = ""  # the remedy's name there
    touched: tuple[Touched, ...] = ()  # the services that a change of the target touches


@dataclass(frozen=True, slots=True)
class Foreseen:
    """A guardrail that would refuse these remedies now. `approval` refuses nothing: a person is asked first."""

    remedies: tuple[str, ...]
    guardrail: str
    reason: str
    by_hand: str

    @property
    def words(self) -> str:
        """For whoever asked for the change."""
        what = " and ".join(self.remedies)
        if self.guardrail == APPROVAL:
            return f"before {what} a person is asked"
        return f"as things are now, the guardrail {self.guardrail} would refuse {what}: {self.reason}"


def ladder(store: Store, settings: Settings, incident: Incident) -> list[Rung]:
    """The ladder of the incident's runbook with its limits; empty without a runbook that can be read.

    Reads files, so never inside a transaction. Raises StoreUnavailable.
    """
    try:
        with store.read() as tx:
            text = runbook_versions.runbook_text(tx, incident.runbook_version or "")
        own = runbook_file.parse(text, f"{incident.runbook}.md")
    except BadDocument:
        return []
    target, touched = _target(settings, incident)
    rungs = []
    for remedy in own.remedies:
        if isinstance(target, Target):
            current, _ = current_limits(settings, store, incident, own, target, remedy)
        else:
            current = Guardrails.nothing(target)
        pinned = replace(own.guardrails.of(remedy), site=current.site)
        rungs.append(Rung(remedy.name, pinned, current, remedy.on_trail, touched))
    return rungs


def foreseen(tx: Tx, incident: Incident, rungs: Sequence[Rung]) -> list[Foreseen]:
    """Which guardrails would refuse which remedies now, by the rules that judge the change itself.

    Empty: none is known. What only the run itself will see (the target's state, its claim, a release's mark) is not judged.
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    for rung in rungs:
        for limits in (rung.pinned, rung.current):
            refusal = intents.foreseen(
                tx,
                service=incident.service,
                target=incident.target,
                runbook=incident.runbook or "",
                severity=incident.severity,
                remedy=rung.on_trail,
                limits=limits,
                touched=rung.touched,
                incident=incident.id,
            )
            if refusal is not None:
                found.setdefault((refusal.guardrail, refusal.reason, refusal.by_hand), []).append(rung.remedy)
                break
    return [Foreseen(tuple(remedies), *refusal) for refusal, remedies in found.items()]


def _target(settings: Settings, incident: Incident) -> tuple[Target | str, tuple[Touched, ...]]:
    """The incident's target as services.yaml lists it now, with the services that a change of it touches; or why it does not."""
    try:
        library = open_library(settings)
    except BadDocument as error:
        return f"nothing acts until this is mended: {error.problems[0]}", ()
    listed = library.services.by_id(incident.target)
    if listed is None:
        return f"services.yaml no longer lists {incident.target}", ()
    return listed, touched_by(listed, library)
