"""Where the embedded Prefect writes its pages: beside its code if it may, else in its own home; nobody else's word is changed."""

from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from paramedic.stack import prefect_server

THEIRS = "PREFECT_SERVER_UI_STATIC_DIRECTORY"


@pytest.fixture(autouse=True)
def beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Prefect's folder of the server, which nobody says anything of."""
    folder = tmp_path / "prefect" / "server"
    folder.mkdir(parents=True)
    found = ModuleSpec("prefect", None, origin=str(tmp_path / "prefect" / "__init__.py"))
    monkeypatch.setattr(prefect_server.importlib.util, "find_spec", {"prefect": found}.get)
    monkeypatch.delenv(THEIRS, raising=False)
    return folder


@pytest.fixture
def read_only(beside: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes that folder one that may not be written, as ProtectSystem=strict does; root could do it all the same."""

    def access(path: Path, mode: int) -> bool:
        return (Path(path), mode) != (beside, prefect_server.os.W_OK)

    return lambda: monkeypatch.setattr(prefect_server.os, "access", access)


def test_where_it_may_write_beside_its_code_nothing_is_said(tmp_path: Path) -> None:
    assert THEIRS not in prefect_server.server_env(tmp_path / "home")


def test_where_it_may_not_its_pages_are_in_its_home(tmp_path: Path, read_only: Callable[[], None]) -> None:
    read_only()
    assert prefect_server.server_env(tmp_path / "home")[THEIRS] == str(tmp_path / "home" / "ui")


def test_what_whoever_runs_it_has_set_is_left(
    tmp_path: Path, read_only: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    read_only()
    monkeypatch.setenv(THEIRS, "/tmp/prefect-ui")
    assert THEIRS not in prefect_server.server_env(tmp_path / "home")


def test_without_a_prefect_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefect_server.importlib.util, "find_spec", lambda _: None)
    assert THEIRS not in prefect_server.server_env(tmp_path / "home")
