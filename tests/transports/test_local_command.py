"""A program runs to its end or to its deadline, and what it says is kept within bounds."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from paramedic.errors import PermanentError
from paramedic.kinds.transport import Ended, OutOfTime
from paramedic.machine.clock import boottime
from paramedic.transports import local_command
from paramedic.transports.local import Local
from paramedic.transports.local_command import KEPT, LocalCommand

run = Local().run


def long_from_now() -> float:
    return boottime() + 60


def test_it_says_how_it_ended_and_what_it_said() -> None:
    assert run(["sh", "-c", "echo out; echo err >&2; exit 3"], long_from_now()) == Ended(3, "out\n", "err\n")
    assert run(["sh", "-c", "kill -9 $$"], long_from_now()).code == -signal.SIGKILL


def test_words_are_arguments_and_no_shell_reads_them(tmp_path: Path) -> None:
    hostile = ["$(touch x)", "; touch x", "`touch x`", "*", "\n", "-n", "{instance}"]
    done = run([sys.executable, "-c", "import sys; print(sys.argv[1:])", *hostile], long_from_now())
    assert done.output == f"{hostile}\n"
    assert list(tmp_path.iterdir()) == []


def test_only_the_end_of_what_it_says_is_kept_in_whole_lines() -> None:
    output = run(["sh", "-c", "i=0; while [ $i -lt 9000 ]; do i=$((i+1)); echo line $i; done"], long_from_now()).output
    assert len(output) <= KEPT
    assert output.endswith("line 9000\n")
    assert output.startswith("line ")


def test_a_flood_is_cut_while_it_runs(tmp_path: Path) -> None:
    flood = f"import os\nwhile not os.path.exists({str(tmp_path / 'stop')!r}): os.write(1, b'x' * 99 + b'\\n')\nprint('the end')"
    with LocalCommand([sys.executable, "-c", flood]) as command:
        command.start()
        until = time.monotonic() + 60
        cut = 0
        while cut < 5:
            assert time.monotonic() < until
            size = held(command._output)
            command._output.bound()
            cut += held(command._output) < size
        (tmp_path / "stop").touch()
        ended = command.end(long_from_now())
    _, *lines, last, nothing = ended.output.split("\n")
    assert (set(lines), last, nothing) == ({"x" * 99}, "the end", ""), "nothing is torn where it was cut"
    assert len(ended.output) <= KEPT


def held(words: local_command._Words) -> int:
    """The bytes of memory that it takes."""
    return os.fstat(words.file).st_blocks * 512


def test_the_end_is_kept_though_it_was_just_cut_off() -> None:
    words = local_command._Words("words")
    os.write(words.file, b"line\n" * 300_000 + b"before the cut\n")
    words.bound()
    assert held(words) <= KEPT + 4096
    assert words.text().endswith("line\nbefore the cut\n")
    os.write(words.file, b"after it\n")
    assert words.text().endswith("line\nbefore the cut\nafter it\n")
    assert len(words.text()) <= KEPT
    words.close()


def test_what_would_move_a_terminal_is_visible() -> None:
    assert run(["printf", "\\033[31mred\\377"], long_from_now()).output == "\\x1b[31mred\\xff"


def test_at_its_deadline_its_whole_group_is_ended(tmp_path: Path) -> None:
    script = f"echo begun; (trap '' TERM; echo $$; exec sleep 600) & echo $! > {tmp_path}/pid; wait"
    with LocalCommand(["sh", "-c", script]) as command:
        command.start()
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
            time.sleep(0.01)
        with pytest.raises(OutOfTime) as over:
            command.end(boottime())
    assert "begun" in over.value.output
    left = int((tmp_path / "pid").read_text())
    until = time.monotonic() + 60
    while psutil.pid_exists(left) and psutil.Process(left).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until
        time.sleep(0.02)


def test_it_may_tidy_up_before_it_is_killed(tmp_path: Path) -> None:
    script = f"trap 'echo tidied > {tmp_path}/said; exit 0' TERM; touch {tmp_path}/ready; while :; do sleep 0.05; done"
    with LocalCommand(["sh", "-c", script]) as command:
        command.start()
        while not (tmp_path / "ready").exists():
            time.sleep(0.01)
        with pytest.raises(OutOfTime):
            command.end(boottime())
    assert (tmp_path / "said").read_text() == "tidied\n"


def test_what_ended_before_we_looked_has_ended_though_its_time_is_over() -> None:
    with LocalCommand(["true"]) as command:
        command.start()
        os.waitid(os.P_PID, command._process.pid, os.WEXITED | os.WNOWAIT)
        assert command.end(boottime() - 60).code == 0


def test_a_process_that_goes_on_in_the_background_is_not_waited_for(tmp_path: Path) -> None:
    ended = run(["sh", "-c", f"sleep 600 & echo $! > {tmp_path}/pid"], long_from_now())
    assert ended.code == 0
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_it_outlives_whoever_started_it(tmp_path: Path) -> None:
    dying = textwrap.dedent(f"""
        import os, signal
        from paramedic.transports.local_command import LocalCommand
        one = LocalCommand(["sh", "-c", "until [ -e {tmp_path}/go ]; do sleep 0.05; done; echo words; echo end > {tmp_path}/end"])
        one.start()
        os.kill(0, signal.SIGKILL)
    """)
    died = subprocess.run([sys.executable, "-c", dying], start_new_session=True, check=False)
    assert died.returncode == -signal.SIGKILL
    (tmp_path / "go").touch()
    until = time.monotonic() + 60
    while not (tmp_path / "end").exists():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_it_sees_no_variable_of_ours_but_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARAMEDIC_TOKEN", "a secret")
    output = run(["env"], long_from_now()).output
    assert [line.partition("=")[0] for line in output.splitlines()] == ["PATH"]


def test_what_cannot_be_run_is_useless(tmp_path: Path) -> None:
    (tmp_path / "no-program").write_text("text")
    for arguments in (["no-such-program"], [str(tmp_path / "no-program")], [str(tmp_path)], [""]):
        with pytest.raises(PermanentError, match="no program"):
            LocalCommand(arguments)
    with pytest.raises(PermanentError, match="there is no folder"):
        LocalCommand(["true"], cwd=str(tmp_path / "nowhere"))
    (tmp_path / "no-program").chmod(0o755)
    (tmp_path / "no-program").write_text("#!/no/such/interpreter\n")
    with pytest.raises(PermanentError, match="could not be started"):
        run([str(tmp_path / "no-program")], long_from_now())


def test_nothing_is_left_open() -> None:
    run(["true"], long_from_now())
    before = psutil.Process().num_fds()
    for _ in range(5):
        run(["true"], long_from_now())
    assert psutil.Process().num_fds() == before


def test_a_clock_that_is_past_the_deadline_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with LocalCommand(["sleep", "600"]) as command:
        command.start()
        now = boottime()
        monkeypatch.setattr(local_command, "boottime", lambda: now + 120)
        with pytest.raises(OutOfTime):
            command.end(now + 60)
        assert command._process.returncode == -signal.SIGTERM


def test_output_in_another_encoding_is_read() -> None:
    words = "ОШИБКА: пул соединений исчерпан"
    for encoding in ("cp1251", "utf-16", "utf-16-be"):
        assert (
            run(["printf", "".join(f"\\{byte:03o}" for byte in words.encode(encoding))], long_from_now()).output
            == words
        )


def test_wide_output_that_was_cut_off_is_read_from_a_whole_character_on() -> None:
    words = local_command._Words("words")
    os.write(words.file, "строка\n".encode("utf-16") + "строка\n".encode("utf-16-le") * 100_000)
    words.bound()
    os.write(words.file, "конец\n".encode("utf-16-le"))
    assert words.text().endswith("строка\nстрока\nконец\n")
    words.close()
