"""The data folder is one user's alone, whoever made it and whatever the umask; what others may have put there is refused."""

import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from paramedic import keys
from paramedic.cli.doctor import app as doctor_app
from paramedic.cli.incident_group import app as incident_app
from paramedic.demo.folder import write
from paramedic.keys import BadKey
from paramedic.machine import data_folder
from paramedic.machine.data_folder import BadDataFolder, prepare, protect
from paramedic.oncall import overrides_file
from paramedic.settings import Settings
from paramedic.store import Store
from paramedic.store.migrations import migrate

as_root = pytest.mark.usefixtures("as_root")

NOBODY = 65534


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder as Paramedic leaves one."""
    folder = tmp_path / "data"
    prepare(folder)
    (folder / "link.key").write_text("k" * 64)
    (folder / "logs" / "gateway.log").write_text("a line\n")
    (folder / "prefect").mkdir()
    return folder


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=lambda mask: f"umask {mask:03o}")
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def _open_to_others(folder: Path) -> list[str]:
    found = [folder, *folder.rglob("*")]
    return [
        f"{path} {path.lstat().st_mode:o}" for path in found if path.lstat().st_mode & 0o077 and not path.is_symlink()
    ]


@pytest.mark.usefixtures("umask")
def test_whatever_is_written_is_this_users_alone_whatever_the_umask(tmp_path: Path) -> None:
    settings = Settings(
        data=tmp_path / "above" / "data", link_key_file=tmp_path / "above" / "far" / "away" / "link.key"
    )
    prepare(settings.data)
    keys.link_key(settings)
    keys.gateway_token(settings)
    keys.signing_key(settings)
    migrate(settings.store())
    store = Store(settings.store())
    with store.write() as tx:
        tx.conn.exec_driver_sql("SELECT 1")
        assert (settings.data / "paramedic.db-wal").exists()
        open_now = [line for line in _open_to_others(settings.data) if not line.split()[0].endswith(".pub")]
    assert open_now == []
    overrides_file.write_copy(settings.data, [])
    store.close()
    write(tmp_path / "demo" / "runbooks", "targets: []", {})
    assert [line for line in _open_to_others(settings.data) if ".pub" not in line] == []
    above = [tmp_path / "above", tmp_path / "above" / "far", tmp_path / "demo"]
    assert [str(folder) for folder in above if folder.stat().st_mode & 0o022] == [], (
        "nobody may put another folder in its place"
    )


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o711])
def test_a_folder_that_others_could_read_is_closed_and_that_is_said(data: Path, mode: int) -> None:
    data.chmod(mode)
    for name in ("link.key", "logs/gateway.log"):
        (data / name).chmod(0o644)
    (notice,) = prepare(data)
    assert str(data) in notice
    assert f"{mode:04o}" in notice
    assert [line for line in _open_to_others(data) if "/prefect" not in line] == []
    assert prepare(data) == [], "the second time there is nothing to say"


@pytest.mark.parametrize(("mode", "entry"), [(0o777, None), (0o770, None), (0o755, "link.key"), (0o755, "prefect")])
def test_what_others_could_have_written_is_refused_with_the_command_that_mends_it(
    data: Path, mode: int, entry: str | None
) -> None:
    os.chown(data, -1, _shared_group())
    if entry is not None:
        (data / entry).chmod(0o666)
    data.chmod(mode)
    with pytest.raises(BadDataFolder, match=r"other users .*`chmod (-R )?go-rwx .*") as refused:
        prepare(data)
    assert str(data / entry if entry else data) in str(refused.value)
    assert stat.S_IMODE(data.stat().st_mode) == mode, "nothing was changed"


def _shared_group() -> int:
    """A group that is no user's private one."""
    return 12_345 if os.geteuid() == 0 else os.getegid()


def test_an_empty_folder_that_others_could_write_to_is_closed(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o777)
    assert prepare(tmp_path / "data")
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


