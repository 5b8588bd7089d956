"""What the Engine says of a container, read."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from paramedic.errors import TemporaryError
from paramedic.remediation.target import Identity
from paramedic.text.sanitize import one_line

_IMAGE = re.compile(r"[A-Za-z0-9_.:+-]{1,200}")


def mapping(found: object) -> Mapping[str, Any]:
    return found if isinstance(found, Mapping) else {}


def identity_of(seen: Mapping[str, Any]) -> Identity:
    """The running instance: its id, when it was started last, and its image. Raises TemporaryError, KeyError or TypeError."""
    state = seen["State"]
    instance = {"container": seen["Id"], "started_at": moment(state.get("StartedAt"))}
    return Identity(one_line(state["Status"]), instance, image_of(seen))


def image_of(seen: Mapping[str, Any]) -> str | None:
    """The id of its image; None where the Engine names none that can be kept and asked for, `sha256:…`."""
    image = seen.get("Image")
    return image if isinstance(image, str) and _IMAGE.fullmatch(image) else None


def moment(text: object) -> float | None:
    """Seconds since the epoch of `2026-11-29T19:02:48.758633109Z`, to the microsecond; None for Go's zero: it never began."""
    if not isinstance(text, str) or not text or text.startswith("0001-"):
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError as error:
        raise TemporaryError(f"the Docker Engine named an invalid time: {one_line(text):.40}") from error


def moment_of(text: object) -> datetime | None:
    """The moment, with its zone; None for none. Raises TemporaryError where it is no time."""
    seconds = moment(text)
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def network_of(seen: Mapping[str, Any]) -> object:
    """`host`, `container:ID`, …; nothing where it is not told, as in podman's list."""
    return mapping(seen.get("HostConfig")).get("NetworkMode")
