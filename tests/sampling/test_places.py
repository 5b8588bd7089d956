"""A check that is asked from several places: what more than half of them see counts, and who sees nothing has no voice."""

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Any

import pytest
from fake_service import Service, service, target
from hypothesis import given
from hypothesis import strategies as st

from paramedic.checks.check import Check, CheckSpec, Sample, check_spec
from paramedic.doors import transports
from paramedic.errors import PermanentError, TemporaryError
from paramedic.machine.clock import boottime
from paramedic.remediation.host import Host
from paramedic.sampling import one_sample
from paramedic.sampling.places import View, together

__all__ = ["service"]

WELL, FAILING, UNKNOWN = "well", "failing", "unknown"
PLACES = (Host("web-2"), Host("web-3"))


def view(place: int, sight: str, latency: float = 0.1) -> View:
    values = None if sight == UNKNOWN else {"latency": latency, "error": float(sight == FAILING)}
    return View(f"web-{place}", values, "…")


def shown(*sights: str) -> float | None:
    """The error that these places show together, None where they show nothing."""
    try:
        return together([view(place, sight) for place, sight in enumerate(sights)])[0]["error"]
    except PermanentError:
        return None


@pytest.mark.parametrize(
    ("sights", "error"),
    [
        ([WELL], 0),
        ([FAILING], 1),
        ([UNKNOWN], None),
        ([WELL, FAILING], None),
        ([FAILING, UNKNOWN], None),
        ([FAILING, FAILING], 1),
        ([FAILING, FAILING, WELL], 1),
        ([FAILING, FAILING, UNKNOWN], 1),
        ([FAILING, UNKNOWN, UNKNOWN], None),
        ([FAILING, WELL, UNKNOWN], None),
        ([WELL, WELL, FAILING], 0),
        ([WELL, UNKNOWN, UNKNOWN], None),
        ([FAILING, FAILING, WELL, WELL], None),
        ([FAILING, FAILING, FAILING, UNKNOWN], 1),
    ],
)
def test_more_than_half_of_all_places_decide(sights: list[str], error: float | None) -> None:
    assert shown(*sights) == error


def test_whatever_the_places_see_nobody_who_sees_nothing_counts() -> None:
    """All of what up to five places can see: a place that turns unknown never makes well or failing of what was not."""
    for count in range(1, 6):
        for sights in product((WELL, FAILING, UNKNOWN), repeat=count):
            known = shown(*sights)
            assert (known == 1) == (2 * sights.count(FAILING) > count)
            assert (known == 0) == (2 * sights.count(WELL) > count)
            for lost in range(count):
                assert shown(*sights[:lost], UNKNOWN, *sights[lost + 1 :]) in {known, None}


