"""The supervisord integration against a real supervisord, whose programs write down every start."""

import multiprocessing
import os
import signal
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import psutil
import pytest
from open_files import beyond_select
from supervised import OTHERS, Supervised, supervising

from paramedic.doors import reading
from paramedic.errors import OutcomeUnknown, PermanentError, Refused, TemporaryError
from paramedic.integrations.targets import supervisord as integration
from paramedic.integrations.targets.supervisord import Changer, Reader
from paramedic.kinds.process_target import process_identity, process_of
from paramedic.transports import local_process
from paramedic.transports.local import Local

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def shared(require: Callable[[str], str]) -> Iterator[Supervised]:
    with supervising(require("supervisord"), apps=40) as running:
        yield running


@pytest.fixture
def supervised(shared: Supervised) -> Iterator[Supervised]:
    """The one of all these tests; its `app` is this test's alone."""
    shared.app = shared.apps.pop()
    shared.comes_to("RUNNING")
    yield shared
    shared.process.send_signal(signal.SIGCONT)


@pytest.fixture
def mortal(require: Callable[[str], str]) -> Iterator[Supervised]:
    """One that may be ended."""
    with supervising(require("supervisord"), apps=1) as running:
        yield running


def agree() -> None:
    """A last look that sees nothing wrong."""


def test_a_restart_begins_a_new_life_and_says_which(supervised: Supervised) -> None:
    before = supervised.comes_to("RUNNING", "settles")
    after = Changer(supervised.target("settles"), Local()).restart(before, agree)
    assert after == supervised.identity("settles")
    assert after.state == "RUNNING"
    assert after.instance["pid"] not in (None, before.instance["pid"])
    assert supervised.starts("settles") == 2


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 86_400.0 * 400])
def test_a_program_is_measured_though_the_clock_was_set_since_it_began(
    supervised: Supervised, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    identity = supervised.comes_to("RUNNING")
    target = supervised.target()
    pid, began = process_of(identity)
    assert pid is not None
    assert began is not None
    booted = psutil._pslinux.boot_time()
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: booted + jump)  # the kernel's own follows the clock
    assert not local_process.alive(pid, began), "the clock was not set"
    assert reading.resident_memory(target, identity) > 100_000
    assert reading.process_use(target)[1] == f"process {pid}"
    assert str(pid) in reading.evidence(target, "process-tree").text
    assert f"process {pid} holds" in reading.evidence(target, "memory").text
    elsewhere = process_identity(os.getpid(), began, "RUNNING")
    with pytest.raises(PermanentError, match="none of this machine"):
        reading.resident_memory(target, elsewhere)


def test_another_life_than_the_judged_one_is_not_touched(supervised: Supervised) -> None:
    now = supervised.identity()
    looked = []
    for judged in (
        process_identity(now.instance["pid"] + 1, now.instance["started_at"], now.state),
        process_identity(now.instance["pid"], now.instance["started_at"] - 1, now.state),
        process_identity(None, None, "STOPPED"),
    ):
        with pytest.raises(Refused, match="no longer the one that was judged"):
            Changer(supervised.target(), Local()).restart(judged, lambda: looked.append(1))
    assert supervised.identity() == now
    assert supervised.starts() == 1
    assert not looked


def test_a_no_at_the_last_look_sends_nothing_and_leaves_no_process(supervised: Supervised) -> None:
    before, mine = supervised.identity(), psutil.Process().children()

    def too_late() -> None:
        raise Refused("the claim is gone")

    with pytest.raises(Refused, match="the claim is gone"):
        Changer(supervised.target(), Local()).restart(before, too_late)
    assert supervised.identity() == before
    assert supervised.starts() == 1
    psutil.wait_procs([child for child in psutil.Process().children() if child not in mine], timeout=5)
    assert [child for child in psutil.Process().children() if child not in mine] == []


def test_a_deadline_that_passed_during_the_last_look_sends_nothing(supervised: Supervised) -> None:
    before = supervised.identity()
    with pytest.raises(Refused, match="over before it was sent"):
        Changer(supervised.target(), Local(), timedelta(seconds=1)).restart(before, lambda: time.sleep(1.1))
    assert supervised.identity() == before
    assert supervised.starts() == 1


