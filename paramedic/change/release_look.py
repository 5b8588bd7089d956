"""A look at the releases of a target beside its evidence: what changed just before what is wrong began."""

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

from paramedic.doors import reading
from paramedic.errors import PermanentError, TemporaryError
from paramedic.machine.clock import boottime
from paramedic.remediation.release import Release
from paramedic.remediation.target import Target
from paramedic.text.redaction import redact
from paramedic.text.sanitize import one_line

#: So long the rest, which is done, waits for a look that is not: nothing is decided by it.
_GRACE_SECONDS = 1.0


class ReleaseLook:
    """One look at a target's releases, in a thread of its own from the start; never later than `patience`."""

    def __init__(self, target: Target, *, since: datetime, patience: timedelta) -> None:
        """`since`: older releases are left out but the last of them."""
        self._target, self._since = target, since
        self._until = boottime() + patience.total_seconds()
        self._found: Sequence[Release] = ()
        self._fault: str | None = None
        self._thread: threading.Thread | None = None
        if reading.keeps_releases(target) or target.releases is not None:
            self._fault = "the look had no answer in time"
            self._thread = threading.Thread(target=self._look, name=f"releases of {target.id}", daemon=True)
            self._thread.start()

    def result(self) -> tuple[Sequence[Release], str | None]:
        """The releases, and why they could not be looked at; neither of a target that has none. Waits a second at most."""
        if self._thread is not None:
            self._thread.join(max(0.0, min(_GRACE_SECONDS, self._until - boottime())))
        return self._found, self._fault

    def _look(self) -> None:
        try:
            every = [release for release in reading.releases(self._target).all() if release.deployed_at is not None]
        except (TemporaryError, PermanentError) as error:
            self._fault = redact(one_line(str(error)))[:400]
            return
        except Exception as error:  # noqa: BLE001 - a plug-in's edge: one that is wrong spoils no evidence
            self._fault = redact(one_line(f"{type(error).__name__}: {error}"))[:400]
            return
        recent = [release for release in every if release.deployed_at and release.deployed_at >= self._since]
        self._found, self._fault = recent or every[:1], None
