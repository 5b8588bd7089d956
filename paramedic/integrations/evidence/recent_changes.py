"""What changed in the last day: releases and rollouts, packages, services, units, configuration, a start of the machine."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.changes import Change, told
from paramedic.kinds.evidence import Gathered, Of, Printed, Scene
from paramedic.kinds.host_changes import (
    UNIT_MESSAGES,
    UNIT_PROPERTIES,
    configuration,
    dpkg,
    files,
    journal,
    loaded,
    moment,
    newest,
    rpm,
    units,
    zone,
)

ABOUT = (
    "what changed in the last day, the newest first: releases and rollouts, packages, services started, stopped or failed, "
    "unit files, files under /etc and in its `configuration`, ConfigMaps, Secrets, a start of the host"
)
OF = Of.PLACE

_DAY = timedelta(days=1)

#: So many changes of each kind are shown.
_SHOWN = 60

# A file's time of change (ctime) moves with its content and with its coming from a package, whatever time it claims. Last is what
# may be on another machine's disk, and hang.
_SCRIPT = (
    """
part clock; date '+%s %z'; cut -d' ' -f1 /proc/uptime
part dpkg
for log in /var/log/dpkg.log.1 /var/log/dpkg.log; do
[ -r "$log" ] && tail -n 20000 "$log" | grep -E ' (install|upgrade|remove|purge) ' | tail -n 500
done
part rpm
command -v rpm >/dev/null && timeout 2 rpm -qa --qf '%{INSTALLTIME} %{NAME} %{VERSION}-%{RELEASE}\\n' | sort -rn | head -n 200
part has; for p in dpkg rpm apk pacman; do command -v $p; done
part services
TZ=UTC LC_ALL=C timeout 2 systemctl show --no-pager --property="""
    + ",".join(UNIT_PROPERTIES)
    + """ '*.service' 2>/dev/null | head -c 100000
part journal
command -v journalctl >/dev/null && timeout 2 journalctl --no-pager --since=-24h --output=json \
--output-fields=UNIT,MESSAGE_ID _PID=1 """
    + " ".join(f"MESSAGE_ID={name}" for name in UNIT_MESSAGES)
    + """ | tail -n 300
part units
find /etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system -maxdepth 2 \
'(' -type f -o -type l ')' -cmin -1440 -printf '%C@ %p\\n' | sort -rn | head -n "$1"
found=$(find /etc -xdev -path /etc/systemd/system -prune -o -type f -cmin -1440 -printf '%C@ %p\\n')
part counted; printf '%s\\n' "$found" | grep -c .
part files; printf '%s\\n' "$found" | sort -rn | head -n "$1"
most=$1; shift
part absent; for c do [ -e "$c" ] || printf '%s\\n' "$c"; done
part configured
for c do case $c in /*) ;; *) continue ;; esac
find -H "$c" -xdev -cmin -1440 '(' -type f -o -type d -o -type l ')' -printf '%C@ %y %p\\n'
done | sort -rn | head -n "$most"
"""
)


def gather(scene: Scene) -> Gathered:
    """One look at each. What cannot be seen is said; raises as the transport does where nothing is."""
    changes, unseen, more = list[Change](), list[str](), ""
    try:
        own = scene.changes(scene.now - _DAY)
    except (TemporaryError, PermanentError) as error:
        if not scene.on_machine:
            raise
        unseen.append(f"what changed of {scene.target.id} itself: {error}")
    else:
        found, why = (own.found, own.unseen) if own is not None else _releases(scene)
        changes += found
        unseen += why
    if scene.on_machine:
        printed = scene.shell(_SCRIPT, str(_SHOWN), *scene.target.configuration)
        changes += _of_host(printed, scene.now - _DAY)
        unseen += not_seen(printed)
        counted = printed.part("counted").strip()
        if counted.isdigit() and int(counted) > _SHOWN:
            more = f"\nof {counted} files under /etc the newest are shown"
    return Gathered(told([change for change in changes if change.at >= scene.now - _DAY], scene.since) + more, unseen)


def _of_host(printed: Printed, since: datetime) -> Iterator[Change]:
    started_at, offset = _clock(printed)
    if started_at is not None:
        yield Change(started_at, "the host started")
    yield from dpkg(printed.part("dpkg"), offset)
    yield from rpm(printed.part("rpm"))
    services = printed.part("services")
    of_services = [*units(services, started_at), *journal(printed.part("journal"), loaded(services))]
    yield from newest((each for each in of_services if each.at >= since), _SHOWN)
    yield from files(printed.part("units"), "unit file")
    yield from files(printed.part("files"), "file")
    yield from configuration(printed.part("configured"))


def _clock(printed: Printed) -> tuple[datetime | None, timedelta]:
    """When the host started, as far as that is told, and how far its local time is from UTC."""
    words = printed.part("clock").split()
    try:
        now, offset = float(words[0]), zone(words[1])
    except (ValueError, IndexError):
        return None, timedelta()
    try:
        return moment(now - float(words[2])), offset
    except (ValueError, IndexError):
        return None, offset


def not_seen(printed: Printed) -> Iterator[str]:
    """What of it could not be looked at, with what would have shown it."""
    if _clock(printed)[0] is None:
        yield "when the host started: it has no /proc/uptime"
    managers = {line.rpartition("/")[2] for line in printed.part("has").splitlines()}
    if not managers & {"dpkg", "rpm"}:
        others = ", ".join(sorted(managers)) or "no package manager"
        yield f"packages: {others} on the host, which keeps no times that are read; dpkg's log or rpm would show them"
    elif "dpkg" in managers and not printed.part("dpkg") and "dpkg.log" in printed.errors:
        yield "packages: /var/log/dpkg.log may not be read; needs the group adm or root"
    if "Id=" not in printed.part("services") and "services" in printed.parts:
        yield "services that were started, stopped or failed: no systemd tells it there; `systemctl list-units` would"
    elif "not seeing messages" in printed.errors:
        yield "services that systemd has unloaded since they stopped; the group systemd-journal would show them"
    for path in printed.part("absent").splitlines():
        yield f"configuration: {path} is not there, or this user may not look into its folder"
    if printed.not_permitted:
        yield "some folders of /etc or of its configuration may not be read; needs CAP_DAC_READ_SEARCH or root"
    if not printed.whole:
        yield "not all of it was looked at in time: `find /etc -xdev -type f -cmin -1440` shows the files"


def _releases(scene: Scene) -> tuple[list[Change], list[str]]:
    try:
        found = scene.releases()
    except (TemporaryError, PermanentError) as error:
        return [], [f"releases: {error}"]
    return [
        Change(release.deployed_at, f"release {release.id} deployed") for release in found if release.deployed_at
    ], []
