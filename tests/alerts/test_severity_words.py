"""What senders write for a severity: critical, a warning, for information, or unknown and said."""

from datetime import UTC, datetime

import pytest

from paramedic.alerts.alert import Alert, Severity, Status
from paramedic.alerts.severity_words import DEFAULT, Meaning, SeverityTable

CRITICAL = [
    "critical",
    "CRITICAL",
    " critical ",
    "Crit",
    "s1",
    "S0",
    "sev-1",
    "SEV 1",
    "sev_0",
    "p0",
    "P1",
    "p-1",
    "0",
    "1",
]
CRITICAL += [
    "fatal",
    "blocker",
    "Blocking",
    "page",
    "major",
    "emergency",
    "emerg",
    "alert",
    "high",
    "error",
    "err",
    "disaster",
    "urgent",
]
WARNING = [
    "warning",
    "Warn",
    "",
    "  ",
    "--",
    "2",
    "3",
    "p2",
    "P5",
    "s3",
    "sev-4",
    "minor",
    "medium",
    "average",
    "low",
    "ticket",
]
INFO = ["info", "INFO", "information", "Informational", "none", "ok", "OK", "okay", "notice", "debug", "trace"]
UNKNOWN = ["hoch", "kritisch", "urgentísimo", "{{ severity }}", "6", "p9", "important", "致命"]


def alert(severity: str | None, made: Severity = Severity.WARNING) -> Alert:
    labels = {} if severity is None else {"severity": severity}
    return Alert(
        "own", "Slow", made, Status.FIRING, datetime(2026, 1, 31, tzinfo=UTC), "f", labels, notes=("read late",)
    )


@pytest.mark.parametrize("word", CRITICAL)
def test_what_people_write_for_now_is_critical(word: str) -> None:
    judged = DEFAULT.judged(alert(word))
    assert (judged.severity, judged.informational, judged.notes) == (Severity.CRITICAL, False, ("read late",))


@pytest.mark.parametrize("word", WARNING)
def test_what_can_wait_and_nothing_is_a_warning(word: str) -> None:
    judged = DEFAULT.judged(alert(word))
    assert (judged.severity, judged.informational, judged.notes) == (Severity.WARNING, False, ("read late",))


@pytest.mark.parametrize("word", INFO)
def test_what_asks_for_nobody_is_for_information(word: str) -> None:
    judged = DEFAULT.judged(alert(word, Severity.CRITICAL))
    assert (judged.severity, judged.informational, judged.notes) == (Severity.WARNING, True, ("read late",))


@pytest.mark.parametrize("word", UNKNOWN)
def test_an_unknown_word_is_critical_and_is_said(word: str) -> None:
    judged = DEFAULT.judged(alert(word))
    assert (judged.severity, judged.informational) == (Severity.CRITICAL, False)
    note = f"labels.severity: {word!r} is not in the table of severities, counted as critical"
    assert judged.notes == ("read late", note)


def test_a_long_word_is_said_by_its_length_for_a_cut_secret_would_not_be_known() -> None:
    [_, note] = DEFAULT.judged(alert("hunter2 " * 9)).notes
    assert note.startswith("labels.severity: a text of 72 characters is not")


@pytest.mark.parametrize("made", Severity)
def test_without_a_word_the_alert_stays_as_its_reader_made_it(made: Severity) -> None:
    assert DEFAULT.judged(alert(None, made)) == alert(None, made)
    assert DEFAULT.judged(alert("", made)) == alert("", made)


def test_words_of_ones_own_come_first_in_any_spelling() -> None:
    table = SeverityTable({"Sev-2": Meaning.CRITICAL, "error": Meaning.INFO, "hoch": Meaning.CRITICAL})
    assert table.judged(alert("sev2")).severity is Severity.CRITICAL
    assert table.judged(alert("ERROR")).informational
    assert table.judged(alert("hoch")).notes == ("read late",)
    assert table.judged(alert("sev3")).severity is Severity.WARNING


def test_an_alert_that_is_kept_and_read_again_is_still_for_information() -> None:
    judged = DEFAULT.judged(alert("none"))
    assert Alert.from_json(judged.as_json()) == judged
    old = {name: value for name, value in alert("x").as_json().items() if name != "informational"}
    assert not Alert.from_json(old).informational
