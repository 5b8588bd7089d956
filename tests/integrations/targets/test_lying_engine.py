"""Containers against a Docker Engine that lies, hangs, and says what a real one cannot be made to say."""

import json
import socket
import tempfile
import time
from contextlib import suppress
from datetime import timedelta

import pytest
from lying_engine import AFTER, BEFORE, ID, JUDGED, answering, container, said

from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TemporaryError
from paramedic.integrations.targets.container import EVIDENCE, Changer, Reader, forbidden, restarted, running
from paramedic.kinds.docker_engine import ANSWER_LIMIT
from paramedic.remediation.target import Identity, Target
from paramedic.transports.local import Local


def test_an_instance_is_its_id_and_its_start() -> None:
    with answering(BEFORE) as (target, asked):
        assert Reader(target, Local()).identity() == JUDGED
    assert asked[0].startswith(b"GET /containers/web/json HTTP/1.1\r\nHost: docker\r\n")


@pytest.mark.parametrize(
    "lie",
    [
        b"",
        b"\x00\xff",
        b"HTTP/1.1 200 OK\r\n\r\n",
        BEFORE[:-20],
        said("200 OK", b"[]"),
        said("200 OK", b'{"Id": "x", "Name": "/web"}'),
        said("200 OK", b'{"Id": "x", "Name": "/web", "State": {"Status": "running", "StartedAt": "noon"}}'),
        said("500 Internal Server Error", b'{"message": "busy"}'),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n" + b" " * (ANSWER_LIMIT + 1),
    ],
)
def test_what_cannot_be_understood_may_go_better_in_a_moment(lie: bytes) -> None:
    with answering(lie) as (target, _), pytest.raises(TemporaryError):
        Reader(target, Local()).identity()


@pytest.mark.parametrize(
    "answer",
    [b"", b"nonsense", b"HTTP/1.1 204", said("504 Gateway Timeout"), said("503 Service Unavailable", b"<html>")],
)
def test_after_the_send_no_whole_answer_leaves_the_outcome_open(answer: bytes) -> None:
    if answer == b"HTTP/1.1 204":
        answer = b"HTTP/1.1 "
    with (
        answering(BEFORE, BEFORE, answer) as (target, asked),
        pytest.raises(OutcomeUnknown, match="its outcome is open"),
    ):
        Changer(target, Local()).restart(JUDGED, lambda: None)
    assert asked[2].startswith(b"POST /containers/%s/restart?t=10 HTTP/1.1\r\n" % ID.encode())


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ("409 Conflict", "container is marked for removal and cannot be started"),
        ("409 Conflict", "removal of container is already in progress"),
        ("500 Internal Server Error", "tried to kill container, but did not receive an exit event"),
        ("500 Internal Server Error", "driver failed programming external connectivity: port is already allocated"),
        ("403 Forbidden", "forbidden by the proxy"),
    ],
)
def test_a_no_of_the_engine_is_a_failure_in_its_words_with_the_state_that_it_left(status: str, message: str) -> None:
    no = said(status, json.dumps({"message": message}).encode())
    left = container("2026-11-29T19:02:48.758633109Z", "exited")
    with (
        answering(BEFORE, BEFORE, no, left) as (target, _),
        pytest.raises(PermanentError, match=f"{message}; it is exited now"),
    ):
        Changer(target, Local()).restart(JUDGED, lambda: None)


def test_one_that_says_done_and_did_nothing_has_failed() -> None:
    with (
        answering(BEFORE, BEFORE, said("204 No Content"), BEFORE) as (target, _),
        pytest.raises(PermanentError, match="come up"),
    ):
        Changer(target, Local()).restart(JUDGED, lambda: None)


def test_one_that_its_restart_policy_starts_over_and_over_is_not_up() -> None:
    looping = container("2026-11-29T19:02:51Z", "restarting")
    with (
        answering(BEFORE, BEFORE, said("204 No Content"), looping) as (target, _),
        pytest.raises(PermanentError, match="restarting"),
    ):
        Changer(target, Local()).restart(JUDGED, lambda: None)


def test_one_that_is_stopped_already_is_started_and_304_is_no_failure() -> None:
    with answering(BEFORE, BEFORE, said("304 Not Modified"), said("304 Not Modified"), AFTER) as (target, asked):
        assert restarted(JUDGED, Changer(target, Local()).stop_and_start(JUDGED, lambda: None))
    assert [line.split()[1].rpartition(b"/")[2] for line in asked[2:4]] == [b"stop?t=10", b"start"]


def test_an_engine_that_is_gone_between_stop_and_start_leaves_the_outcome_open() -> None:
    with answering(BEFORE, BEFORE, said("204 No Content"), b"") as (target, _), pytest.raises(OutcomeUnknown):
        Changer(target, Local()).stop_and_start(JUDGED, lambda: None)


