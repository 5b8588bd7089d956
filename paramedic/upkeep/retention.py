"""Retention: removes old data in small batches, and records how much on the trail. An open incident's data stays."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import httpx

from paramedic.errors import PermanentError
from paramedic.machine.clock import iso
from paramedic.machine.kill_points import kill_point
from paramedic.settings import Settings
from paramedic.store import Store, Tx, attempts, seals
from paramedic.store.retention import remove_old
from paramedic.store.table_facts import Cutoffs
from paramedic.store.trail import append
from paramedic.transports.prefect_http import PrefectApi

#: Rows of a table that one transaction removes, and Prefect's runs that one round does.
BITE = 500

#: Rounds of one call: what is left after them, the next call removes.
_ROUNDS = 200

_FINISHED = ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")


@dataclass(frozen=True, slots=True)
class Pruned:
    """The removed rows by table, `prefect_runs` among them; the entries that wait for `audit seal`; what Prefect refused."""

    removed: Mapping[str, int] = field(default_factory=dict)
    sealable: int = 0
    complaint: str | None = None


def prune(store: Store, settings: Settings) -> Pruned:
    """Remove what is older than its setting. Safe to run at any time, in parallel, and to kill.

    Prefect comes last, and its silence is reported, not a failure. The trail's old entries are only counted:
    `paramedic audit seal` removes them. Raises StoreUnavailable.
    """
    removed: dict[str, int] = {}
    for _ in range(_ROUNDS):
        with store.record() as tx:
            cutoffs = Cutoffs(received=tx.now - settings.keep_inbox, ended=tx.now - settings.keep_evidence)
            gone = remove_old(tx, cutoffs, at_most=BITE)
            if gone:
                kill_point("rows_removed", ", ".join(gone))
                _append_to_trail(tx, gone)
        for name, count in gone.items():
            removed[name] = removed.get(name, 0) + count
        if not gone:
            break
    with store.read() as tx:
        span = seals.removable(tx, tx.now - settings.keep_trail, sys.maxsize)
        needed = {attempt.flow_run for attempt in attempts.open_attempts(tx) if attempt.flow_run is not None}
        before = tx.now - settings.keep_prefect_runs
    runs, complaint = _prune_prefect(settings, before, needed)
    if runs:
        removed["prefect_runs"] = runs
        with store.record() as tx:
            _append_to_trail(tx, {"prefect_runs": runs})
    return Pruned(removed, max(0, span.last - span.first + 1), complaint)


def _append_to_trail(tx: Tx, gone: Mapping[str, int]) -> None:
    words = ", ".join(f"{count} of {name}" for name, count in gone.items())
    append(tx, actor="keeping", phase="outcome", what="store.pruned", reason=f"too old: {words}", data=dict(gone))


def _prune_prefect(settings: Settings, before: datetime, needed: set[str]) -> tuple[int, str | None]:
    """Delete our finished runs in Prefect that ended before; returns how many, and what it refused.

    Prefect REST API reference: "Read Flow Runs", "Delete Flow Run".
    """
    api = PrefectApi.named(settings)
    if api is None:
        return 0, None
    wanted = {
        "flow_runs": {
            "operator": "and_",
            "state": {"type": {"any_": list(_FINISHED)}},
            "end_time": {"before_": iso(before)},
            "tags": {"all_": ["paramedic"]},
        },
        "sort": "START_TIME_ASC",
        "limit": 200,
    }
    gone, refused = 0, 0
    try:
        with api.client(seconds=10) as prefect:
            while gone + refused < BITE:
                page = prefect.post("/flow_runs/filter", json=wanted | {"offset": refused}).raise_for_status().json()
                if not page:
                    break
                for run in page:
                    if run["id"] in needed:
                        refused += 1
                        continue
                    answer = prefect.delete(f"/flow_runs/{run['id']}")
                    if answer.status_code != 404:  # somebody was faster
                        answer.raise_for_status()
                    gone += 1
    except (PermanentError, httpx.HTTPError, ValueError, TypeError, KeyError) as error:
        return gone, f"Prefect's run history was not pruned further: {type(error).__name__}: {error}"
    return gone, None
