"""How far the clock is that dates a target's releases: of a cluster, of an Engine on a port, of an owner that does not tell."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import kubernetes_api
import pytest
from lying_engine import BEFORE, answering
from own_target import JOB
from tls_engine import port_before

from paramedic.doors.clocks import clock_distance
from paramedic.errors import PermanentError, TemporaryError
from paramedic.integrations.targets import container
from paramedic.kinds import plugin_folder
from paramedic.kinds.transport import Transport
from paramedic.remediation.host import Host
from paramedic.remediation.target import Target

WITHIN = timedelta(seconds=5)
SLOW = timedelta(minutes=-2)


def dated(answer: bytes, behind: timedelta) -> bytes:
    date = format_datetime(datetime.now(UTC).replace(microsecond=0) + behind, usegmt=True)
    return answer.replace(b"\r\n", f"\r\nDate: {date}\r\n".encode(), 1)


@pytest.mark.parametrize("ahead", [-120.0, 0.0, 33.0])
def test_a_cluster_s_clock_is_measured_to_the_second(tmp_path: Path, ahead: float) -> None:
    with kubernetes_api.serving() as api:
        api.ahead = ahead
        file = kubernetes_api.kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}")
        seen = clock_distance(kubernetes_api.target(kubernetes_api.cluster(file)), WITHIN)
        assert [request.path for request in api.requests] == ["/version"]
    assert seen is not None
    assert abs(seen.apart.total_seconds() - ahead) <= seen.uncertain.total_seconds() < 2


def test_a_cluster_that_tells_no_time_is_not_guessed_at(tmp_path: Path) -> None:
    with kubernetes_api.serving() as api:
        api.ahead = None
        file = kubernetes_api.kubeconfig(tmp_path, f"http://127.0.0.1:{api.port}")
        with pytest.raises(TemporaryError, match="the API server of prod-cluster does not tell its time"):
            clock_distance(kubernetes_api.target(kubernetes_api.cluster(file)), WITHIN)


@pytest.fixture
def remote(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on loopback is another machine."""
    monkeypatch.setattr(container, "_is_loopback", lambda _: False)


def engine(port: int) -> Target:
    words = container._Named.model_construct(name="web", socket=None, api=f"tcp://127.0.0.1:{port}", tls=None)
    return Target(
        "web-1/container:web", "shop", "localhost", "container", "web", f"tcp://127.0.0.1:{port}", words=words
    )


@pytest.mark.usefixtures("remote")
def test_the_clock_of_an_engine_on_another_machine_is_measured_by_the_date_of_its_answer() -> None:
    with answering(dated(BEFORE, SLOW)) as (at, asked), port_before(at.address) as port:
        seen = clock_distance(engine(port), WITHIN)
    assert seen is not None
    assert abs((seen.apart - SLOW).total_seconds()) <= seen.uncertain.total_seconds() < 2
    assert len(asked) == 1


@pytest.mark.usefixtures("remote")
def test_an_engine_that_tells_no_time_is_not_guessed_at() -> None:
    with (
        answering(BEFORE) as (at, _),
        port_before(at.address) as port,
        pytest.raises(TemporaryError, match="web-1/container:web does not tell its time"),
    ):
        clock_distance(engine(port), WITHIN)


def test_the_clock_of_an_engine_of_our_own_machine_is_ours() -> None:
    assert clock_distance(engine(1), WITHIN) is None
    assert (
        clock_distance(Target("a/container:w", "s", "a", "container", "w", "/run/docker.sock", words="w"), WITHIN)
        is None
    )


REMOTE = """
def is_remote(words):
    return True

class Releases:
    pass
"""


@pytest.mark.parametrize(
    ("more", "apart"),
    [
        ("", None),
        (REMOTE, "error"),
        (f"{REMOTE}\ndef owner_clock(target, transport):\n    return transport.now\n", SLOW),
    ],
    ids=["on its host", "elsewhere, and silent", "elsewhere"],
)
def test_an_owner_of_a_kind_of_ones_own_that_is_elsewhere_has_to_tell_its_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str, apart: timedelta | str | None
) -> None:
    class There:
        now = datetime.now(UTC).replace(microsecond=0) + SLOW

    def there(_target: Target) -> Transport:
        return There()  # type: ignore[return-value]

    (tmp_path / "targets").mkdir(mode=0o755)
    (tmp_path / "targets" / "job.py").write_text(JOB + more)
    plugin_folder.use(tmp_path)
    monkeypatch.setattr("paramedic.doors.clocks.transport", there)
    job = Target("web-1/job:nightly", "billing", "web-1", "job", "nightly", "/job.json", machine=Host("web-1"))
    try:
        if apart == "error":
            with pytest.raises(PermanentError, match="targets of the kind job do not tell the clock of their owner"):
                clock_distance(job, WITHIN)
            return
        seen = clock_distance(job, WITHIN)
    finally:
        plugin_folder.use(None)
    if apart is None:
        assert seen is None
    else:
        assert seen is not None
        assert abs((seen.apart - SLOW).total_seconds()) < 1.5
