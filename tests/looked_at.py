"""One sample of a check as its author writes it, at a target that a test needs for nothing else."""

from datetime import UTC, datetime
from typing import Any

from paramedic.checks.check import Check, CheckSpec, Sample, check_spec
from paramedic.remediation.target import Target
from paramedic.sampling import one_sample

TARGET = Target("web-1/api", "api", "web-1", "supervisord", "api", "unix:///nowhere/at/all")


def made(**words: Any) -> Check:
    """The check. Raises ValidationError."""
    return check_spec(CheckSpec)(**words).build()


def look(check: Check, target: Target = TARGET) -> Sample:
    """Sampled now."""
    return one_sample.sample(check, target, now=lambda: datetime.now(UTC), last_heard=lambda _: None)
