"""The claim of one Prefect on the store: another has none of its runs, and would void the questions that wait for a person.

A Prefect is identified by a variable in it, made once, that moves with its database. The store holds its id by a lease,
which dispatch renews; several dispatchers of one Prefect share it.
"""

import uuid
from datetime import timedelta

import httpx
from sqlalchemy import select

from paramedic.errors import PermanentError, TemporaryError
from paramedic.machine.clock import iso
from paramedic.store import Tx, leases
from paramedic.store.tables import leases as table

#: The Prefect variable that holds the installation's id.
VARIABLE = "paramedic_installation"

#: How long after its last dispatch another Prefect may have the store: longer than a restart, shorter than a night.
LEASE = timedelta(minutes=10)

#: How often the lease is renewed.
RENEW = timedelta(minutes=1)

#: The name of the lease.
_NAME = "prefect"


class AnotherPrefect(PermanentError):
    """The store's runs are in another Prefect; the message says what to do."""


def look(prefect: httpx.Client) -> str | None:
    """The installation's id; empty where it has none yet, None where Prefect does not say. `prefect`: a client of its API.

    Prefect REST API reference: "Read Variable By Name".
    """
    try:
        answer = prefect.get(f"/variables/name/{VARIABLE}")
        return "" if answer.status_code == 404 else str(answer.raise_for_status().json()["value"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return None


def installation(prefect: httpx.Client) -> str:
    """The installation's id, made where it has none. Raises TemporaryError where Prefect does not say.

    Prefect REST API reference: "Create Variable": of two that come at once, one is refused.
    """
    known = look(prefect)
    if known == "":
        try:
            prefect.post("/variables/", json={"name": VARIABLE, "value": str(uuid.uuid4())})
        except httpx.HTTPError as error:
            raise TemporaryError(f"Prefect does not answer: {type(error).__name__}: {error}") from error
        known = look(prefect)
    if not known:
        raise TemporaryError("Prefect does not say which installation it is: is the login right?")
    return known


def claim(tx: Tx, known: str) -> None:
    """Claim or renew the store for this installation, for LEASE. Raises AnotherPrefect."""
    if not leases.take(tx, _NAME, holder=known, lease=LEASE):
        check(tx, known)


def check(tx: Tx, known: str) -> None:
    """Raises AnotherPrefect where the store is another installation's now."""
    query = select(table.c.holder, table.c.until).where(table.c.name == _NAME, table.c.until > tx.now)
    held = tx.conn.execute(query).one_or_none()
    if held is not None and held.holder != known:
        raise AnotherPrefect(
            f"the runs of the store {tx.store} are in another Prefect (installation {held.holder}, this one is "
            f"{known or 'new'}), and one store has one Prefect: stop the other `paramedic up`, give this one a store of its "
            f"own, or name the other's Prefect here (PARAMEDIC_PREFECT_API_URL). Where the other is gone for good, this one "
            f"may have the store from {iso(held.until)} on"
        )


def is_claimed(tx: Tx) -> bool:
    """Whether some installation has the store now."""
    query = select(table.c.name).where(table.c.name == _NAME, table.c.until > tx.now)
    return tx.conn.execute(query).one_or_none() is not None
