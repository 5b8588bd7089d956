"""`paramedic init`, and that every command finds the `paramedic up` of its folder: its settings, whatever this terminal has."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from paramedic.catalog.library import open_library
from paramedic.cli import main
from paramedic.cli.doctor_channels import mail
from paramedic.cli.doctor_targets import commands
from paramedic.cli.init import FILES
from paramedic.cli.output import settings_of
from paramedic.settings import RUNNING, load_settings
from paramedic.stack import instance

pytestmark = pytest.mark.usefixtures("_nothing_set")


def run(*argv: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(argv))
    return int(ended.value.code or 0)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that `init` made, which we stand in."""
    folder = tmp_path / "ours" / "paramedic"
    assert run("init", str(folder)) == 0
    monkeypatch.chdir(folder)
    return folder


def test_its_files_are_well_and_every_command_in_it_finds_them(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("runbook", "lint") == 0
    capsys.readouterr()
    assert run("config", "--json") == 0
    found = {row["setting"]: (row["value"], row["origin"]) for row in json.loads(capsys.readouterr().out)}
    assert found["data"] == (str(own / "data"), "paramedic.toml")
    assert found["runbooks"] == (str(own / "runbooks"), "paramedic.toml")
    assert sorted(str(path.relative_to(own)) for path in own.rglob("*") if path.is_file()) == sorted(FILES)


def test_it_pages_nobody_and_acts_on_nothing_until_asked(own: Path) -> None:
    settings = settings_of(None)
    library = open_library(settings)
    assert {runbook.mode for runbook in library.runbooks.values()} == {"observe"}
    assert library.placed() == [], "nothing is measured, so nothing is found"
    assert settings.smtp_url is None
    assert not settings.channels


def test_each_file_says_what_to_change() -> None:
    for name, text in FILES.items():
        assert "hange" in text, name
    assert max(len(line) for line in "\n".join(FILES.values()).splitlines()) <= 130


def test_nothing_is_overwritten(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own / "paramedic.toml").unlink()
    (own / "runbooks" / "oncall.yaml").write_text("mine")
    before = sorted(own.rglob("*"))
    capsys.readouterr()
    assert run("init", str(own)) == 1
    assert "services.yaml exists already; nothing was written" in capsys.readouterr().err
    assert sorted(own.rglob("*")) == before
    assert (own / "runbooks" / "oncall.yaml").read_text() == "mine"


def test_nobody_else_may_write_what_it_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.umask(0)
    try:
        assert run("init", str(tmp_path / "new")) == 0
    finally:
        os.umask(before)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").rglob("*")}
    assert modes["paramedic.toml"] == 0o600, "it may hold secrets"
    assert all(mode & 0o022 == 0 for mode in modes.values()), modes
    monkeypatch.chdir(tmp_path / "new")
    assert load_settings().origin("runbooks") == "paramedic.toml"


def test_paths_in_the_file_are_beside_it_wherever_a_command_is_run(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (own / "paramedic.toml").open("a") as file:
        file.write('store_url = "sqlite:///ours.db"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARAMEDIC_CONFIG", str(own / "paramedic.toml"))
    found = load_settings()
    assert (found.data, found.runbooks) == (own / "data", own / "runbooks")
    assert found.store() == f"sqlite:///{own / 'ours.db'}"


_UP = """
import os, sys
from pathlib import Path
from paramedic.stack import instance
data = Path(sys.argv[1])
held = instance.lock(data)
instance.announce(held, instance.Running(os.getpid(), "http://127.0.0.1:1", "http://127.0.0.1:2/api"))
print("up", flush=True)
sys.stdin.read()
"""

Up = Callable[..., None]


@contextmanager
def _up(data: Path, variables: dict[str, str]) -> Iterator[None]:
    data.mkdir(mode=0o700, exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])} | variables
    process = subprocess.Popen(
        [sys.executable, "-c", _UP, str(data)],
        env=environment,
        cwd=data.parent,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        yield
        process.kill()


@pytest.fixture
def up(own: Path) -> Iterator[Up]:
    """Starts what stands in for `paramedic up` in the folder, with these variables."""
    with ExitStack() as stack:
        yield lambda **variables: stack.enter_context(_up(own / "data", variables))


def test_a_command_in_another_terminal_has_the_settings_of_the_running_up(own: Path, up: Up) -> None:
    assert "no mail can leave" in mail(settings_of(None)).words
    up(PARAMEDIC_SMTP_URL="smtp://127.0.0.1:1", PARAMEDIC_FLOWS="flows")
    found = settings_of(None)
    assert found.smtp_url is not None
    assert found.smtp_url.get_secret_value() == "smtp://127.0.0.1:1"
    assert found.origin("smtp_url") == RUNNING
    assert found.flows == own / "flows", "a relative path is one of where it was started"
    assert mail(found).words.startswith("the mail server 127.0.0.1:1 does not answer"), "and not: no mail can leave"


def test_what_this_terminal_sets_counts_first(own: Path, up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    up(PARAMEDIC_SMTP_URL="smtp://127.0.0.1:1", PARAMEDIC_PORT="8651")
    monkeypatch.setenv("PARAMEDIC_PORT", "8652")
    found = settings_of(None)
    assert (found.port, found.origin("port")) == (8652, "environment")
    assert found.origin("smtp_url") == RUNNING


def test_its_folder_alone_is_enough_to_find_it_and_its_file(
    own: Path, up: Up, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (own / "paramedic.toml").open("a") as file:
        file.write('smtp_url = "smtp://127.0.0.1:1"\n')
    up()
    monkeypatch.chdir(tmp_path)
    found = settings_of(own / "data")
    assert found.runbooks == own / "runbooks"
    assert found.origin("smtp_url") == RUNNING


def test_what_a_killed_one_had_is_gone_with_it(own: Path) -> None:
    with _up(own / "data", {"PARAMEDIC_SMTP_URL": "smtp://127.0.0.1:1"}):
        assert settings_of(None).smtp_url is not None
    assert (own / "data" / "up.lock").read_text() != ""
    assert settings_of(None).smtp_url is None


def test_a_process_of_another_user_decides_nothing(own: Path, up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    up(PARAMEDIC_SMTP_URL="smtp://127.0.0.1:1")
    mine = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: mine + 1)
    assert instance.settings(own / "data") == {}
    assert instance.environment(own / "data") == {}


def test_no_secret_of_it_is_written_anywhere(own: Path, up: Up) -> None:
    up(PARAMEDIC_SMTP_URL="smtp://ada:S3cretWord@127.0.0.1:1")
    assert settings_of(None).smtp_url is not None
    for path in own.rglob("*"):
        assert not path.is_file() or "S3cretWord" not in path.read_text()


def test_a_commands_variables_are_those_of_the_processes_that_run_it(own: Path, up: Up) -> None:
    listed = own / "runbooks" / "services.yaml"
    drain = "        commands: {drain: {run: [/bin/true], environment: [DRAIN_TOKEN], timeout: 5s}}\n"
    listed.write_text(listed.read_text() + drain)
    assert "needs DRAIN_TOKEN" in commands(settings_of(None)).words
    up(DRAIN_TOKEN="there")
    assert commands(settings_of(None)).well