@contextmanager
def _dying_client(die: Callable[[], None]) -> Iterator[None]:
    """In the block a process of its own does it, and has died of SIGKILL meanwhile; nothing that it started is left."""
    mark = uuid.uuid4().hex

    def client() -> None:
        os.setsid()
        os.environ["MARK"] = mark  # of what it starts
        die()

    process = multiprocessing.get_context("fork").Process(target=client)
    process.start()
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    yield
    left = [process for process in psutil.process_iter() if _marked(process, mark)]
    _, left = psutil.wait_procs(left, timeout=5)
    assert left == []


@pytest.mark.parametrize("group", [False, True])
def test_a_client_that_dies_right_after_sending_leaves_one_whole_restart(supervised: Supervised, group: bool) -> None:
    before = supervised.identity()

    def die() -> None:
        whom = 0 if group else os.getpid()  # 0 is the whole process group
        integration.kill_point = lambda *_: os.kill(whom, signal.SIGKILL)
        Changer(supervised.target(), Local()).restart(before, agree)

    with _dying_client(die):
        after = supervised.comes_to("RUNNING", but=before.instance["pid"])
        assert supervised.starts() == 2
        assert supervised.identity() == after


def test_a_client_with_many_open_files_that_dies_leaves_one_whole_restart(supervised: Supervised) -> None:
    before = supervised.identity()

    def die() -> None:
        integration.kill_point = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
        with beyond_select():
            Changer(supervised.target(), Local()).restart(before, agree)

    with _dying_client(die):
        supervised.comes_to("RUNNING", but=before.instance["pid"])
        assert supervised.starts() == 2


def test_a_client_that_dies_before_sending_leaves_nothing_behind(supervised: Supervised) -> None:
    before = supervised.identity()

    def die() -> None:
        Changer(supervised.target(), Local()).restart(before, lambda: os.kill(os.getpid(), signal.SIGKILL))

    with _dying_client(die):
        pass
    assert supervised.identity() == before
    assert supervised.starts() == 1


