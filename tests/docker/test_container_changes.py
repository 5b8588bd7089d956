"""What changed of a container in the last day: its own moments, and the images that Paramedic has noted."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from lying_engine import ID, answering, said

from paramedic.change.gathering import gather
from paramedic.doors import reading
from paramedic.errors import PermanentError
from paramedic.integrations.targets.container import changes
from paramedic.kinds.changes import Changes
from paramedic.machine.clock import boottime, utc_now
from paramedic.remediation.host import Host
from paramedic.remediation.release import Release
from paramedic.transports.local import Local

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
IMAGES = [f"sha256:{digit * 64}" for digit in "ab"]


def seen(created: str = "2026-01-31T10:00:00Z", status: int = 200) -> bytes:
    state = {
        "Status": "running",
        "StartedAt": "2026-01-31T11:00:00.5Z",
        "FinishedAt": "2026-01-31T10:59:58Z",
        "ExitCode": 137,
    }
    found = {"Id": ID, "Name": "/web", "State": state, "Image": IMAGES[0], "Created": created}
    return said(f"{status} so", json.dumps({**found, "Config": {"Image": "shop:2\x1b[2J"}}).encode())


def looked(answer: bytes, *noted: Release) -> Changes:
    with answering(answer) as (target, _):
        return changes(replace(target, noted=noted), Local(), NOW - timedelta(days=1), boottime() + 5)


def test_its_own_moments_and_the_images_that_were_noted() -> None:
    noted = [Release(image, NOW - timedelta(hours=age), None, None) for image, age in zip(IMAGES, (2, 70), strict=True)]
    found = looked(seen(), *noted)
    assert {(f"{change.at:%d %H:%M}", change.what) for change in found.found} == {
        ("31 10:00", r"the container was made, of the image shop:2\x1b[2J (sha256:aaaaaaaaaaaa)"),
        ("31 11:00", "the container was started"),
        ("31 10:59", "the container ended, with exit code 137"),
        ("31 10:00", "the image sha256:aaaaaaaaaaaa was seen for the first time"),
    }
    assert list(found.unseen) == []


def test_without_a_noted_image_it_says_what_is_not_known() -> None:
    found = looked(seen(created="2025-01-01T00:00:00Z"))
    assert not any("was made" in change.what for change in found.found)
    [why] = found.unseen
    assert why.startswith("images of before: Paramedic has noted none of localhost/container:web yet; ")


def test_what_its_engine_does_not_say_leaves_what_changed_on_its_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "transport", lambda *_, **__: Local())
    with answering(seen(status=404), seen(status=404)) as (target, _):
        with pytest.raises(PermanentError, match="says 404"):
            changes(target, Local(), NOW, boottime() + 5)
        here = replace(target, machine=Host("localhost"))
        [look] = gather(here, ("recent-changes",), since=utc_now(), patience=timedelta(seconds=60))
    assert look.piece is not None, look.fault
    assert any(why.startswith("what changed of localhost/container:web itself: ") for why in look.unseen)
    assert not any("services.yaml names no `releases`" in why for why in look.unseen)