@pytest.mark.parametrize("state", ["paused", "removing", "dead", "stopping"])
def test_what_somebody_else_works_on_is_left_alone(state: str) -> None:
    busy = container("2026-11-29T19:02:48.758633109Z", state)
    with answering(busy, busy) as (target, _), pytest.raises(Refused, match=f"is {state}"):
        Changer(target, Local()).restart(JUDGED, lambda: None)


@pytest.mark.parametrize(("server", "sent"), [("Docker/24.0.7 (linux)", 1), ("Libpod/4.3.1 (linux)", 0), ("", 0)])
def test_what_is_removed_when_it_stops_is_restarted_by_docker_alone(server: str, sent: int) -> None:
    """podman's cleanup may come before its restart has the container again; who hides what it is may be podman."""
    state = {"Status": "running", "StartedAt": "2026-11-29T19:02:48.758633109Z"}
    passing = {"Id": ID, "Name": "/web", "State": state, "Config": {}, "HostConfig": {"AutoRemove": True}}
    seen = said("200 OK", json.dumps(passing).encode(), server=server)
    with answering(seen, seen, said("204 No Content"), AFTER) as (target, asked), suppress(Refused):
        Changer(target, Local()).restart(JUDGED, lambda: None)
    assert [line.split()[0] for line in asked].count(b"POST") == sent
    with answering(seen, said("404 Not Found", b"{}")) as (target, _):
        assert bool(forbidden(target, Local(), "restart")) is not bool(sent)


@pytest.mark.parametrize("stop", [28, 3600, -1])
def test_a_stop_that_may_outlast_the_deadline_is_refused(stop: int) -> None:
    slow = container("2026-11-29T19:02:48.758633109Z", stop=stop)
    with answering(slow, slow) as (target, _), pytest.raises(Refused, match="to stop"):
        Changer(target, Local()).restart(JUDGED, lambda: None)


def test_a_container_of_another_host_is_not_looked_for_here() -> None:
    away = Target("web-9/container:web", "shop", "web-9", "container", "web", "/nowhere")
    with pytest.raises(PermanentError, match="is a container of web-9"):
        Reader(away, Local()).identity()


def test_an_engine_that_hangs_is_asked_no_longer_than_the_time_out() -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{folder}/s")
        server.listen()
        target = Target("localhost/container:web", "shop", "localhost", "container", "web", f"{folder}/s")
        begun = time.monotonic()
        with pytest.raises(TemporaryError, match="did not answer in time"):
            Reader(target, Local(), timedelta(seconds=0.3)).identity()
        assert time.monotonic() - begun < 2


@pytest.mark.parametrize("framed", [b"", b"\x01\0\0\0", b"\x01\0\0\0\xff\xff\xff\xffcut", b"\x02\0\0\0\0\0\0\x03bad"])
def test_frames_of_a_log_that_are_cut_or_lie_are_shown_as_far_as_they_go(framed: bytes) -> None:
    with answering(BEFORE, said("200 OK", b"\x01\0\0\0\0\0\0\x03ok\n" + framed)) as (target, _):
        assert EVIDENCE["last-log"](target, Local()).text.startswith("ok\n")


def test_nothing_but_the_send_follows_the_last_look() -> None:
    with answering(BEFORE, BEFORE, said("204 No Content"), AFTER) as (target, asked):
        seen: list[int] = []
        Changer(target, Local()).restart(JUDGED, lambda: seen.append(len(asked)))
    assert seen == [2]
    assert [line.split()[0] for line in asked] == [b"GET", b"GET", b"POST", b"GET"]


@pytest.mark.parametrize("remedy", ["restart", "stop_and_start"])
@pytest.mark.parametrize(
    ("label", "name", "by_hand"),
    [
        ("PODMAN_SYSTEMD_UNIT", "shop.service", "systemctl restart shop.service"),
        ("com.docker.swarm.service.name", "shop_web", "docker service update --force shop_web"),
        ("io.kubernetes.pod.name", "shop-7f", "kubectl delete pod shop-7f"),
        ("com.hashicorp.nomad.alloc_id", "8a1c", "nomad alloc restart 8a1c"),
        ("com.amazonaws.ecs.task-arn", "arn:x; reboot", "stop-task --task 'arn:x; reboot'"),
    ],
)
def test_what_would_be_replaced_when_it_stops_is_left_to_its_owner(
    label: str, name: str, by_hand: str, remedy: str
) -> None:
    owned = container("2026-11-29T19:02:48.758633109Z", **{label: name})
    with answering(owned, owned, owned) as (target, asked):
        with pytest.raises(Refused, match="is not the Engine's to restart") as refusal:
            getattr(Changer(target, Local()), remedy)(JUDGED, lambda: None)
        assert name in str(forbidden(target, Local(), remedy))
    assert by_hand in refusal.value.by_hand
    assert all(line.startswith(b"GET") for line in asked)


