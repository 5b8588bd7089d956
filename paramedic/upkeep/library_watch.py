"""Watches the library: records changes on the trail, and reports once to a person what is refused or gone."""

import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from paramedic.catalog.library import Library, library_in_force
from paramedic.settings import Settings
from paramedic.store import Store, StoreUnavailable, messages, trail
from paramedic.text.yaml_document import BadDocument

log = logging.getLogger(__name__)

REFUSED, ACCEPTED, CHANGED = "library.refused", "library.accepted", "library.changed"

#: How many problems a page names; the rest is in `paramedic runbook lint`.
_PROBLEMS_IN_A_PAGE = 20


@dataclass(frozen=True, slots=True)
class _Seen:
    """The result of one look: the usable runbooks by name and version, and the problems."""

    versions: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]

    @property
    def digest(self) -> str:
        """The digest of the problems: the same ones are reported once."""
        return hashlib.sha256("\n".join(self.problems).encode()).hexdigest()


class LibraryWatch:
    """Looks at the library regularly. Its reports are in the store, so that a restart repeats none."""

    def __init__(self, store: Store, settings: Settings, seen: Callable[[Library], None] = lambda _: None) -> None:
        """`seen` is called with the library of each look."""
        self._seen = seen
        self._store = store
        self._settings = settings
        self._last: _Seen | None = None
        self._told: _Seen | None = None

    def run(self, stop: threading.Event, *, every_seconds: float = 5.0) -> None:
        """Look until `stop`. A report to a store that does not answer is made later."""
        while not stop.wait(every_seconds):
            try:
                self.look()
            except StoreUnavailable as error:
                log.warning("what authors changed is reported later: %s", error)
            except Exception:  # the thread's edge: the next look may see better
                log.exception("the library could not be checked; tried again in %.0f s", every_seconds)

    def look(self) -> None:
        """Report what is new and was the same at the look before: a file may be half written now. Raises StoreUnavailable."""
        seen, before = self._see(), self._last
        self._last = seen
        if seen != before or seen == self._told:
            return
        if self._told is not None and seen.versions != self._told.versions:
            self._report_changes(self._told, seen)
        self._report_problems(seen)
        self._told = seen

    def _see(self) -> _Seen:
        try:
            found = library_in_force(self._settings)
        except BadDocument as error:
            found = Library.unusable(error.problems)
        self._seen(found)
        versions = tuple(sorted((runbook.name, runbook.version) for runbook in found.runbooks.values()))
        return _Seen(versions, tuple(map(str, found.problems)))

    def _report_changes(self, before: _Seen, now: _Seen) -> None:
        old, new = dict(before.versions), dict(now.versions)
        words = {
            "added": sorted(new.keys() - old.keys()),
            "withdrawn": sorted(old.keys() - new.keys()),
            "changed": sorted(name for name in old.keys() & new.keys() if old[name] != new[name]),
        }
        reason = "; ".join(f"{what}: {', '.join(names)}" for what, names in words.items() if names)
        versions = {name: new[name][:12] for name in [*words["added"], *words["changed"]]}
        with self._store.record() as tx:
            trail.append(
                tx, actor="gateway", phase="decision", what=CHANGED, reason=reason, data={"versions": versions}
            )
            if old and not new:
                messages.queue_internal_alert(
                    tx,
                    subject="No runbook is left, and nothing acts",
                    body=f"{self._settings.runbooks} held {len(old)} usable runbooks and holds none now: was it emptied, or "
                    "unmounted? Every alert goes to a person until there are runbooks again.",
                    same_within_minutes=60,
                )

    def _report_problems(self, seen: _Seen) -> None:
        with self._store.read() as tx:
            known = trail.newest(tx, (REFUSED, ACCEPTED))
        if seen.problems:
            if known is not None and known.what == REFUSED and known.data.get("digest") == seen.digest:
                return
            body = "\n".join(seen.problems[:_PROBLEMS_IN_A_PAGE])
            with self._store.record() as tx:
                trail.append(
                    tx,
                    actor="gateway",
                    phase="decision",
                    what=REFUSED,
                    reason=body,
                    data={"digest": seen.digest, "problems": len(seen.problems)},
                )
                messages.queue_internal_alert(
                    tx,
                    subject=f"Refused: {_first(seen.problems)}",
                    body=f"What is refused acts no more, and its alerts go to a person until it is mended:\n\n{body}\n\n"
                    "All of it: `paramedic runbook lint`.",
                    same_within_minutes=60,
                )
        elif known is not None and known.what == REFUSED:
            with self._store.record() as tx:
                trail.append(
                    tx, actor="gateway", phase="decision", what=ACCEPTED, reason="nothing is refused any more", data={}
                )


def _first(problems: tuple[str, ...]) -> str:
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"{problems[0]:.120}{more}"
