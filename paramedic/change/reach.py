"""A target's host that is not reached: others are asked for their view, and what is known of it is kept.."""

import logging
import threading
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from urllib.parse import urlsplit

from paramedic.catalog.library import open_library
from paramedic.change.run import PlaybookRun
from paramedic.doors import reading
from paramedic.incidents.evidence import Evidence, bounded
from paramedic.machine.clock import boottime, utc_now
from paramedic.remediation.health import Health
from paramedic.remediation.host import Host, SshAccess
from paramedic.remediation.reach import Verdict, View, judged
from paramedic.remediation.target import Target
from paramedic.store import incidents
from paramedic.text.redaction import redact
from paramedic.text.sanitize import one_line
from paramedic.text.yaml_document import BadDocument

log = logging.getLogger(__name__)

#: How long the other hosts have, all together; so much of it is for the addresses, once their threads have begun.
PATIENCE = timedelta(seconds=6)
_SHARE_FOR_ANSWERS = 0.1

#: The kind of the piece of evidence.
KIND = "reach"

_PORTS = {"http": 80, "https": 443}


def look_around(run: PlaybookRun, seen: Health) -> Verdict:
    """Ask this machine and the hosts of `seen_from` for their view of the target's host; returns what they say together.

    It is put on the incident's timeline, and kept in `run.of_its_host` for the evidence. `seen`: our last look at the target.
    Nothing that it says begins a change. Raises StoreUnavailable.
    """
    host = run.target.host
    ours, *others = _views(run)
    verdict = judged(host, ours, others)
    lines = [
        verdict.words,
        "",
        f"the target: {seen.why}",
        *(f"from {view.viewer}: {view.words}" for view in (ours, *others)),
    ]
    text = bounded(redact("\n".join(lines)), from_beginning=True)
    run.of_its_host = Evidence(KIND, utc_now(), text, from_beginning=True)
    with run.store.record() as tx:
        incidents.append_to_timeline(
            tx,
            run.incident.number,
            actor=run.holder,
            what="host.unreached",
            reason=redact(verdict.words),
            data={"host": host, "reach": verdict.reach.name.lower()},
        )
    run.say(verdict.words)
    return verdict


def _views(run: PlaybookRun) -> list[View]:
    """What each sees, side by side, within PATIENCE: we, or the host that leads to it, then the others of `seen_from`."""
    machine = run.target.machine
    if machine is None or machine.ssh is None:
        return [View("here", None, "it is reached by no SSH")]
    known, fault = _hosts(run)
    asked: dict[str, Host | None] = (
        {"here": None} if machine.ssh.jump is None else {machine.ssh.jump.name: machine.ssh.jump}
    )
    names = [next(iter(asked)), *machine.seen_from]
    asked |= {name: known[name] for name in machine.seen_from if name in known}
    seen: dict[str, View] = {}
    ends_at = boottime() + PATIENCE.total_seconds()
    deadline = ends_at - PATIENCE.total_seconds() * _SHARE_FOR_ANSWERS
    to = _addresses(run.target, machine.ssh)
    threads = [
        threading.Thread(target=partial(_ask, name, viewer, to, deadline, seen), name=f"view {name}", daemon=True)
        for name, viewer in asked.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, ends_at - boottime()))
    taken = dict(seen)  # as it is now: a thread that comes later changes it no more
    late = "it did not answer in time"
    return [taken.get(name) or View(name, None, late if name in asked else fault) for name in names]


def _hosts(run: PlaybookRun) -> tuple[Mapping[str, Host], str]:
    """The hosts of services.yaml as it is now, and why one is not among them."""
    try:
        return open_library(run.settings).services.hosts, "services.yaml lists it no more"
    except BadDocument as error:
        return {}, one_line(str(error))


def _ask(name: str, viewer: Host | None, to: list[tuple[str, int]], deadline: float, seen: dict[str, View]) -> None:
    try:
        seen[name] = reading.seen_from(viewer, to, deadline)
    except Exception as error:  # the edge of a thread: one that fails keeps no other from being asked
        log.exception("%s cannot be asked for its view", name)
        seen[name] = View(name, None, f"{type(error).__name__}: {one_line(str(error))}")


def _addresses(target: Target, access: SshAccess) -> list[tuple[str, int]]:
    """Where the host and its target answer, as services.yaml has them."""
    found = [(access.address, access.port)]
    url = urlsplit(target.health or "")
    if url.hostname:
        found.append((url.hostname, url.port or _PORTS.get(url.scheme, 80)))
    return list(dict.fromkeys(found))
