"""A check: what Paramedic measures itself, where, how often, with which thresholds; and one sample of it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache, partial
from ipaddress import ip_address
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    create_model,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.checks import arithmetic, probes
from paramedic.checks.bounds import Bounds, Objective, fault
from paramedic.checks.threshold import Level, Threshold
from paramedic.kinds import registry
from paramedic.kinds.metric import Metric
from paramedic.kinds.place import FROM
from paramedic.kinds.probe_face import ProbeKind
from paramedic.kinds.probing import Written
from paramedic.kinds.registry import Room
from paramedic.remediation.host import Host
from paramedic.remediation.target import Target
from paramedic.text import template
from paramedic.text.model_words import At, built
from paramedic.text.units import duration
from paramedic.text.yaml_document import wrong

#: The source of alerts that checks raise. No sender can speak under it.
SOURCE = "check"


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: raw values by name, or None where nothing was seen, with the reason."""

    at: datetime
    values: Mapping[str, float] | None  # of a metric by subject the worst
    why: str
    each: Mapping[str, Mapping[str, float]] = field(
        default_factory=dict
    )  # by subject, where the probe tells several apart

    def of(self, subjects: Collection[str]) -> "Sample":
        """The sample as it is of these subjects alone: of a metric by subject the worst of theirs."""
        if self.values is None:
            return self
        each = {subject: values for subject, values in self.each.items() if subject in subjects}
        by_subject = {name for values in self.each.values() for name in values}
        worst = {name: max((values.get(name, 0.0) for values in each.values()), default=0.0) for name in by_subject}
        return replace(self, values={**self.values, **worst}, each=each)


@dataclass(frozen=True, slots=True)
class Check:
    """A measurement of each listed target of a runbook's service."""

    name: str  # within its runbook
    kind: str  # the name of its probe
    where: str  # an address, a heartbeat's name, a path of the disk; `{host}` stands for the target's host
    thresholds: tuple[Threshold, ...]
    every: timedelta
    timeout: timedelta
    window: timedelta  # over which percentiles and rates are taken
    unknown_after: timedelta  # seeing nothing for longer than this is told to a person
    measures: tuple[Metric, ...]  # of its probe
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)  # the probe's own keys
    places: tuple[Host, ...] = ()  # the listed hosts among those that its key `from` names

    @property
    def asked_from(self) -> tuple[str, ...]:
        """The places that its key `from` names; empty: from here, as any other check."""
        return tuple(self.options.get(FROM.name, ()))

    def by(self, metric: str) -> str | None:
        """The label of the subject, where each subject of the metric has a state of its own."""
        return next((measure.by for measure in self.measures if measure.name == metric), None)

    def looks_back(self) -> bool:
        """Whether a value of it is computed from more than the last sample."""
        bounded = {threshold.metric for threshold in self.thresholds}
        return any(measure.name in bounded and measure.is_of_a_window for measure in self.measures)

    def at(self, target: Target) -> str:
        """`where`, for this target; in an address an IPv6 host stands in brackets (RFC 3986, 3.2.2)."""
        in_brackets = "://" in self.where and _is_ipv6(target.host)
        return self.where.replace("{host}", f"[{target.host}]" if in_brackets else target.host)

    def options_at(self, target: Target) -> dict[str, Any]:
        """The probe's own keys, for this target: `{host}` in a text that is not `as_it_is` is its host."""
        own = {option.name for option in probes.options(probes.usable()[self.kind]) if option.as_it_is}
        texts = {name: value for name, value in self.options.items() if isinstance(value, str) and name not in own}
        return {**self.options, **{name: value.replace("{host}", target.host) for name, value in texts.items()}}

    def metrics(self, samples: Sequence[Sample], *, filled: bool = False) -> dict[str, float]:
        """The value of every metric with a threshold, from these samples, oldest first; empty where the last saw nothing.

        `filled`: samples that the window does not have yet, and that its bounds need, count as the best one seen.
        """
        if not samples or samples[-1].values is None:
            return {}
        begins = samples[-1].at - self.window
        seen = [sample.values for sample in samples if sample.values is not None and sample.at > begins]
        metrics = {metric.name: metric for metric in self.measures}
        found = {}
        for bounds in self.thresholds:
            metric = metrics[bounds.metric]
            at_least = metric.needs(bounds.mildest) if filled else 1
            found[bounds.metric] = metric.value(seen, bounds.unit, at_least=at_least)
        return {name: value for name, value in found.items() if value is not None}


def _is_ipv6(host: str) -> bool:
    try:
        return ip_address(host).version == 6
    except ValueError:
        return False


