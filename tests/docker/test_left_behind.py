"""What a roll-back that was cut off has left: found by the next look, and told with the commands that put it back."""

import json
from datetime import timedelta
from typing import Any

import pytest
from lying_engine import ID, answering, said

from paramedic.docker import releases, spec
from paramedic.docker.replace import Replacement
from paramedic.errors import OutcomeUnknown, PermanentError
from paramedic.integrations.targets.container import EVIDENCE, Reader, mark
from paramedic.kinds.docker_engine import Engine
from paramedic.machine.clock import boottime
from paramedic.transports.local import Local

GONE = said("404 Not Found", b'{"message": "No such container: web"}')


def row(name: str, created: int, **labels: str) -> dict[str, Any]:
    return {"Id": name[-1] * 64, "Names": [f"/{name}"], "Created": created, "Labels": labels}


def marks(old: str, policy: str) -> dict[str, str]:
    return {spec.REPLACED: old, spec.POLICY: policy}


def new(old: str, policy: str = "always") -> dict[str, Any]:
    return row("web-paramedic-new", 9) | {"Labels": marks(old, policy)}


def test_the_one_that_ran_last_is_named_not_one_that_an_older_roll_back_kept() -> None:
    rows = [row("web-paramedic-before-f", 3), row("web-paramedic-before-a", 7), row("web-paramedic-undone-b", 8)]
    with answering(GONE, others=json.dumps(rows).encode()) as (target, _), pytest.raises(PermanentError) as told:
        Reader(target, Local()).identity()
    assert "`docker rename web-paramedic-before-a web` and `docker start web`" in str(told.value)
    assert "web-paramedic-before-f" not in str(told.value)


def test_a_restart_policy_that_was_taken_is_given_again_by_the_commands() -> None:
    rows = [new("a" * 64), row("web-paramedic-before-a", 7)]
    with answering(GONE, others=json.dumps(rows).encode()) as (target, _), pytest.raises(PermanentError) as told:
        Reader(target, Local()).identity()
    assert (
        "`docker rename web-paramedic-before-a web`, `docker update --restart=always web` and `docker start web`"
        in str(told.value)
    )


@pytest.mark.parametrize(
    ("rows", "taken"),
    [
        ([new(ID)], True),
        ([new("b" * 64)], False),  # it replaces another one
        ([new(ID, policy="on-failure")], False),  # which nothing takes
        ([new(ID, policy="$(reboot)")], False),
        ([], False),
    ],
)
def test_the_evidence_tells_a_restart_policy_that_was_taken(rows: list[dict[str, Any]], taken: bool) -> None:
    state = {"Status": "exited", "StartedAt": "2026-11-29T19:02:48.758633109Z"}
    seen = said("200 OK", json.dumps({"Id": ID, "Name": "/web", "State": state}).encode())
    with answering(seen, others=json.dumps(rows).encode()) as (target, _):
        told = EVIDENCE["state"](target, Local()).text
    assert ("restart policy that a roll-back took from it: always" in told) is taken
    assert ("left beside it by a roll-back: web-paramedic-new" in told) is bool(rows)


def test_an_undo_whose_stop_is_not_answered_is_open_and_says_how_to_go_on() -> None:
    seen = {"Id": ID, "Name": "/web", "Image": "sha256:1", "Config": {"Labels": marks("a" * 64, "no")}}
    old = said("200 OK", json.dumps({"Id": "a" * 64, "Image": "sha256:2"}).encode())
    with answering(old, b"") as (target, asked):
        replacement = Replacement(target, Engine(target, Local()), boottime() + 10)
        with pytest.raises(OutcomeUnknown, match="by hand.*`docker start web`"):
            replacement.undo("sha256:1", seen, 1, lambda: None)
    assert [line.split()[1].split(b"/")[-1] for line in asked] == [b"json", b"stop?t=1"]


@pytest.mark.parametrize(
    ("act", "state", "told"),
    [
        ("act-1", "exited", "web was stopped for it, and not replaced: `docker start web`, `docker update --restart=always web`"),
        ("act-1", "running", "web is the container that ran before; web-paramedic-new, made for it, was never started"),
        ("act-2", "exited", None),  # what another act has left
        ("", "exited", None),
    ],
)  # fmt: skip
def test_an_open_roll_back_is_known_by_the_container_that_it_has_made(act: str, state: str, told: str | None) -> None:
    made = new(ID)
    rows = [
        made | {"Labels": made["Labels"] | {spec.ACT: "act-1"}, "State": "created"},
        row("web", 1) | {"Id": ID, "State": state},
    ]
    with answering(GONE, others=json.dumps(rows).encode()) as (target, _):
        found = mark(target, Local(), act)
    assert (found is None) is (told is None)
    assert found is None or (told is not None and found.words.startswith(told) and found.code is None)


@pytest.mark.parametrize("image", ["sha256:1\x00", "sha256:1\r\nX: y", "../containers/db", "", 7, "a" * 201])
def test_an_image_whose_name_cannot_be_one_is_not_noted(image: object) -> None:
    state = {"Status": "running", "StartedAt": "2026-11-29T19:02:48.758633109Z"}
    seen = said("200 OK", json.dumps({"Id": ID, "Name": "/web", "Image": image, "State": state}).encode())
    with answering(seen) as (target, _):
        assert Reader(target, Local()).identity().revision is None


def test_an_image_is_asked_for_by_its_name_alone() -> None:
    with answering(said("200 OK", b"{}")) as (target, asked):
        releases.image(Engine(target, Local()), "a\r\nX: y/../b", boottime() + timedelta(seconds=5).total_seconds())
    assert asked[0].startswith(b"GET /images/a%0D%0AX:%20y%2F..%2Fb/json HTTP/1.1\r\n")