@given(st.lists(st.floats(0, 100), min_size=1, max_size=9))
def test_the_latency_is_the_median_of_those_that_agree(took: list[float]) -> None:
    others = [view(20 + each, FAILING, 1000.0) for each in range(len(took) - 1)]
    latency = together([*(view(each, WELL, one) for each, one in enumerate(took)), *others])[0]["latency"]
    assert sorted(took)[(len(took) - 1) // 2] <= latency <= sorted(took)[len(took) // 2]


def test_each_place_is_told_with_what_it_sees() -> None:
    views = [View("local", {"latency": 0.1, "error": 0.0}, "answered 200"), View("web-2", None, "not reached")]
    with pytest.raises(PermanentError, match="half of its 2 places") as error:
        together(views)
    assert str(error.value).endswith("local: well (answered 200); web-2: unknown (not reached)")


# --- a look, with doubles of the places -------------------------------------------------------------------------------


def made(**words: Any) -> Check:
    return check_spec(CheckSpec)(**words).build()


def look(check: Check, health: str | None = None) -> Sample:
    now = datetime.now(UTC)
    return one_sample.sample(check, target(health), now=lambda: now, last_heard=lambda _: None)


class Doubles:
    """The other hosts: each connects from here, or fails as it is said to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fails: dict[str, Exception] = {}
        self.lost: set[str] = set()
        self.asked: list[tuple[str, tuple[str, int]]] = []
        monkeypatch.setattr(transports, "line", self.line)
        monkeypatch.setattr(transports, "must_answer", self.must_answer)

    @contextmanager
    def line(self, viewer: Host, to: tuple[str, int], deadline: float) -> Iterator[socket.socket]:
        self.asked.append((viewer.name, to))
        if viewer.name in self.fails:
            raise self.fails[viewer.name]
        with socket.create_connection(to, deadline - boottime()) as made:
            yield made

    def must_answer(self, viewer: Host, _deadline: float) -> None:
        if viewer.name in self.lost:
            raise TemporaryError(f"{viewer.name} was lost meanwhile")


@pytest.fixture
def doubles(monkeypatch: pytest.MonkeyPatch) -> Doubles:
    return Doubles(monkeypatch)


def asked_from(address: str, *places: str, **words: Any) -> Check:
    return replace(made(check=address, **{"from": list(places)}, **words), places=PLACES)


def test_a_service_that_all_see_well_is_asked_by_each(service: Service, doubles: Doubles) -> None:
    seen = look(asked_from(service.url, "local", "web-2", "web-3"))
    assert seen.values is not None
    assert seen.values["error"] == 0
    assert seen.why == "local: well (answered 200); web-2: well (answered 200); web-3: well (answered 200)"
    assert sorted(name for name, _ in doubles.asked) == ["web-2", "web-3"]


def test_the_conditions_of_the_answer_count_at_each_place(service: Service, doubles: Doubles) -> None:
    words = {"status": [404], "send_headers": {"X-Of": "api"}}
    assert look(asked_from(service.url, "local", "web-2", "web-3", **words)).values["error"] == 1  # type: ignore[index]
    service.status = 404
    seen = look(asked_from(service.url, "local", "web-2", "web-3", **words))
    assert (seen.values or {})["error"] == 0, seen.why
    assert doubles.asked


def test_one_refusal_of_three_is_no_error_and_two_are(service: Service, doubles: Doubles) -> None:
    check = asked_from("health", "local", "web-2", "web-3")
    refused = ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
    doubles.fails["web-2"] = refused
    seen = look(check, service.url)
    assert (seen.values or {})["error"] == 0, seen.why
    assert "web-2: failing (could not connect: Connection refused)" in seen.why
    doubles.fails["web-3"] = refused
    assert (look(check, service.url).values or {})["error"] == 1


@pytest.mark.parametrize(
    "fault",
    [
        TemporaryError("web-2 could not be reached"),
        PermanentError("web-2 opens no channel"),
        TimeoutError(errno.ETIMEDOUT, "Connection timed out"),
        OSError(errno.EHOSTUNREACH, "No route to host"),
        OSError(errno.EIO, "Name or service not known"),
        ZeroDivisionError("a fault of ours"),
    ],
)
@pytest.mark.parametrize("kind", ["http", "tcp"])
def test_a_place_that_cannot_be_asked_never_says_down(
    service: Service, doubles: Doubles, fault: Exception, kind: str
) -> None:
    address = service.url if kind == "http" else f"tcp://127.0.0.1:{service.server_address[1]}"
    doubles.fails["web-2"] = fault
    seen = look(asked_from(address, "local", "web-2", "web-3"))
    assert (seen.values or {})["error"] == 0, seen.why
    assert "web-2: unknown (" in seen.why
    doubles.fails["web-3"] = fault
    seen = look(asked_from(address, "local", "web-2", "web-3"))
    assert seen.values is None
    assert "local: well" in seen.why


def test_a_host_that_is_lost_in_mid_look_has_seen_nothing(service: Service, doubles: Doubles) -> None:
    service.status = 500
    check = asked_from(service.url, "web-2", "web-3")
    assert (look(check).values or {})["error"] == 1
    doubles.lost.add("web-2")
    seen = look(check)
    assert seen.values is None
    assert "web-2: unknown (web-2 was lost meanwhile); web-3: failing (answered 500)" in seen.why


def test_places_are_asked_side_by_side_within_the_time_out(service: Service, doubles: Doubles) -> None:
    service.late = 0.3
    began_at = boottime()
    seen = look(asked_from(service.url, "local", "web-2", "web-3", timeout="2s"))
    assert (seen.values or {})["error"] == 0, seen.why
    assert boottime() - began_at < 0.8
    service.hang()
    began_at = boottime()
    seen = look(asked_from(service.url, "local", "web-2", "web-3", timeout="600ms"))
    assert boottime() - began_at < 1.2
    assert (seen.values or {})["error"] == 1, seen.why


def test_a_host_that_is_listed_no_more_sees_nothing(service: Service, doubles: Doubles) -> None:
    seen = look(asked_from(service.url, "web-9"))
    assert (seen.values, doubles.asked) == (None, [])
    assert "web-9: unknown (services.yaml lists no such host)" in seen.why
