"""An alert put together from what a vendor says: what its identity is, and what becomes of its start."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from paramedic.alerts.alert import Status
from paramedic.alerts.draft import Draft, label_name, tags

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


def _draft(**about: Any) -> Draft:
    return Draft(**{"source": "x", "name": "Slow", "status": Status.FIRING, "labels": {"host": "web-1"}, **about})


def test_the_vendor_s_identity_counts_and_without_one_the_labels() -> None:
    named = [_draft(identity=("1", ""), labels={"host": host}).alert(NOW).fingerprint for host in ("a", "b")]
    unnamed = [_draft(identity=("", ""), labels={"host": host}).alert(NOW).fingerprint for host in ("a", "b")]
    assert named[0] == named[1]
    assert unnamed[0] != unnamed[1]
    assert _draft(identity=("1", "2")).alert(NOW).fingerprint != _draft(identity=("1", "3")).alert(NOW).fingerprint


@pytest.mark.parametrize(
    ("status", "starts", "ends", "start", "noted"),
    [
        (Status.FIRING, None, None, NOW, "time of receipt"),
        (Status.FIRING, NOW + timedelta(days=2), None, NOW, "future"),
        (Status.FIRING, datetime(1969, 12, 31, tzinfo=UTC), None, NOW, "time of receipt"),
        (Status.FIRING, NOW - timedelta(hours=1), None, NOW - timedelta(hours=1), ""),
        (Status.RESOLVED, None, NOW - timedelta(hours=1), NOW - timedelta(hours=1), ""),
        (Status.RESOLVED, None, None, NOW, "time of receipt"),
    ],
)
def test_every_alert_has_a_start(
    status: Status, starts: datetime | None, ends: datetime | None, start: datetime, noted: str
) -> None:
    alert = _draft(status=status, starts_at=starts, ends_at=ends).alert(NOW)
    assert alert.starts_at == start
    assert (noted in " ".join(alert.notes)) if noted else not alert.notes


def test_its_own_name_and_severity_are_its_labels_whatever_the_sender_s_labels_say() -> None:
    alert = _draft(severity="warning", labels={"alertname": "other", "severity": "critical"}).alert(NOW)
    assert alert.labels == {"alertname": "Slow", "severity": "warning"}


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "https://a b", "ftp://x", "", 'https://x/"onload', "https://" + "x" * 3000]
)
def test_a_link_that_is_no_web_address_is_left_out(link: str) -> None:
    assert "link" not in _draft(link=link).alert(NOW).annotations


def test_without_a_name_there_is_no_alert() -> None:
    with pytest.raises(ValueError, match="name is missing"):
        _draft(name="").alert(NOW)


def test_tags_are_labels() -> None:
    assert tags("env:prod, kube cluster:a:b,urgent,:x,env:dev,1st:y") == {
        "env": "prod",
        "kube_cluster": "a:b",
        "urgent": "true",
        "_1st": "y",
    }
    assert tags(["env:prod", 3]) == {"env": "prod", "_3": "true"}
    assert label_name("-.-") == ""