# --- what it says -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CheckAtTarget:
    """A check of a runbook, at one target."""

    runbook: str
    check: Check
    target: Target

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is known by: its runbook, its name there, its target's id."""
        return self.runbook, self.check.name, self.target.id

    @property
    def name(self) -> str:
        """Its name for people: `tracking-api-slow/http`."""
        return f"{self.runbook}/{self.check.name}"

    def alert(
        self,
        threshold: Threshold,
        level: Level,
        *,
        value: float | None,
        began_at: datetime,
        ended_at: datetime | None,
        subject: str | None = None,
    ) -> Alert:
        """A firing alert, or with `ended_at` a resolved one. The severity is not part of its identity, the subject is."""
        labels = labels_of(self.runbook, self.check.name, self.target) | {
            "alertname": f"{self.runbook} {threshold.metric}",
            "metric": threshold.metric,
        }
        if subject is not None and (label := self.check.by(threshold.metric)) is not None:
            labels[label] = subject
        shown = "unknown" if value is None else threshold.unit.spoken(value)
        severity = Severity.CRITICAL if level is Level.CRITICAL else Severity.WARNING
        return Alert(
            source=SOURCE,
            name=labels["alertname"],
            severity=severity,
            status=Status.FIRING if ended_at is None else Status.RESOLVED,
            starts_at=began_at,
            ends_at=ended_at,
            fingerprint=fingerprint(SOURCE, labels),
            labels=labels | {"severity": severity.value},
            annotations={
                "summary": f"{threshold.metric} of {self._whose(subject)} is {shown} ({threshold.spoken()})",
                "measured": self.check.at(self.target),
            },
            value=shown,
        )

    def _whose(self, subject: str | None) -> str:
        return self.target.id if subject is None else f"{subject} at {self.target.id}"


def labels_of(runbook: str, check: str, target: Target) -> dict[str, str]:
    """The labels of an alert about this target: enough for any runbook to locate the target by."""
    named = registry.current().plugin(Room.TARGETS, target.kind).LABEL
    return {
        "runbook": runbook,
        "check": check,
        "service": target.service,
        "instance": target.host,
        "host": target.host,
        named: target.name,
    }


# --- as authors write it ----------------------------------------------------------------------------------------------

_Every = Annotated[timedelta, duration("50ms", "1d")]
_Timeout = Annotated[timedelta, duration("10ms", "5m")]
_Window = Annotated[timedelta, duration("50ms", "7d")]
_UnknownAfter = Annotated[timedelta, duration("50ms", "7d")]

#: How long a look may take where no author says it, and `every` is longer.
_TIMEOUT = timedelta(seconds=2)


def _measurable(check: str) -> str:
    probes.measuring(check)
    return check


class _Checks:
    """What may follow `check:`, by the probes that there are now."""

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "pattern": probes.pattern()}


