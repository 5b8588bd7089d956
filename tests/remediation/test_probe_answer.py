"""Every answer and every missing answer has one of three values, and the table in docs/health.md says the same."""

import errno
import re
from pathlib import Path

import pytest

from paramedic.remediation import probe_answer
from paramedic.remediation.health import Sight

WELL, FAILING, UNKNOWN = Sight.WELL, Sight.FAILING, Sight.UNKNOWN

PAGE = (Path(__file__).parents[2] / "docs" / "health.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("status", range(200, 300))
def test_a_2xx_is_well(status: int) -> None:
    assert probe_answer.of_status(status)[0] is WELL


@pytest.mark.parametrize("status", [404, 410, 500, 502, 503, 504, 507, 520, 599])
def test_the_service_says_that_it_fails(status: int) -> None:
    assert probe_answer.of_status(status) == (FAILING, f"answered {status}")


@pytest.mark.parametrize(
    "status",
    [
        0,
        100,
        101,
        103,
        301,
        302,
        304,
        307,
        400,
        401,
        403,
        405,
        407,
        408,
        421,
        426,
        429,
        431,
        451,
        501,
        505,
        511,
        600,
        999,
    ],
)
def test_what_is_about_our_question_is_neither_and_says_why(status: int) -> None:
    sight, why = probe_answer.of_status(status)
    assert sight is UNKNOWN
    assert why.startswith(f"answered {status}")
    assert len(why) > len(f"answered {status}: ")


def test_every_status_has_a_value() -> None:
    assert {probe_answer.of_status(status)[0] for status in range(1000)} == set(Sight)


@pytest.mark.parametrize("number", [errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED])
def test_an_error_of_the_other_side_is_failing(number: int) -> None:
    assert probe_answer.of_errno(number) is FAILING


def test_every_other_error_is_ours_and_says_nothing_of_the_target() -> None:
    others = set(errno.errorcode) - {errno.ECONNREFUSED, errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED}
    assert {probe_answer.of_errno(number) for number in others | {0}} == {UNKNOWN}
    assert {
        errno.EMFILE,
        errno.ENFILE,
        errno.EADDRNOTAVAIL,
        errno.ENETUNREACH,
        errno.EHOSTUNREACH,
        errno.EACCES,
    } < others


@pytest.mark.parametrize(
    ("host", "sight"),
    [
        ("127.0.0.1", FAILING),
        ("127.9.9.9", FAILING),
        ("::1", FAILING),
        ("localhost", FAILING),
        ("LOCALHOST.", FAILING),
        ("10.0.0.7", UNKNOWN),
        ("web-1", UNKNOWN),
        ("fe80::1", UNKNOWN),
        ("127.0.0.1.example", UNKNOWN),
    ],
)
def test_who_accepts_and_stays_silent_is_failing_and_without_a_connection_only_on_loopback(
    host: str, sight: Sight
) -> None:
    assert probe_answer.of_no_answer(host, connected=True) is FAILING
    assert probe_answer.of_no_answer(host, connected=False) is sight


def test_the_page_has_the_same_table() -> None:
    table = dict(re.findall(r"^\| `([^`]+)` \|[^|]*\| (well|failing|cannot see) \|", PAGE, re.MULTILINE))
    spoken = {WELL: "well", FAILING: "failing", UNKNOWN: "cannot see"}
    assert len(table) >= 16
    for name, value in table.items():
        for part in name.split(", "):
            if part.isdigit():
                assert spoken[probe_answer.of_status(int(part))[0]] == value, part
            elif hasattr(errno, part):
                assert spoken[probe_answer.of_errno(getattr(errno, part))] == value, part
            else:
                pytest.fail(f"{part} is neither a status nor an error")
