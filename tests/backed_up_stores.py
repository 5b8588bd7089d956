"""A store as its settings name it: what it holds, what its trail says when it is verified, and what is added to it."""

import tarfile
from pathlib import Path

from incident_states import alert
from sqlalchemy import select

from paramedic import keys
from paramedic.audit.verification import verify
from paramedic.settings import Settings
from paramedic.store import (
    Store,
    incidents,
    lifecycle,
)
from paramedic.store import trail as stored_trail
from paramedic.store.tables import metadata
from paramedic.upkeep import checkpoints


def unpacked(backup: Path, folder: Path) -> list[str]:
    """Each file of a backup in the folder, which is made; their names. Without `filter`, which Python has from 3.11.4 on."""
    folder.mkdir(exist_ok=True)
    with tarfile.open(backup) as tar:
        for name in tar.getnames():
            content = tar.extractfile(name)
            assert content is not None
            (folder / name).write_bytes(content.read())
        return tar.getnames()


def opened(settings: Settings) -> Store:
    return Store(settings.store())


def signed(settings: Settings) -> None:
    store = opened(settings)
    checkpoints.write(store, keys.signing_key(settings), settings.checkpoints())
    store.close()


def noted(settings: Settings, words: str) -> None:
    store = opened(settings)
    with store.record() as tx:
        incidents.note(tx, 1, by="ada", text=words)
    store.close()


def rows(settings: Settings) -> dict[str, list[tuple[object, ...]]]:
    """All that the store holds."""
    store = opened(settings)
    with store.read() as tx:
        found = {
            name: sorted(map(tuple, tx.conn.execute(select(table))), key=repr)
            for name, table in metadata.tables.items()
        }
    store.close()
    return found


def found(settings: Settings) -> object:
    store = opened(settings)
    with store.read() as tx:
        key, marks = keys.public_key(settings), checkpoints.read(settings.checkpoints())
        looked = verify(stored_trail.entries(tx), lambda seq: stored_trail.content(tx, seq), marks, key, tx.store)
    store.close()
    return looked


def handed_over_in(tx: incidents.Tx, target: str) -> int:
    return lifecycle.open_incident(
        tx, alert("Theirs"), service="s", target=target, policy="default", reason="r", plan=None
    ).number