class CheckSpec(BaseModel):
    """One check under `when`, as it is written; `build()` makes the Check. `check_spec` adds the probes' keys."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, defer_build=True)
    check: Annotated[str, AfterValidator(_measurable), _Checks] | None = Field(
        default=None,
        description="what Paramedic measures itself: a word, or an address, in which {host} is the target's",
    )
    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._{}-]{1,100}$",
        description="its name; needed where a runbook has two of one kind",
    )
    every: _Every = Field(default=timedelta(seconds=15), description="how often it is measured: 15s")
    timeout: _Timeout | None = Field(
        default=None, description="how long one look may take: 2s, or `every` where that is less"
    )
    window: _Window | None = Field(
        default=None, description="over which percentiles and rates are taken: 1m, or as long as the bounds need"
    )
    unknown_after: _UnknownAfter = Field(
        default=timedelta(minutes=5), description="seeing nothing for longer than this is told to a person: 5m"
    )

    objective: Objective | None = Field(
        default=None,
        description="how many of a hundred looks are no error: 99.9%; burn rates are of the rest, the budget",
    )

    def build(self) -> Check:
        """The Check as specified. Raises ValidationError with everything that is wrong, each at its key."""
        kind, probe = probes.measuring(self.check or "")
        if faults := [*self._untimely(probe), *self._misplaced(probe)]:
            raise wrong("check", *faults)
        pairs = self._bounds(probe)
        thresholds = tuple(bounds.threshold(metric) for metric, bounds in pairs)
        measures = self._measures(probe)
        window = self._window(probe, arithmetic.needed(measures, thresholds))
        written = self._written_bounds()
        faults = [
            ((metric.name, key) if metric.name in written else ("objective",) if metric.burns else (), words)
            for threshold, (metric, _) in zip(thresholds, pairs, strict=True)
            for key, words in arithmetic.unclear(metric, threshold, self.every, window)
        ]
        if faults:
            raise wrong("check", *faults)
        return Check(
            name=self.name or kind,
            kind=kind,
            where=self._subject(probe),
            thresholds=thresholds,
            every=self.every,
            timeout=self._timeout,
            window=window,
            unknown_after=self.unknown_after,
            measures=measures,
            options=self._written(probe).options,
        )

    @property
    def _timeout(self) -> timedelta:
        return min(_TIMEOUT, self.every) if self.timeout is None else self.timeout

    def _window(self, probe: ProbeKind, needed: int) -> timedelta:
        if self.window is not None:
            return max(self.window, self.every)
        own: timedelta | None = getattr(probe, "WINDOW", None)
        return arithmetic.window_for(needed, self.every) if own is None else max(own, self.every)

    def _untimely(self, probe: ProbeKind) -> Iterator[tuple[At, str]]:
        """Times that do not go together."""
        if self._timeout > self.every:
            yield ("timeout",), "`timeout` is at most `every`: one sample ends before the next begins"
        kept = arithmetic.SAMPLES_IN_A_WINDOW
        if self.window is not None and self.window > kept * self.every and not hasattr(probe, "WINDOW"):
            most = f"`window` is at most {kept} times `every`: no more samples of a check are kept"
            yield ("window",), most
        if self.every > self.unknown_after:
            yield ("every",), "`every` is at most `unknown_after`: between two samples nobody is blind"

    def _misplaced(self, probe: ProbeKind) -> Iterator[tuple[At, str]]:
        """Keys that are another probe's, texts with another name in braces than `host`, and bounds that are none."""
        own = {option.name: option for option in probes.options(probe)}
        for name in self._options() - set(own):
            ways = [f"`check: {other.CHECK[0]}`, {option.what}" for other, option in probes.having(name)]
            yield (name,), f"`{name}` belongs to {' and '.join(ways)}"
        texts = ("check", "name", *(name for name, option in own.items() if option.is_text))
        strays = [
            found
            for key in texts
            for found in fault((key,), partial(template.only, "host", getattr(self, key, None) or ""))
        ]
        of_itself: At = ("check",) if "://" in (self.check or "") else ()  # other subjects stand in other keys
        yield from strays or fault(of_itself, partial(self._subject, probe))
        yield from (((key,), words) for key, words in probes.misfits(probe, self._written(probe)))
        here = {metric.name: metric for metric in probe.METRICS}
        for name, bounds in self._written_bounds().items():
            if name in here:
                yield from bounds.faults(here[name])
            else:
                yield (name,), f"`{name}` is not measured there; allowed: {', '.join(here)}"
        yield from fault((), partial(self._bounds, probe))

    def _options(self) -> set[str]:
        """The names of the probes' own keys that are written."""
        every = {option.name for probe in probes.usable().values() for option in probes.options(probe)}
        return {name for name in every if getattr(self, name, None) is not None}

    def _written(self, probe: ProbeKind) -> Written:
        names = [option.name for option in probes.options(probe)]
        options = {name: value for name in names if (value := getattr(self, name, None)) is not None}
        return Written(self.check or "", self.name, options)

    def _subject(self, probe: ProbeKind) -> str:
        """The subject of the check, in the probe's form. Raises ValueError."""
        return probe.subject(self._written(probe))

    def _measures(self, probe: ProbeKind) -> tuple[Metric, ...]:
        """The probe's metrics; those of an error budget know the check's own, and without an objective there is none."""
        budget = None if self.objective is None else 1 - self.objective / 100
        return tuple(replace(metric, budget=budget) if metric.burns else metric for metric in probe.METRICS)

    def _written_bounds(self) -> dict[str, "Bounds"]:
        return {name: bounds for name in _metric_names() if (bounds := getattr(self, name, None)) is not None}

    def _bounds(self, probe: ProbeKind) -> list[tuple[Metric, Bounds]]:
        """The metrics with thresholds: with the author's bounds, or with the shipped ones where the author names none.

        Raises ValueError where there are neither.
        """
        named, measures = self._written_bounds(), self._measures(probe)
        burning = [metric for metric in measures if metric.burns]
        if self.objective is not None and not burning:
            raise ValueError("`objective` is of checks that measure error_rate")
        if self.objective is None and (idle := [metric.name for metric in burning if metric.name in named]):
            raise ValueError(f"`{idle[0]}` needs the `objective`: 99.9%")
        plain = [metric for metric in measures if metric not in burning and metric.is_shipped_with_bounds]
        chosen = [metric for metric in measures if metric.name in named] or ([] if self.objective else plain)
        if self.objective is not None:
            chosen += [metric for metric in burning if metric.name not in named]
        if not chosen:
            raise ValueError(f"name a bound for {' or '.join(metric.name for metric in probe.METRICS)}")
        shipped = {metric.name: Bounds(warning=metric.warning, critical=metric.critical) for metric in chosen}
        return [(metric, named.get(metric.name, shipped[metric.name])) for metric in chosen]


def _metric_names() -> list[str]:
    return list(dict.fromkeys(metric.name for probe in probes.usable().values() for metric in probe.METRICS))


Spec = TypeVar("Spec", bound=CheckSpec)


def check_spec(shape: type[Spec]) -> type[Spec]:
    """The shape with a key for every metric and every option of the probes that there are now."""
    return _check_spec(shape, registry.current())


@lru_cache(maxsize=8)
def _check_spec(shape: type[Spec], _of: registry.Registry) -> type[Spec]:
    """The model of a check with a key for each metric and for each option of the usable probes."""
    keys: dict[str, Any] = {
        name: (
            Bounds | None,
            Field(default=None, description=f"bounds of {name}: {{warning: …, critical: …, for: 1m}}"),
        )
        for name in _metric_names()
    }
    for probe in probes.usable().values():
        for option in probes.options(probe):
            words = ", ".join(f"`check: {other.CHECK[0]}`" for other, _ in probes.having(option.name))
            keys.setdefault(
                option.name, (option.type | None, Field(default=None, description=f"for {words}, {option.what}"))
            )
    return built(create_model(shape.__name__, __base__=shape, **keys))
