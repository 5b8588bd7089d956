"""The copy of the on-call overrides on disk, so that they are known without the database."""

import json
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

from paramedic.machine import data_folder
from paramedic.machine.clock import from_iso, iso
from paramedic.oncall.rotation import Override

log = logging.getLogger(__name__)

FILE = "oncall-overrides.json"


def write_copy(folder: Path, overrides: Sequence[Override]) -> None:
    """Replace the copy atomically. A write that fails is only logged: the store has the overrides."""
    rows = [
        {"person": override.person, "begins": iso(override.begins), "ends": iso(override.ends), "by": override.by}
        for override in overrides
    ]
    try:
        data_folder.make(folder)
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{FILE}.") as aside:
            fresh = Path(aside) / FILE
            fresh.touch(mode=0o600)
            fresh.write_text(json.dumps(rows, indent=2), encoding="utf-8")
            fresh.replace(folder / FILE)
    except OSError as error:
        log.warning("the overrides were not copied to the disk: %s", error)


def read_copy(folder: Path) -> tuple[Override, ...]:
    """The overrides in the copy; empty where it cannot be read: then the rotation alone counts."""
    try:
        rows = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return tuple(
            Override(str(row["person"]), from_iso(row["begins"]), from_iso(row["ends"]), str(row["by"])) for row in rows
        )
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.warning("the copy of the overrides cannot be read, the rotation alone counts: %s", error)
        return ()
