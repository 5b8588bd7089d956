"""What containers run is noted round by round: what ran before a deployment is known by then."""

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fake_service import serving
from lying_engine import ID, answering, said

from paramedic.change.noted import with_noted
from paramedic.store import Store
from tasks.note_releases import note_what_runs
from tasks.scheduled import Round


def running(image: str, status: str = "running") -> bytes:
    state = {"Status": status, "StartedAt": "2026-11-29T19:02:48.758633109Z"}
    return said("200 OK", json.dumps({"Id": ID, "Name": "/web", "Image": image, "State": state}).encode())


def looked(store: Store, *answers: bytes, health: str | None) -> tuple[str, list[tuple[str, bool | None]]]:
    """What a round says that meets these answers, and what is noted after it."""
    with answering(*answers) as (target, _):
        listed = replace(target, health=health)
        this = SimpleNamespace(
            store=store,
            library=SimpleNamespace(services=[listed]),
            go_on=lambda: None,
            still_ours=lambda _tx: None,
        )
        words = note_what_runs(cast("Round", cast("Any", this)))
        return words, [(release.id, release.healthy) for release in with_noted(store, listed).noted]


def test_what_ran_before_a_deployment_is_known_after_it(store: Store) -> None:
    with serving() as service:
        assert looked(store, running("sha256:1"), running("sha256:1"), health=service.url) == (
            "; noted what 1 of 1 targets run",
            [("sha256:1", True)],
        )
        _, noted = looked(store, running("sha256:2"), running("sha256:2"), health=None)
    assert noted == [("sha256:2", None), ("sha256:1", True)]


@pytest.mark.parametrize(
    "answers",
    [
        [],
        [running("sha256:2", "exited")],
        [running("sha256:2"), running("sha256:3")],  # replaced while its health was asked for
        [said("500 Internal Server Error")],
    ],
)
def test_what_cannot_be_seen_whole_is_not_noted(store: Store, answers: list[bytes]) -> None:
    words, noted = looked(store, *answers, health=None)
    assert (words, noted) == ("; noted what 0 of 1 targets run", [])