@as_root
@pytest.mark.parametrize("entry", ["", "link.key", "logs", "logs/gateway.log", "prefect"])
def test_what_belongs_to_somebody_else_is_refused(data: Path, entry: str) -> None:
    os.chown(data / entry, NOBODY, -1)
    with pytest.raises(BadDataFolder, match=rf"{data / entry}: belongs to nobody, and this process runs as root"):
        protect(data)


@pytest.mark.parametrize("entry", ["link.key", "logs", "logs/gateway.log", "up.lock", "paramedic.db", "gateway-token"])
def test_a_symlink_to_what_would_be_written_is_refused(data: Path, tmp_path: Path, entry: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir() if entry == "logs" else elsewhere.write_text("k" * 64)
    shutil.rmtree(data / entry) if entry == "logs" else (data / entry).unlink(missing_ok=True)
    (data / entry).symlink_to(elsewhere)
    with pytest.raises(BadDataFolder, match=rf"{data / entry}: is a symlink"):
        prepare(data)


def test_a_pipe_where_a_file_belongs_is_refused(data: Path) -> None:
    os.mkfifo(data / "signing.key")
    with pytest.raises(BadDataFolder, match=r"signing\.key: is neither a file nor a folder"):
        protect(data)


def test_what_people_do_is_left_alone(data: Path, tmp_path: Path) -> None:
    """A folder that is reached through links of ours, runbooks in a repository, the sockets of those who work there."""
    (tmp_path / "repository").mkdir()
    (data / "runbooks").symlink_to(tmp_path / "repository")
    (tmp_path / "to").symlink_to(data)
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(data)  # a socket's address is short
        listener.bind(".dispatch.bell")
        os.chdir(here)
        assert protect(tmp_path / "to") == []


def test_a_file_in_the_folders_place_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(BadDataFolder, match="is not a folder"):
        prepare(tmp_path / "data")


def _foreign(path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(path, NOBODY, -1)
    else:
        path.chmod(0o666)


def test_a_command_refuses_and_doctor_says_so(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARAMEDIC_DATA", str(data))
    migrate(Settings(data=data).store())
    assert CliRunner().invoke(incident_app, ["list"]).exit_code == 0
    (data / "link.key").unlink()
    (data / "link.key").symlink_to("/etc/passwd")
    refused = CliRunner().invoke(incident_app, ["list"])
    assert isinstance(refused.exception, BadDataFolder)
    assert "link.key: is a symlink" in str(refused.exception)
    output = CliRunner().invoke(doctor_app, []).output
    (line,) = (line for line in output.splitlines() if "data folder" in line)
    assert line.startswith("MEND")
    assert "link.key: is a symlink" in line


@pytest.mark.parametrize("make", [keys.link_key, keys.signing_key, keys.gateway_token])
def test_a_key_that_others_could_have_written_is_no_key(tmp_path: Path, make: Callable[[Settings], object]) -> None:
    settings = Settings(
        data=tmp_path / "data", link_key_file=tmp_path / "keys" / "link", signing_key_file=tmp_path / "keys" / "sign"
    )
    make(settings)
    (made,) = (path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".pub")
    _foreign(made)
    with pytest.raises(BadKey, match="other users could have written it"):
        make(settings)


def test_a_log_is_never_written_through_a_symlink(data: Path, tmp_path: Path) -> None:
    """One that appears after the start."""
    (data / "logs" / "one.log").symlink_to(tmp_path / "elsewhere")
    script = (
        "import os, sys; from pathlib import Path; from paramedic.stack.children import Child, Children\n"
        "Children(Path(sys.argv[1])).start(Child('one', [sys.executable, '-c', 'print(1)'], dict(os.environ)))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(data / "logs")], check=False, capture_output=True)
    assert done.returncode != 0
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_is_looked_through_to_the_bottom_where_others_could_reach_it(data: Path) -> None:
    deep = data / "prefect" / "storage" / "results"
    deep.mkdir(parents=True)
    (deep / "one").write_text("{}")
    (deep / "one").chmod(0o666)
    assert data_folder.inspect(data).problems == []
    data.chmod(0o755)
    (problem,) = data_folder.inspect(data).problems
    assert str(deep / "one") in problem
