"""What a change is about, where its runbook says more of it than its name: read from the incident's alerts just before."""

import os
from collections.abc import Mapping
from typing import Any

from paramedic.change.limits import firing_alerts
from paramedic.change.run import PlaybookRun
from paramedic.errors import PermanentError, Refused, TemporaryError
from paramedic.kinds.asked import Asked, filled, labels_of
from paramedic.remediation.remedy import Remedy
from paramedic.transports import own_addresses


def about_of(run: PlaybookRun, remedy: Remedy) -> tuple[Mapping[str, str], ...]:
    """What the incident's firing alerts say that the change is about: once for each that says something else.

    Nothing where the remedy's name says all. Raises Refused where no firing alert says it; StoreUnavailable.
    """
    words: Any = remedy.asked
    if words is None:
        return ()
    about = filled(words, [alert.labels for alert in firing_alerts(run) if run.own.wants(alert)])
    if not about:
        labels = ", ".join(labels_of(words))
        raise Refused(f"no firing alert of the incident has what {remedy.name} needs: {labels}")
    return about


def asked_of(run: PlaybookRun, remedy: Remedy) -> Asked | None:
    """What the change is about; None where its name says all. Raises Refused where no firing alert of the incident says it.

    Names are resolved: never inside a transaction.
    """
    if remedy.asked is None:
        return None
    about = about_of(run, remedy)
    settings = run.settings
    needed = (
        settings.links_at(),
        settings.prefect_api_url or "",
        os.environ.get("PREFECT_API_URL", ""),
        settings.store(),
    )
    try:
        ours = own_addresses.ours(needed)
    except (TemporaryError, PermanentError) as error:
        raise Refused(f"{remedy.name} might reach what Paramedic needs: {error}") from error
    return Asked(remedy.asked, about, ours)
