"""What a deployment is, as its sender writes it: clear refusals, one time however it is written, one id for one deployment."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from paramedic.alerts.payload import parsed as as_json
from paramedic.remediation.deployment import (
    BadDeployment,
    Deployment,
    Preceding,
    environments_agree,
    parsed,
    seen,
    together,
)

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def told(**fields: Any) -> Deployment:
    given = {"service": "shop", "version": "v7", **fields}
    return parsed(as_json(json.dumps(given).encode(), "a test's"), told_by="ci", now=NOW)


@pytest.mark.parametrize(
    ("at", "means"),
    [
        ("2026-01-31T09:00:00Z", NOW - 30 * MINUTE),
        ("2026-01-31T10:00:00+01:00", NOW - 30 * MINUTE),
        (1769850000, NOW - 30 * MINUTE),
        (1769850000000, NOW - 30 * MINUTE),
        ("1769850000", NOW - 30 * MINUTE),
        (None, NOW),
        ("", NOW),
    ],
)
def test_its_time_may_be_written_as_senders_write_times(at: Any, means: datetime) -> None:
    assert told(at=at).at == means


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"service": None}, "service: is missing; allowed: a text that is not empty"),
        ({"service": "  "}, "service: is missing"),
        ({"version": ""}, "version: is missing"),
        ({"version": ["v7"]}, "version: is no text; allowed: a text of at most 200 characters"),
        ({"service": "x" * 201}, "service: has 201 characters; allowed: 200 at most"),
        ({"at": "yesterday"}, "at: is no time; allowed: 2026-01-31T09:30:00Z"),
        ({"at": 12}, "at: is no time"),
        ({"at": "2026-01-31T10:30:00Z"}, "at: is 1h from now, in the future; allowed: at most 5m ahead"),
        ({"link": "javascript:alert(1)"}, "link: is no address of a page; allowed: http://"),
        ({"link": "https://"}, "link: is no address of a page"),
        ({"versoin": "v7"}, "versoin: is no field of a deployment; allowed: "),
    ],
)
def test_what_is_wrong_is_said_with_what_is_allowed(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(BadDeployment) as refused:
        told(**fields)
    assert str(refused.value).startswith(words)


def test_a_misspelt_field_is_told_the_right_one() -> None:
    with pytest.raises(BadDeployment, match="version"):
        told(versoin="v7")


def test_without_an_id_the_same_told_again_is_the_same() -> None:
    assert told(at=1769850000).id == told(at="2026-01-31T09:00:00Z", by="bob").id
    assert told().id == parsed({"service": "shop", "version": "v7"}, told_by="ci", now=NOW + 20 * MINUTE).id
    others = [told(version="v8"), told(target="web-1/shop"), told(environment="staging"), told(at=1769850000)]
    assert len({told().id, *(one.id for one in others)}) == 5


def test_numbers_are_the_text_that_was_written_and_text_is_on_one_line_without_its_secrets() -> None:
    one = told(version=7, by="ada\nlovelace\x1b[31m", link="https://ci.example.org/?token=s3cr3t-s3cr3t-s3cr3t")
    assert (one.version, one.by) == ("7", "ada lovelace\\x1b[31m")
    assert one.link is not None
    assert "s3cr3t" not in one.link


def test_what_was_told_and_seen_is_there_once_as_it_was_told() -> None:
    at_once = seen("shop", "web-1/shop", "7", NOW - 5 * MINUTE)
    another = seen("shop", "web-1/shop", "v6", NOW - 5 * MINUTE)
    long_ago = seen("shop", "web-2/shop", "v7", NOW - 60 * MINUTE)
    told_of = told(by="ada")
    elsewhere = told(target="web-2/shop", id="2")
    assert together([at_once, another, long_ago, told_of]) == [told_of, another, long_ago]
    assert together([at_once, elsewhere]) == [elsewhere, at_once], "it was told of another target"


def test_how_long_before_is_in_words() -> None:
    of = Preceding(began=NOW, within=60 * MINUTE)
    words = {0: "as it began", 90: "1m 30s before it began", -120: "2m after it began"}
    for seconds, said in words.items():
        assert of.before(seen("shop", "t", "v7", NOW - timedelta(seconds=seconds, milliseconds=300))) == said


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("prod", "production", True),
        ("Prod", "prod", True),
        (None, "prod", True),
        ("", "prod", True),
        ("staging", "prod", False),
        ("preprod", "prod", False),
    ],
)
def test_environments_agree_where_their_words_may_mean_one(one: str | None, other: str, same: bool) -> None:
    assert environments_agree(one, other) is environments_agree(other, one) is same
