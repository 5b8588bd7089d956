"""The lines that a supervised program printed, from the files that supervisord writes them into."""

from collections.abc import Callable

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.evidence import Gathered
from paramedic.text.sanitize import visible

#: So many bytes of each file are asked for.
_SIZE = 262_144

#: supervisord sends only what is UTF-8. A cut in the middle of a character is not: it ends within three bytes. Where other bytes
#: are in between, what follows them may be: so many of the last bytes are tried.
_SIZES = (_SIZE, *(_SIZE - shift for shift in (1, 2, 3)), _SIZE // 8, _SIZE // 64)

_BY_FILE = "name the file as `log` in services.yaml, and it is read without supervisord"


def last_lines(read: Callable[[str, int], str], lines: int) -> Gathered:
    """The last lines of stdout, then of stderr, without a time; and what is missing of them.

    `read`: the last bytes of the file of `Stdout` or `Stderr`. Raises PermanentError or TemporaryError where neither is read.
    """
    parts: list[str] = []
    unseen: list[str] = []
    for channel in ("Stdout", "Stderr"):
        try:
            size, text = _read(read, channel)
        except (PermanentError, TemporaryError) as error:
            unseen.append(f"its {channel.lower()}: {error}; {_BY_FILE}")
            continue
        found = visible(text).splitlines()
        if len(text.encode()) >= size - 3:
            found = found[1:]  # it has lost its beginning
            unseen.append(
                f"its {channel.lower()}: only the last {min(len(found), lines):,} lines were read, {size:,} bytes"
            )
        elif len(found) > lines:
            unseen.append(f"its {channel.lower()}: only the last {lines:,} lines were read")
        parts += found[-lines:]
    if len(unseen) == 2 and not parts:
        raise PermanentError("; ".join(unseen))
    return Gathered("\n".join(parts), [why for why in unseen if not _of_none(why)])


def _read(read: Callable[[str, int], str], channel: str) -> tuple[int, str]:
    for size in _SIZES:
        try:
            return size, read(channel, size)
        except TemporaryError as error:
            fault = error
    raise fault


def _of_none(why: str) -> bool:
    """Whether there is no such file: stderr goes into that of stdout (`redirect_stderr`), or nowhere."""
    return why.startswith("its stderr: ") and "NO_FILE" in why
