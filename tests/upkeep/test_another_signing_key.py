"""Another signing key, as docs/production.md brings one in: with the old checkpoints away the trail is signed and verifies."""

from pathlib import Path

import pytest
from databases import migrated

from paramedic import keys
from paramedic.audit import verification
from paramedic.settings import Settings
from paramedic.store import Store, trail
from paramedic.upkeep import checkpoints


def test_a_new_key_signs_where_the_old_one_s_checkpoints_are_moved_away_with_it(tmp_path: Path) -> None:
    data, old = tmp_path / "data", tmp_path / "old"
    for folder in (data, old):
        folder.mkdir(mode=0o700)
    settings = Settings(data=data)
    store = Store(migrated(data / "paramedic.db"))

    def recorded() -> None:
        with store.record() as tx:
            trail.append(tx, actor="ada", phase="decision", what="something.happened", reason="for the test")

    def faults() -> tuple[verification.Fault, ...]:
        with store.read() as tx:
            return verification.verify(
                trail.entries(tx),
                lambda seq: trail.content(tx, seq),
                checkpoints.read(settings.checkpoints()),
                keys.public_key(settings),
                tx.store,
            ).faults

    recorded()
    checkpoints.sign(store, settings)
    recorded()
    for name in ("signing.key", "signing.pub"):
        (data / name).rename(old / name)
    with pytest.raises(checkpoints.Unproven, match="not signed by our key"):
        checkpoints.sign(store, settings)
    assert faults()  # a checkpoint of another key
    for name in ("signing.witness", "checkpoints.jsonl"):
        (data / name).rename(old / name)
    signed = checkpoints.sign(store, settings)
    assert signed is not None
    assert (signed.seq, faults()) == (2, ())
    store.close()
