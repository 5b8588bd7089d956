"""A reload by a real supervisord: the signal that services.yaml names reaches the program, and the program goes on."""

import signal
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from supervised import Supervised, supervising
from waiting import until

from paramedic.errors import OutcomeUnknown, PermanentError, Refused
from paramedic.integrations.targets import supervisord as integration
from paramedic.integrations.targets.supervisord import Changer
from paramedic.kinds.transport import Transport
from paramedic.transports.local import Local

pytestmark = [pytest.mark.real, pytest.mark.usefixtures("nothing_warm")]


@pytest.fixture(scope="module")
def shared(require: Callable[[str], str]) -> Iterator[Supervised]:
    with supervising(require("supervisord"), apps=9) as running:
        yield running


@pytest.fixture
def supervised(shared: Supervised) -> Iterator[Supervised]:
    """The one of all these tests; its `app` is this test's alone."""
    shared.app = shared.apps.pop()
    shared.comes_to("RUNNING")
    yield shared
    shared.process.send_signal(signal.SIGCONT)


def agree() -> None:
    """A last look that sees nothing wrong."""


def test_a_reload_reaches_the_program_which_goes_on(supervised: Supervised, there: Transport) -> None:
    before, target = supervised.identity(), supervised.target(reload="USR1")
    changer = Changer(target, there)
    assert changer.reload(before, agree) == before == supervised.identity()
    until("it has read its configuration", lambda: supervised.reloads() == 1, 5)
    assert changer.did.endswith(f"process {before.instance['pid']} goes on")
    assert supervised.starts() == 1


def test_a_program_that_does_not_handle_the_signal_dies_by_it_and_that_is_a_failure(supervised: Supervised) -> None:
    before = supervised.identity()
    with pytest.raises(PermanentError, match="died by its reload, the signal HUP"):
        Changer(supervised.target(reload="HUP"), Local()).reload(before, agree)
    supervised.comes_to("RUNNING", but=before.instance["pid"])
    assert (supervised.starts(), supervised.reloads()) == (2, 0)


def test_one_that_is_not_running_gets_no_signal(supervised: Supervised) -> None:
    stopped, looked = supervised.identity("stopped"), []
    with pytest.raises(PermanentError, match="is STOPPED: only a program that runs can be reloaded"):
        Changer(supervised.target("stopped", reload="USR1"), Local()).reload(stopped, lambda: looked.append(1))
    assert not looked


def test_another_instance_than_the_judged_one_gets_no_signal(supervised: Supervised) -> None:
    judged, looked = supervised.identity(), []
    Changer(supervised.target(), Local()).restart(judged, agree)
    with pytest.raises(Refused, match="no longer the one that was judged"):
        Changer(supervised.target(reload="USR1"), Local()).reload(judged, lambda: looked.append(1))
    assert (supervised.reloads(), looked) == (0, [])


def test_a_deadline_that_passed_during_the_last_look_sends_no_signal(supervised: Supervised) -> None:
    changer = Changer(supervised.target(reload="USR1"), Local(), timedelta(seconds=1))
    with pytest.raises(Refused, match="the 1s for reloading .* over before it was sent"):
        changer.reload(supervised.identity(), lambda: time.sleep(1.1))
    assert supervised.reloads() == 0


def test_no_answer_after_the_send_is_unknown(supervised: Supervised, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integration, "kill_point", lambda *_: supervised.process.send_signal(signal.SIGSTOP))
    with pytest.raises(OutcomeUnknown, match="its outcome is open"):
        Changer(supervised.target(reload="USR1"), Local(), timedelta(seconds=0.4)).reload(supervised.identity(), agree)
