"""A check: what Paramedic measures itself, where, how often, with which thresholds; and one sample of it."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache, partial
from ipaddress import ip_address
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    create_model,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from paramedic.alerts.alert import Alert, Severity, Status, fingerprint
from paramedic.checks import probes
from paramedic.checks.threshold import Level, Threshold
from paramedic.kinds import registry
from paramedic.kinds.metric import Metric
from paramedic.kinds.probe_face import ProbeKind
from paramedic.kinds.probing import Written
from paramedic.kinds.registry import Room
from paramedic.remediation.target import Target
from paramedic.text import template
from paramedic.text.model_words import At, built
from paramedic.text.quantity import PATTERN, PERCENT, Unit, percent, quantity
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
    options: Mapping[str, str] = field(default_factory=dict, hash=False)  # the probe's own keys

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

    def metrics(self, samples: Sequence[Sample]) -> dict[str, float]:
        """The value of every metric with a threshold, from these samples, oldest first; empty where the last saw nothing."""
        if not samples or samples[-1].values is None:
            return {}
        begins = samples[-1].at - self.window
        seen = [sample.values for sample in samples if sample.values is not None and sample.at > begins]
        metrics = {metric.name: metric for metric in self.measures}
        found = {bounds.metric: metrics[bounds.metric].value(seen, bounds.unit) for bounds in self.thresholds}
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

_MINUTE = timedelta(minutes=1)


def _as_text(written: object) -> object:
    """A bound as text: the bound of a count is a number in YAML."""
    return str(written) if isinstance(written, int | float) and not isinstance(written, bool) else written


def _share(written: object) -> object:
    return percent(written) / 100 if isinstance(written, str) else written


_Every = Annotated[timedelta, duration("50ms", "1d")]
_Timeout = Annotated[timedelta, duration("10ms", "5m")]
_Window = Annotated[timedelta, duration("50ms", "7d")]
_UnknownAfter = Annotated[timedelta, duration("50ms", "7d")]
_HeldFor = Annotated[timedelta, duration("0s", "7d")]

_QUANTITY = Annotated[str, Field(pattern=PATTERN)]
_Bound = Annotated[str, BeforeValidator(_as_text, json_schema_input_type=_QUANTITY | int | float)]

#: The store keeps so many samples of a check (`paramedic.store.checks.KEEP`), with some to spare.
_SAMPLES_IN_A_WINDOW = 1900


class Bounds(BaseModel):
    """`{warning: 200ms, critical: 300ms, for: 1m}`."""

    model_config = ConfigDict(extra="forbid", strict=True)
    warning: _Bound | None = Field(default=None, description="from here on it is a warning: 200ms, 1%, 1GB")
    critical: _Bound | None = Field(default=None, description="from here on it is critical: 300ms, 3%, 1500MB")
    for_: _HeldFor | None = Field(
        default=None, alias="for", description="how long a bound must be passed without a break: 1m"
    )
    hysteresis: Annotated[
        float,
        Field(ge=0, lt=1),
        BeforeValidator(_share, json_schema_input_type=Annotated[str, Field(pattern=PERCENT)] | float),
    ] = Field(default=0.1, description="how far back inside its bound a value must come to be well again: 10%")

    def faults(self, metric: Metric) -> list[tuple[At, str]]:
        """What is wrong with them as bounds of this metric, each at its key."""
        written = [key for key in ("warning", "critical") if getattr(self, key) is not None]
        found = [fault for key in written for fault in _fault((metric.name, key), partial(self._read, key, metric))]
        return found or list(_fault((metric.name,), partial(self.threshold, metric)))

    def threshold(self, metric: Metric) -> Threshold:
        """The bounds as a threshold. Raises ValueError, saying what is allowed."""
        read = {key: self._read(key, metric) for key in ("warning", "critical") if getattr(self, key) is not None}
        if len({unit for _, unit in read.values()}) > 1:
            raise ValueError("`warning` and `critical` are of one unit")
        return Threshold(
            metric=metric.name,
            unit=next((unit for _, unit in read.values()), metric.units[0]),
            warning=read["warning"][0] if "warning" in read else None,
            critical=read["critical"][0] if "critical" in read else None,
            held_for=metric.held_for if self.for_ is None else self.for_,
            hysteresis=self.hysteresis,
            below=metric.below,
        )

    def _read(self, key: str, metric: Metric) -> tuple[float, Unit]:
        value, unit = quantity(getattr(self, key), metric.units, at_most=metric.at_most)
        if not metric.below and value <= 0:
            raise ValueError("a bound of nothing is always passed; write more than 0")
        return value, unit


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
    timeout: _Timeout = Field(default=timedelta(seconds=2), description="how long one look may take: 2s")
    window: _Window = Field(default=_MINUTE, description="over which percentiles and rates are taken: 1m")
    unknown_after: _UnknownAfter = Field(
        default=timedelta(minutes=5), description="seeing nothing for longer than this is told to a person: 5m"
    )

    def build(self) -> Check:
        """The Check as specified. Raises ValidationError with everything that is wrong, each at its key."""
        kind, probe = probes.measuring(self.check or "")
        if faults := [*self._untimely(probe), *self._misplaced(probe)]:
            raise wrong("check", *faults)
        return Check(
            name=self.name or kind,
            kind=kind,
            where=self._subject(probe),
            thresholds=tuple(bounds.threshold(metric) for metric, bounds in self._bounds(probe)),
            every=self.every,
            timeout=self.timeout,
            window=max(self._window(probe), self.every),
            unknown_after=self.unknown_after,
            measures=probe.METRICS,
            options=self._options(probe),
        )

    def _window(self, probe: ProbeKind) -> timedelta:
        own: timedelta = getattr(probe, "WINDOW", self.window)
        return self.window if "window" in self.model_fields_set else own

    def _options(self, probe: ProbeKind) -> dict[str, str]:
        own = [option.name for option in probes.options(probe)]
        return {name: value for name in own if (value := getattr(self, name, None)) is not None}

    def _untimely(self, probe: ProbeKind) -> Iterator[tuple[At, str]]:
        """Times that do not go together."""
        if self.timeout > self.every:
            yield ("timeout",), "`timeout` is at most `every`: one sample ends before the next begins"
        if self.window > _SAMPLES_IN_A_WINDOW * self.every and not hasattr(probe, "WINDOW"):
            most = f"`window` is at most {_SAMPLES_IN_A_WINDOW} times `every`: no more samples of a check are kept"
            yield ("window",), most
        if self.every > self.unknown_after:
            yield ("every",), "`every` is at most `unknown_after`: between two samples nobody is blind"

    def _misplaced(self, probe: ProbeKind) -> Iterator[tuple[At, str]]:
        """Keys that are another probe's, texts with another name in braces than `host`, and bounds that are none."""
        own = [option.name for option in probes.options(probe)]
        for other in probes.usable().values():
            for option in probes.options(other):
                if option.name not in own and getattr(self, option.name, None) is not None:
                    yield (option.name,), f"`{option.name}` belongs to `check: {other.CHECK[0]}`, {option.what}"
        strays = [
            fault
            for key in ("check", "name", *(option.name for option in probes.options(probe) if not option.as_it_is))
            for fault in _fault((key,), partial(template.only, "host", getattr(self, key, None) or ""))
        ]
        of_itself: At = ("check",) if "://" in (self.check or "") else ()  # other subjects stand in other keys
        yield from strays or _fault(of_itself, partial(self._subject, probe))
        here = {metric.name: metric for metric in probe.METRICS}
        for name, bounds in self._written_bounds().items():
            if name in here:
                yield from bounds.faults(here[name])
            else:
                yield (name,), f"`{name}` is not measured there; allowed: {', '.join(here)}"
        yield from _fault((), partial(self._bounds, probe))

    def _subject(self, probe: ProbeKind) -> str:
        """The subject of the check, in the probe's form. Raises ValueError."""
        return probe.subject(Written(self.check or "", self.name, self._options(probe)))

    def _written_bounds(self) -> dict[str, "Bounds"]:
        return {name: bounds for name in _metric_names() if (bounds := getattr(self, name, None)) is not None}

    def _bounds(self, probe: ProbeKind) -> list[tuple[Metric, Bounds]]:
        """The metrics with thresholds: with the author's bounds, or with the shipped ones where the author names none.

        Raises ValueError where there are neither.
        """
        if named := self._written_bounds():
            return [(metric, named[metric.name]) for metric in probe.METRICS if metric.name in named]
        shipped = [metric for metric in probe.METRICS if metric.is_shipped_with_bounds]
        if not shipped:
            raise ValueError(f"name a bound for {' or '.join(metric.name for metric in probe.METRICS)}")
        return [(metric, Bounds(warning=metric.warning, critical=metric.critical)) for metric in shipped]


def _fault(at: At, judge: Callable[[], object]) -> Iterator[tuple[At, str]]:
    try:
        judge()
    except ValueError as error:
        yield at, str(error)


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
            about = Field(default=None, description=f"for `check: {probe.CHECK[0]}`, {option.what}")
            keys.setdefault(option.name, (Annotated[str, Field(pattern=option.pattern)] | None, about))
    return built(create_model(shape.__name__, __base__=shape, **keys))