def _marked(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get("MARK") == mark
    except psutil.Error:
        return False


def test_a_stopped_program_is_started(supervised: Supervised) -> None:
    before = supervised.identity("stopped")
    assert before == process_identity(None, None, "STOPPED")
    after = Changer(supervised.target("stopped"), Local()).restart(before, agree)
    assert after.state == "RUNNING"
    assert supervised.starts("stopped") == 1


def test_a_program_in_fatal_is_started(supervised: Supervised) -> None:
    before = supervised.comes_to("FATAL", "broken-and-mended")
    (supervised.folder / "broken-and-mended.mended").touch()
    after = Changer(supervised.target("broken-and-mended"), Local()).restart(before, agree)
    assert after.state == "RUNNING"
    assert supervised.starts("broken-and-mended") == 2


def test_a_program_in_backoff_is_started_once(supervised: Supervised) -> None:
    while True:
        before = supervised.comes_to("BACKOFF", "broken-and-tried")
        starts = supervised.starts("broken-and-tried")
        (supervised.folder / "broken-and-tried.mended").touch()
        try:
            after = Changer(supervised.target("broken-and-tried"), Local()).restart(before, agree)
            break
        except Refused:  # supervisord's own next try came in between
            (supervised.folder / "broken-and-tried.mended").unlink()
    assert after.state == "RUNNING"
    assert supervised.starts("broken-and-tried") == starts + 1


def test_a_program_that_does_not_stay_up_is_useless_to_restart_and_says_its_state(supervised: Supervised) -> None:
    before = supervised.comes_to("FATAL", "broken-for-good")
    with pytest.raises(
        PermanentError,
        match=r"did not start here/broken-for-good: (SPAWN_ERROR|ABNORMAL_TERMINATION).* (BACKOFF|EXITED|FATAL) now",
    ):
        Changer(supervised.target("broken-for-good"), Local()).restart(before, agree)
    assert supervised.starts("broken-for-good") == 2


def test_a_program_that_somebody_is_stopping_is_left_to_them(supervised: Supervised) -> None:
    running = supervised.identity()
    line = socket.socket(socket.AF_UNIX)
    line.connect(f"{supervised.folder}/s")
    line.sendall(integration._request(supervised.target(), "supervisor.stopProcess", supervised.app, True))
    stopping = supervised.comes_to("STOPPING")
    assert stopping.instance["pid"] == running.instance["pid"]
    with pytest.raises(Refused, match="somebody else is stopping"):
        Changer(supervised.target(), Local()).restart(running, agree)
    line.close()
    supervised.comes_to("STOPPED")
    assert supervised.starts() == 1


def test_an_unknown_program_is_useless(supervised: Supervised) -> None:
    with pytest.raises(PermanentError, match="BAD_NAME: no-such"):
        supervised.identity("no-such")
    with pytest.raises(PermanentError, match="BAD_NAME"):
        Changer(supervised.target(f"{supervised.app}:*"), Local()).restart(supervised.identity(), agree)
    assert supervised.starts() == 1


def test_a_supervisord_that_is_gone_may_come_back(mortal: Supervised) -> None:
    before = mortal.identity()
    mortal.end()
    for change in (mortal.identity, lambda: Changer(mortal.target(), Local()).restart(before, agree)):
        with pytest.raises(TemporaryError, match="is not there"):
            change()
    assert mortal.starts() == 1


def test_a_supervisord_that_hangs_is_asked_no_longer_than_the_time_out(supervised: Supervised) -> None:
    supervised.process.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    with pytest.raises(TemporaryError, match="did not answer"):
        Reader(supervised.target(), Local(), timedelta(seconds=0.3)).identity()
    assert time.monotonic() - begun < 2


def test_no_answer_after_the_send_is_unknown_and_the_restart_is_not_cut_in_half(
    supervised: Supervised, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = supervised.identity()
    sent = []

    def freeze(point: str, subject: str = "") -> None:
        sent.append((point, subject))
        supervised.process.send_signal(signal.SIGSTOP)

    monkeypatch.setattr(integration, "kill_point", freeze)
    with pytest.raises(OutcomeUnknown, match="its outcome is open"):
        # Short of the half second that stopping takes, so that the stop may have begun before supervisord froze.
        Changer(supervised.target(), Local(), timedelta(seconds=0.4)).restart(before, agree)
    assert sent == [("act_sent", f"here/{supervised.app}")]
    supervised.process.send_signal(signal.SIGCONT)
    supervised.comes_to("RUNNING", but=before.instance["pid"])
    assert supervised.starts() == 2


def test_an_answer_that_came_while_we_were_stopped_is_read_though_the_time_is_over(
    supervised: Supervised, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = supervised.identity()

    def stand_still(*_: str) -> None:
        supervised.comes_to("RUNNING", but=before.instance["pid"])
        time.sleep(1.5)  # supervisord looks at least once a second whether it can answer

    monkeypatch.setattr(integration, "kill_point", stand_still)
    after = Changer(supervised.target(), Local(), timedelta(seconds=1)).restart(before, agree)
    assert after == supervised.identity()


def test_a_supervisord_that_dies_after_the_send_is_unknown(mortal: Supervised, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integration, "kill_point", lambda *_: mortal.end())
    with pytest.raises(OutcomeUnknown):
        Changer(mortal.target(), Local(), timedelta(seconds=5)).restart(mortal.identity(), agree)


def test_by_http_a_login_is_needed_and_taken_from_the_address(supervised: Supervised) -> None:
    good = supervised.target(address=f"http://look:p%40ss@127.0.0.1:{supervised.port}")
    before = Reader(good, Local()).identity()
    assert before == supervised.identity()
    assert Changer(good, Local()).restart(before, agree).instance["pid"] != before.instance["pid"]
    for address in (f"http://127.0.0.1:{supervised.port}", f"http://look:wrong@127.0.0.1:{supervised.port}"):
        with pytest.raises(PermanentError, match="answered 401") as refusal:
            Reader(supervised.target(address=address), Local()).identity()
        assert "wrong" not in str(refusal.value)


def test_all_programs_are_told_by_their_full_name(supervised: Supervised) -> None:
    text = Reader(supervised.target(), Local()).processes()
    apps = [path.name.removesuffix(".starts") for path in supervised.folder.glob("app-*.starts")]
    assert set(text) == {f"{name}:{name}" for name in (*apps, *OTHERS)}
    assert text[f"{supervised.app}:{supervised.app}"] == supervised.identity()
