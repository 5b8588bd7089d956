"""What changed of a container: when it was made, started and ended, and the images that Paramedic has seen it run."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from paramedic.docker.answers import mapping, moment_of
from paramedic.docker.look import Reader
from paramedic.kinds.changes import Change, Changes
from paramedic.kinds.transport import Transport
from paramedic.remediation.target import Target
from paramedic.text.sanitize import one_line


def changes(target: Target, transport: Transport, since: datetime, deadline: float) -> Changes:
    """What changed since then, by what the Engine says and what was noted. Raises as `Reader.identity` does."""
    seen = Reader(target, transport, by=deadline).inspected()
    found = [change for change in _of(target, seen) if change.at >= since]
    if target.noted:
        return Changes(found)
    return Changes(
        found,
        [f"images of before: Paramedic has noted none of {target.id} yet; `docker events` and the registry have them"],
    )


def _of(target: Target, seen: Mapping[str, Any]) -> Iterator[Change]:
    state, image = mapping(seen.get("State")), one_line(str(seen.get("Image")))
    name = one_line(str(mapping(seen.get("Config")).get("Image")))
    moments = {
        f"the container was made, of the image {name} ({image:.19})": seen.get("Created"),
        "the container was started": state.get("StartedAt"),
        f"the container ended, with exit code {state.get('ExitCode')}": state.get("FinishedAt"),
    }
    for what, text in moments.items():
        if (at := moment_of(text)) is not None:
            yield Change(at, what)
    for release in target.noted:
        if release.deployed_at is not None:
            yield Change(release.deployed_at, f"the image {release.id:.19} was seen for the first time")
