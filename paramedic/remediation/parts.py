"""The parts of a target that is changed: each service that has one there is asked, by its own `keep_healthy` and `at_once`."""

from dataclasses import dataclass, replace

from paramedic.remediation.guardrail import About, Busy, Case, Guardrail, No, taken_words
from paramedic.remediation.guardrail_judgements import spread, too_many
from paramedic.remediation.quorum import Healthy, enough, too_few
from paramedic.remediation.touched import ServiceLimits, Touched


@dataclass(frozen=True, slots=True)
class Counted:
    """How a service's other targets are, as what one of its runbooks asks counts them."""

    limits: ServiceLimits
    healthy: Healthy | None
    busy: Busy


@dataclass(frozen=True, slots=True)
class PartsOf:
    """A service that has parts of the changed target, and how its other targets are."""

    touched: Touched
    counted: tuple[Counted, ...] = ()


def _refused(case: Case, parts: tuple[PartsOf, ...], _asked: None) -> No | None:
    found = (_refused_by(replace(case, service=each.touched.service), each) for each in parts)
    return next((no for no in found if no is not None), None)


def _refused_by(case: Case, parts: PartsOf) -> No | None:
    if parts.touched.unknown is not None:
        return No(
            f"{taken_words(case, parts.touched.taken)}: what service {case.service} asks of a change there is not known: "
            f"{parts.touched.unknown}",
            f"mend that, or {case.by_hand}",
        )
    for counted in parts.counted:
        limits, no = counted.limits, None
        if limits.keep_healthy is not None:
            no = too_few(case, counted.healthy, limits.keep_healthy)
        if no is None and limits.at_once is not None:
            no = too_many(case, counted.busy, limits.at_once)
        if no is not None:
            return No(f"by runbook {limits.runbook} of service {case.service}: {no.reason}", no.by_hand)
    return None


def _agreed(case: Case, parts: tuple[PartsOf, ...], _asked: None) -> str:
    return "; ".join(_words(case, each) for each in parts) or "none"


def _words(case: Case, parts: PartsOf) -> str:
    said = []
    for counted in parts.counted:
        if counted.limits.keep_healthy is not None:
            said.append(enough(case, counted.healthy, counted.limits.keep_healthy))
        if counted.limits.at_once is not None:
            said.append(spread(case, counted.busy, counted.limits.at_once))
    return f"{len(parts.touched.taken)} of service {parts.touched.service}, {', '.join(said) or 'which asks nothing'}"


PARTS_RULE = Guardrail(
    "parts",
    _refused,
    About(
        "where the target has parts that are targets too, as a machine its units: `keep_healthy` and `at_once` of every "
        "runbook of each service that has one there, counted without all that the change takes away",
        "by which runbook, and the words of `quorum` or `at once`; or which runbook of that service cannot be used, so that "
        "nobody knows what it asks",
        "mend those first, or act by the Mitigation",
    ),
    yes=_agreed,
)
