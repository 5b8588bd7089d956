"""The copy of the shifts' overrides on disk: who stands in for whom is known without a database."""

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


def keep(folder: Path, overrides: Sequence[Override]) -> None:
    """Replace the copy, whole. A disk that takes none costs a line in the log: the store has them."""
    said = [{"person": one.person, "begins": iso(one.begins), "ends": iso(one.ends), "by": one.by} for one in overrides]
    try:
        data_folder.make(folder)
        with tempfile.TemporaryDirectory(dir=folder, prefix=f".{FILE}.") as aside:
            fresh = Path(aside) / FILE
            fresh.touch(mode=0o600)
            fresh.write_text(json.dumps(said, indent=2), encoding="utf-8")
            fresh.replace(folder / FILE)
    except OSError as error:
        log.warning("the overrides were not copied to the disk: %s", error)


def kept(folder: Path) -> tuple[Override, ...]:
    """What the copy says; nothing where it cannot be read: then the rotation alone counts."""
    try:
        said = json.loads((folder / FILE).read_text(encoding="utf-8"))
        return tuple(
            Override(str(one["person"]), from_iso(one["begins"]), from_iso(one["ends"]), str(one["by"])) for one in said
        )
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.warning("the copy of the overrides cannot be read, the rotation alone counts: %s", error)
        return ()
