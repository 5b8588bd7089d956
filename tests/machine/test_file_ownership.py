"""Code and settings that other users may change are not run and not gone by."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from paramedic.errors import PermanentError
from paramedic.machine import file_ownership, parent_death
from paramedic.settings import ROOT, BadSettings, load_settings
from paramedic.stack.environment import child_env
from paramedic.stack.prefect_server import server_command
from paramedic.stack.stack import Stack

as_root = pytest.mark.usefixtures("as_root")

NOBODY = 65534


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir(mode=0o755)
    path = folder / "paramedic.toml"
    path.write_text('work_pool = "of-the-file"\n')
    path.chmod(0o644)
    return path


def test_what_only_we_can_change_is_trusted(file: Path) -> None:
    link = file.with_name("link")
    link.symlink_to(file)
    assert file_ownership.complaint(file) is None
    assert file_ownership.complaint(link) is None
    assert file_ownership.complaint(Path("/etc/passwd")) is None, "root's"


@pytest.mark.parametrize("mode", [0o646, 0o666, 0o622])
def test_a_file_that_others_may_write_is_not(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert f"`chmod go-w {file}`" in str(file_ownership.complaint(file))


@as_root
def test_a_group_that_is_not_the_owners_own_is_others(file: Path) -> None:
    file.chmod(0o664)
    assert file_ownership.complaint(file) is None, "root's private group"
    os.chown(file, -1, 12_345)
    assert "chmod go-w" in str(file_ownership.complaint(file))


def test_a_folder_in_which_others_may_put_another_in_its_place_is_not(file: Path) -> None:
    file.parent.chmod(0o777)
    assert f"`chmod go-w {file.parent}`" in str(file_ownership.complaint(file))
    file.parent.chmod(0o1777)  # as /tmp: only the owner removes
    assert file_ownership.complaint(file) is None


@as_root
@pytest.mark.parametrize("whose", ["file", "folder", "link", "where the link leads"])
def test_what_belongs_to_somebody_else_is_not(file: Path, whose: str) -> None:
    link = file.with_name("link")
    link.symlink_to(file)
    foreign = {"file": file, "folder": file.parent, "link": link, "where the link leads": file}[whose]
    os.chown(foreign, NOBODY, -1, follow_symlinks=False)
    assert "belongs to nobody" in str(file_ownership.complaint(link if "link" in whose else file))


@pytest.mark.usefixtures("_nothing_set")
def test_settings_that_others_may_change_are_refused_by_every_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "paramedic.toml"
    here.write_text('work_pool = "of-the-file"\n')
    assert load_settings().work_pool == "of-the-file"
    here.chmod(0o666)
    with pytest.raises(BadSettings, match=r"paramedic\.toml: is not read: .*chmod go-w"):
        load_settings()
    monkeypatch.setenv("PARAMEDIC_CONFIG", str(here))
    with pytest.raises(BadSettings, match=r"paramedic\.toml: is not read: .*chmod go-w"):
        load_settings()


@pytest.mark.usefixtures("_nothing_set")
@pytest.mark.parametrize("what", ["runbooks", "runbooks/services.yaml", "runbooks/one.md", "flows", "flows/own.py"])
def test_up_starts_nothing_on_runbooks_or_playbooks_that_others_may_change(tmp_path: Path, what: str) -> None:
    for name in ("runbooks", "flows"):
        (tmp_path / name).mkdir(mode=0o755)
    for name in ("services.yaml", "oncall.yaml"):
        (tmp_path / "runbooks" / name).write_text((ROOT / "runbooks" / name).read_text())
    (tmp_path / "runbooks" / "one.md").write_text("")
    (tmp_path / "flows" / "own.py").write_text("")
    (tmp_path / what).chmod(0o777)
    stack = Stack(
        load_settings(data=tmp_path / "data", runbooks=tmp_path / "runbooks", flows=tmp_path / "flows", port=0)
    )
    with pytest.raises(PermanentError, match=rf"{tmp_path / what} can be changed by other users"):
        stack.start()
    assert stack.pids() == {}
    stack.stop()


#: Modules of the standard library that our processes import, as somebody might lay them into a folder.
EVIL = "import pathlib; pathlib.Path(__file__).with_suffix('.ran').touch(); raise SystemExit('evil')\n"


@pytest.fixture
def evil(tmp_path: Path) -> Path:
    folder = tmp_path / "evil"
    folder.mkdir()
    for name in ("ctypes", "json", "logging", "asyncio", "sqlite3", "uvicorn", "prefect", "paramedic", "sitecustomize"):
        (folder / f"{name}.py").write_text(EVIL)
    return folder


@pytest.mark.usefixtures("_nothing_set")
def test_no_process_imports_what_lies_in_the_folder_it_is_started_in(
    evil: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", ".", "relative", "/absolute"]))
    env = child_env(load_settings(data=tmp_path / "data"), 0)
    assert env["PYTHONPATH"] == f"{ROOT}{os.pathsep}/absolute"
    shows = "import ctypes, json, logging, asyncio, sqlite3, sys; print(json.dumps(sys.path))"
    module = parent_death.module("paramedic.gateway")
    assert module[1:] == ["-Pm", "paramedic.gateway"]
    for inherited in (dict(os.environ) | {"PYTHONPATH": ""}, env):  # with what `up` gives, and without
        argv = parent_death.command([module[0], "-P", "-c", shows])
        done = subprocess.run(argv, cwd=evil, env=inherited, capture_output=True, text=True, check=True)
        path = json.loads(done.stdout)
        assert "" not in path
        assert str(evil) not in path
    done = subprocess.run([sys.executable, "-c", shows], cwd=evil, env=env, capture_output=True, text=True, check=True)
    assert str(evil) not in json.loads(done.stdout), "what a stock worker or a playbook starts inherits it"
    assert not list(evil.glob("*.ran"))


def test_the_prefect_server_imports_from_no_folder_it_is_started_in(evil: Path, tmp_path: Path) -> None:
    argv = server_command(1)
    env = dict(os.environ) | {"PREFECT_HOME": str(tmp_path), "PYTHONPATH": ""}
    subprocess.run([*argv, "--help"], cwd=evil, env=env, capture_output=True, check=True)
    assert not list(evil.glob("*.ran"))
