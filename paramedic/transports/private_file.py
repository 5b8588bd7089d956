"""Files by which Paramedic logs in somewhere: no other user may read them."""

import stat
from pathlib import Path

from paramedic.errors import PermanentError


def must_be_private(file: Path) -> None:
    """Raises PermanentError where other users can read the file: a token or a key in it logs in as Paramedic."""
    try:
        others = stat.S_IMODE(file.stat().st_mode) & 0o077
    except OSError as error:
        raise PermanentError(f"{file} cannot be read: {error.strerror}") from error
    if others:
        raise PermanentError(f"other users can read {file}, by which Paramedic logs in: `chmod 600 {file}`")
