"""What a silence and an inhibition rule match, as Alertmanager reads the same words."""

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st
from store_states import alert

from paramedic.alerts.alert import Alert, Severity
from paramedic.alerts.inhibition import Inhibition
from paramedic.alerts.silence import Kind, Silence, check_matchers, for_alerts
from paramedic.machine.clock import utc_now

LABELS = st.dictionaries(
    st.text(min_size=1, max_size=8).filter(lambda name: name not in ("alertname", "severity")),
    st.text(max_size=8),
    max_size=4,
)


def silence(*matchers: str) -> Silence:
    now = utc_now()
    return Silence(1, matchers, now, now, "ada", "a test")


@pytest.mark.parametrize(
    ("matchers", "matches"),
    [
        (('service="shop"',), True),
        (('service="shop"', 'instance="web-1"'), True),
        (('service="shop"', 'instance="web-2"'), False),
        (('service="shop",instance=~"web-.*"',), True),
        (("Down",), True),
        (('alertname="Down"',), True),
        (('severity="critical"',), True),
        (('service="shop"', 'team!="search"'), True),
        (('service=~"sho"',), False),
    ],
)
def test_all_of_its_matchers_must_match(matchers: tuple[str, ...], *, matches: bool) -> None:
    assert silence(*matchers).matches(alert("Down", service="shop", instance="web-1")) is matches


def test_an_alert_of_a_sender_without_these_labels_is_matched_by_its_name_and_severity_too() -> None:
    bare = Alert.from_json(alert("Down").as_json() | {"labels": {}})
    assert silence('alertname="Down"', 'severity="critical"').matches(bare)


def test_the_sender_s_own_word_of_its_severity_is_the_label() -> None:
    assert silence('severity="page"').matches(_labelled(severity="page"))
    assert not silence('severity="critical"').matches(_labelled(severity="page"))


def _labelled(**labels: str) -> Alert:
    return Alert.from_json(alert("Down").as_json() | {"labels": labels})


@pytest.mark.parametrize("matchers", [(), ('team!="search"',), ('x=~".*"',), ('a=""',), ('a!~"b.+"', 'c!="d"')])
def test_what_an_alert_without_labels_would_match_is_refused(matchers: tuple[str, ...]) -> None:
    """prometheus/alertmanager#1897, #3905: a label that no alert has silenced everything."""
    with pytest.raises(ValueError, match=r"an alert without any of these labels would match|1 to 20 matchers"):
        check_matchers(matchers)


def test_everything_is_silenced_by_who_says_so() -> None:
    check_matchers(('alertname=~".+"',))


def test_a_matcher_that_cannot_be_read_is_named() -> None:
    with pytest.raises(ValueError, match='matcher .service=~"\\(".: .* is not a pattern'):
        check_matchers(('service=~"("',))


@given(LABELS, LABELS, st.text(max_size=12), st.text(max_size=12))
def test_the_matchers_for_some_alerts_match_these_and_no_other_name(
    first: dict[str, str], second: dict[str, str], name: str, other: str
) -> None:
    alerts = [
        Alert.from_json(alert().as_json() | {"name": f"A{called}", "labels": labels | {"alertname": f"A{called}"}})
        for called, labels in ((name, first), (other, second))
    ]
    made = silence(*for_alerts(alerts))
    assert all(made.matches(one) for one in alerts)
    assert not made.matches(Alert.from_json(alerts[0].as_json() | {"labels": first | {"alertname": "B"}}))


def test_the_names_in_a_pattern_are_taken_literally() -> None:
    made = for_alerts([alert("a.b|c", service="shop"), alert("d(e", service="shop")])
    assert made[0] == 'alertname=~"a\\\\.b\\\\|c|d\\\\(e"'
    assert made[1] == 'service="shop"'
    assert not silence(*made).matches(alert("axb", service="shop"))
    re2.compile(r"a\.b\|c|d\(e")


def test_a_kind_is_new_by_its_name_or_where_it_is_worse() -> None:
    warning, critical = Kind("Down", Severity.WARNING), Kind("Down", Severity.CRITICAL)
    assert critical.is_new_beside([warning])
    assert not warning.is_new_beside([critical])
    assert not warning.is_new_beside([warning])
    assert Kind("Up", Severity.WARNING).is_new_beside([critical, warning])


# --- inhibition -------------------------------------------------------------------------------------------------------


def test_a_missing_label_equals_an_empty_one() -> None:
    """prometheus/alertmanager#507, #1727: as Alertmanager has it, and documents it."""
    rule = Inhibition(("A",), ("B",), ("cluster",))
    assert rule.equal_key(alert("A")) == rule.equal_key(alert("B", cluster=""))
    assert rule.equal_key(alert("A", cluster="x")) != rule.equal_key(alert("B"))


def test_the_values_of_several_labels_are_not_run_together() -> None:
    rule = Inhibition(("A",), ("B",), ("a", "b"))
    assert rule.equal_key(alert("A", a="1", b="23")) != rule.equal_key(alert("B", a="12", b="3"))


def test_another_text_is_another_rule() -> None:
    assert Inhibition(("A",), ("B",)).key != Inhibition(("A",), ("B",), ("x",)).key
    assert Inhibition(("A", "B"), ("C",)).key != Inhibition(("A",), ("B", "C")).key
