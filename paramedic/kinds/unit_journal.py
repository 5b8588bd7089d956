"""The journal of a systemd unit: how its lines are asked for, and what is missing of them."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.evidence import Gathered
from paramedic.kinds.transport import MOST_KEPT, Ended
from paramedic.text.sanitize import one_line

#: Shows the journal's own first line, and on stderr whether this user sees all of it.
FIRST = ("sh", "-c", "journalctl --no-pager --output=short-unix | head -n 3")

GROUP = "the group systemd-journal would show them"

#: Of an output that was cut the line is left out that has lost its beginning: journald takes no longer one from a program.
_MAY_BE_CUT = MOST_KEPT - 48 * 1024

_EPOCH = re.compile(r"(\d{9,11})\.\d+ ")
_SUPPRESSED = re.compile(r"^\S+ \S+ systemd-journald\[\d+\]: Suppressed (\d+) messages from ", re.MULTILINE)


def lines_of(unit: str, lines: int, form: str = "short-unix") -> tuple[str, ...]:
    """The command that shows the unit's last lines, oldest first, each after its time.

    `--all`: a line in another encoding, or with a control character, is shown, and not as `[57B blob data]`. Never with
    `--since`: together with that `--lines` is the number of the first lines.
    """
    return ("journalctl", "--no-pager", "--quiet", "--all", f"--output={form}", f"--lines={lines}", f"--unit={unit}")


def read(unit: str, lines: int, since: float, ended: Ended, first: Callable[[], Ended]) -> Gathered:
    """What `lines_of` has shown that is not older than `since`, and in words what is missing of it; `first` runs FIRST.

    Raises PermanentError where the journal may not be read.
    """
    if ended.code != 0:
        why = one_line(ended.errors or ended.output)[-500:] or f"journalctl ended with {ended.code}"
        raise PermanentError(f"{why}; {GROUP}")
    shown = ended.output.splitlines()
    begin = next(
        (n for n, line in enumerate(shown) if (time := _EPOCH.match(line)) and float(time[1]) >= since), len(shown)
    )
    text = "\n".join(shown[begin:])
    if begin > 0:
        unseen = []
    elif len(shown) >= lines or len(text.encode()) >= _MAY_BE_CUT:
        unseen = [f"only the last {len(shown):,} lines were read, back to {_time_of(text)}"]
    else:
        unseen = _before(since, first)
    if dropped := sum(map(int, _SUPPRESSED.findall(text))):
        unseen.append(f"journald has suppressed {dropped:,} more lines: LogRateLimitBurst= of {unit} keeps them")
    return Gathered(text, unseen)


def hidden(first: Callable[[], Ended]) -> list[str]:
    """What of a journal this user may not see, in words; `first` runs FIRST."""
    try:
        return _of_others(first())
    except (PermanentError, TemporaryError) as error:
        return [f"whether this user may see all of it: {error}"]


def _of_others(seen: Ended) -> list[str]:
    return [f"messages of other users and the system; {GROUP}"] if "not seeing messages" in seen.errors else []


def _before(since: float, first: Callable[[], Ended]) -> list[str]:
    """What nobody can see of the time since then, although all lines that there are were read."""
    try:
        seen = first()
    except (PermanentError, TemporaryError) as error:
        return [f"whether older lines were removed: {error}"]
    found = _of_others(seen)
    times = [float(time[1]) for line in seen.output.splitlines() if (time := _EPOCH.match(line))]
    if times and times[0] > since:
        found.append(
            f"the journal itself begins at {_spoken(times[0])}: what came before was removed, or was never kept "
            "(SystemMaxUse= and Storage= of journald.conf)"
        )
    return found


def _time_of(text: str) -> str:
    time = _EPOCH.match(text)
    return _spoken(float(time[1])) if time else "an unknown time"


def _spoken(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%SZ}"
