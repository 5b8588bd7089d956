"""What is known of an open act on a host by SSH: only a command there leaves a mark, and nothing else is guessed."""

from types import SimpleNamespace

import pytest

from paramedic.doors import reading
from paramedic.kinds.transport import Mark, MarkState
from paramedic.remediation.target import Target

NEVER, DONE = Mark(MarkState.DID_NOT), Mark(MarkState.HAPPENED, 0)


def known(monkeypatch: pytest.MonkeyPatch, kind: str, verb: str, said: Mark) -> Mark | None:
    """What is known of such an act, where the host says this of its mark."""
    monkeypatch.setattr(reading, "transport", lambda _: SimpleNamespace(mark=lambda _act: said))
    return reading.mark(Target("web-7/x", "shop", "web-7", kind, "x", "unix:///s"), "act-1", verb)


@pytest.mark.parametrize(
    ("kind", "verb"),
    [("supervisord", "restart"), ("supervisord", "roll_back"), ("postgres", "end_idle_in_transaction")],
)
def test_what_its_owner_does_on_a_connection_is_never_said_not_to_have_begun(
    monkeypatch: pytest.MonkeyPatch, kind: str, verb: str
) -> None:
    assert known(monkeypatch, kind, verb, NEVER) is None


@pytest.mark.parametrize("kind", ["systemd", "process", "supervisord", "container", "machine", "postgres"])
def test_a_command_leaves_its_mark_whatever_the_kind(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    assert known(monkeypatch, kind, "run", DONE) == DONE
    assert known(monkeypatch, kind, "run", NEVER) == NEVER


def test_of_a_roll_back_by_a_folder_the_mark_is_that_of_its_restart(monkeypatch: pytest.MonkeyPatch) -> None:
    found = known(monkeypatch, "systemd", "roll_back", NEVER)
    assert found is not None
    assert (found.words, found.code) == ("the restart after it never began, and never will", None)
    assert known(monkeypatch, "systemd", "roll_back", DONE) == DONE
    assert known(monkeypatch, "systemd", "restart", NEVER) == NEVER
    assert known(monkeypatch, "process", "reload", NEVER) == NEVER