@pytest.mark.parametrize(
    "labels",
    [
        {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"},
        {"com.docker.compose.project": "shop", "PODMAN_SYSTEMD_UNIT": "podman-compose@shop.service"},
    ],
)
def test_what_compose_has_made_is_restarted(labels: dict[str, str]) -> None:
    made = container("2026-11-29T19:02:48.758633109Z", **labels)
    with answering(made, made, said("204 No Content"), AFTER) as (target, _):
        assert restarted(JUDGED, Changer(target, Local()).restart(JUDGED, lambda: None))
    with answering(made) as (target, _):
        assert "made by Compose, as: shop" in EVIDENCE["state"](target, Local()).text


@pytest.mark.parametrize("state", ["stopped", "configured", "initialized", "exited", "created", "restarting"])
def test_podmans_and_dockers_words_for_what_does_not_run(state: str) -> None:
    down = container("2026-11-29T19:02:48.758633109Z", state)
    with answering(down, down, said("204 No Content"), AFTER) as (target, _):
        assert not running(Identity(state, JUDGED.instance))
        assert restarted(JUDGED, Changer(target, Local()).restart(JUDGED, lambda: None))


@pytest.mark.parametrize(("remedy", "asks"), [("restart", ["restart"]), ("stop_and_start", ["stop", "start"])])
def test_who_may_is_asked_about_a_container_that_does_not_exist(remedy: str, asks: list[str]) -> None:
    gone = said("404 Not Found", b'{"message": "no such container"}')
    with answering(BEFORE, gone, gone) as (target, asked):
        assert forbidden(target, Local(), remedy) is None
    posts = [line.split()[1].decode() for line in asked[1:]]
    assert [path.rpartition("/")[2] for path in posts] == asks
    assert not any(ID in path or "/web" in path for path in posts)


def test_a_proxy_that_lets_looks_through_alone_is_named() -> None:
    with answering(BEFORE, said("403 Forbidden", b"<html><b>Request forbidden by administrative rules.")) as (
        target,
        _,
    ):
        why = forbidden(target, Local(), "restart")
    assert why is not None
    assert "allows looks and no restart (it says 403 <html><b>Request forbidden" in why


def test_who_may_is_not_known_where_the_engine_does_not_answer() -> None:
    with (
        answering(BEFORE, said("503 Service Unavailable")) as (target, _),
        pytest.raises(TemporaryError, match="503"),
    ):
        forbidden(target, Local(), "restart")


def test_a_health_check_that_was_never_carried_out_is_shown_as_starting() -> None:
    state = {"Status": "running", "OOMKilled": True, "Health": {"Status": "starting", "FailingStreak": 0, "Log": None}}
    seen = {"Id": ID, "Name": "/web", "State": state, "HostConfig": None, "Config": None, "RestartCount": 7}
    with answering(said("200 OK", json.dumps(seen).encode())) as (target, _):
        shown = EVIDENCE["state"](target, Local()).text.splitlines()
    assert "health: starting" in shown
    assert "killed for memory (OOMKilled): True" in shown
    assert "restarts by its policy: 7 (no)" in shown


@pytest.mark.parametrize("named", [f"container:{ID}", "container:web"])
@pytest.mark.parametrize("remedy", ["restart", "stop_and_start"])
def test_what_shares_its_network_with_another_is_left_alone(named: str, remedy: str) -> None:
    rows = [("/vpn-user", named), ("/other", "container:" + "b" * 64), ("/web", "bridge")]
    listed = [{"Id": "c" * 64, "Names": [name], "HostConfig": {"NetworkMode": mode}} for name, mode in rows]
    with answering(BEFORE, BEFORE, others=json.dumps(listed).encode()) as (target, asked):
        with pytest.raises(Refused, match="shares its network with vpn-user: a restart would cut") as refusal:
            getattr(Changer(target, Local()), remedy)(JUDGED, lambda: None)
        assert "docker restart web vpn-user" in str(forbidden(target, Local(), remedy))
    assert "`docker restart web vpn-user`" in refusal.value.by_hand
    assert all(line.startswith(b"GET") for line in asked)


@pytest.mark.parametrize("lie", [b"{}", b"[", b'{"message": "no"}'])
def test_who_shares_its_network_has_to_be_known(lie: bytes) -> None:
    with answering(BEFORE, others=lie) as (target, asked), pytest.raises(TemporaryError):
        Changer(target, Local()).restart(JUDGED, lambda: None)
    assert all(line.startswith(b"GET") for line in asked)


def test_the_memory_of_what_does_not_run_is_not_nothing() -> None:
    stats = json.dumps({"memory_stats": {}, "pids_stats": {}}).encode()
    with answering(BEFORE, said("200 OK", stats)) as (target, _), pytest.raises(TemporaryError, match="may not run"):
        EVIDENCE["memory"](target, Local())
