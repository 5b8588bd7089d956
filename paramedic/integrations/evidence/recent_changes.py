"""What changed on the host in the last day: releases, packages, units, configuration, a start of the machine."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.evidence import Gathered, Of, Printed, Scene

ABOUT = (
    "what changed on the host in the last day: releases, packages, units, files under /etc, a start; the newest first"
)
OF = Of.HOST

_DAY = timedelta(days=1)

#: So many changes of each kind are shown.
_SHOWN = 60

# A file's time of change (ctime) moves with its content and with its coming from a package, whatever time it claims.
_SCRIPT = """
part clock; date '+%s %z'; cut -d' ' -f1 /proc/uptime
part dpkg
for log in /var/log/dpkg.log.1 /var/log/dpkg.log; do
[ -r "$log" ] && tail -n 20000 "$log" | grep -E ' (install|upgrade|remove|purge) ' | tail -n 500
done
part rpm
command -v rpm >/dev/null && timeout 2 rpm -qa --qf '%{INSTALLTIME} %{NAME} %{VERSION}-%{RELEASE}\\n' | sort -rn | head -n 200
part has; for p in dpkg rpm apk pacman; do command -v $p; done
part units
find /etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system -maxdepth 2 \
'(' -type f -o -type l ')' -cmin -1440 -printf '%C@ %p\\n' | sort -rn | head -n "$1"
found=$(find /etc -xdev -path /etc/systemd/system -prune -o -type f -cmin -1440 -printf '%C@ %p\\n')
part counted; printf '%s\\n' "$found" | grep -c .
part files; printf '%s\\n' "$found" | sort -rn | head -n "$1"
"""

_DPKG = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (install|upgrade|remove|purge) (\S+) (\S+) (\S+)", re.MULTILINE)
_NUMBERED = re.compile(r"^(\d+)(?:\.\d+)? (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Change:
    """One change of the host."""

    at: datetime
    what: str


def gather(scene: Scene) -> Gathered:
    """One look at each. What cannot be seen is said; raises as the transport does."""
    printed = scene.shell(_SCRIPT, str(_SHOWN))
    unseen = []
    changes, offset = [], timedelta()
    try:
        now, zone, uptime = printed.part("clock").split()
        offset = _zone(zone)
        changes.append(Change(_moment(float(now) - float(uptime)), "the host started"))
    except ValueError:
        unseen.append("when the host started: it has no /proc/uptime")
    changes += [*dpkg(printed.part("dpkg"), offset), *rpm(printed.part("rpm"))]
    changes += list(files(printed.part("units"), "unit"))
    configuration = list(files(printed.part("files"), "file"))
    releases, why = _releases(scene)
    changes += [*releases, *configuration]
    unseen += [*why, *not_seen(printed)]
    counted = printed.part("counted").strip()
    more = (
        f"\nof {counted} files under /etc the newest are shown" if counted.isdigit() and int(counted) > _SHOWN else ""
    )
    return Gathered(told([change for change in changes if change.at >= scene.now - _DAY], scene.since) + more, unseen)


def dpkg(text: str, offset: timedelta) -> Iterator[Change]:
    """The packages of dpkg's log, whose times are the host's own: `offset` from UTC."""
    for at, what, name, old, new in _DPKG.findall(text):
        moment = (datetime.fromisoformat(at) - offset).replace(tzinfo=UTC)
        versions = f"{old} to {new}" if what == "upgrade" else new if what == "install" else old
        yield Change(moment, f"package {name}: {what} {versions}")


def rpm(text: str) -> Iterator[Change]:
    """The packages of `rpm -qa`, from lines `installed-at name version`."""
    for at, rest in _NUMBERED.findall(text):
        yield Change(_moment(float(at)), f"package {rest}: installed")


def files(text: str, what: str) -> Iterator[Change]:
    """The files of `find`, from lines `changed-at path`."""
    for at, path in _NUMBERED.findall(text):
        yield Change(_moment(float(at)), f"{what} {path}")


def told(changes: list[Change], since: datetime) -> str:
    """The changes in words, the newest first, with a line where what is wrong began."""
    if not changes:
        return "nothing changed in the last day"
    lines, marked = [], False
    for change in sorted(changes, key=lambda change: change.at, reverse=True):
        if not marked and change.at < since:
            lines.append(f"{since:%Y-%m-%d %H:%M:%SZ}  --- what is wrong began; the changes before it are below ---")
            marked = True
        lines.append(f"{change.at:%Y-%m-%d %H:%M:%SZ}  {change.what}")
    return "\n".join(lines)


def not_seen(printed: Printed) -> Iterator[str]:
    """What of it could not be looked at, with what would have shown it."""
    managers = {line.rpartition("/")[2] for line in printed.part("has").splitlines()}
    if not managers & {"dpkg", "rpm"}:
        others = ", ".join(sorted(managers)) or "no package manager"
        yield f"packages: {others} on the host, which keeps no times that are read; dpkg's log or rpm would show them"
    elif "dpkg" in managers and not printed.part("dpkg") and "dpkg.log" in printed.errors:
        yield "packages: /var/log/dpkg.log may not be read; needs the group adm or root"
    if printed.not_permitted:
        yield "some folders of /etc may not be read; needs CAP_DAC_READ_SEARCH or root"
    if not printed.whole:
        yield "not all of it was looked at in time: `find /etc -xdev -type f -cmin -1440` shows the files"


def _releases(scene: Scene) -> tuple[list[Change], list[str]]:
    if scene.target.releases is None:
        return [], [f"releases: services.yaml names no `releases` for {scene.target.id}"]
    try:
        found = scene.releases()
    except (TemporaryError, PermanentError) as error:
        return [], [f"releases: {error}"]
    return [
        Change(release.deployed_at, f"release {release.id} deployed") for release in found if release.deployed_at
    ], []


def _zone(text: str) -> timedelta:
    """`+0130` as a duration. Raises ValueError."""
    size = timedelta(hours=int(text[1:3]), minutes=int(text[3:5]))
    return -size if text.startswith("-") else size


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
