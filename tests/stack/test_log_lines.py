"""What Prefect logs in the children of `up`: the same lines as on its console, without drawing them."""

import io
import logging
import logging.config
from pathlib import Path

import pytest
from prefect.logging.configuration import DEFAULT_LOGGING_SETTINGS_PATH, load_logging_config

from paramedic.settings import load_settings
from paramedic.stack.environment import child_env
from paramedic.stack.log_lines import LogLines, log_env

_RECORD = logging.LogRecord("prefect.worker", logging.INFO, __file__, 1, "%s", ("at http://127.0.0.1 [bold]",), None)


def _console() -> logging.StreamHandler[io.StringIO]:
    """The console handler as Prefect makes it in this environment."""
    config = load_logging_config(DEFAULT_LOGGING_SETTINGS_PATH)
    made = logging.config.DictConfigurator(config)
    config["formatters"]["standard"] = made.configure_formatter(config["formatters"]["standard"])
    handler = made.configure_handler(config["handlers"]["console"])
    assert isinstance(handler, logging.StreamHandler)
    return handler


def _written(handler: logging.StreamHandler[io.StringIO]) -> str:
    written = handler.stream = io.StringIO()
    if console := getattr(handler, "console", None):
        console.file = written
    handler.emit(_RECORD)
    return written.getvalue()


def test_its_lines_are_those_of_prefects_console(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    drawn = _console()
    for name, value in log_env({}, tmp_path).items():
        monkeypatch.setenv(name, value)
    plain = _console()
    assert isinstance(plain, LogLines)
    assert not isinstance(drawn, LogLines)
    assert _written(plain) == _written(drawn)
    assert _written(plain).endswith("at http://127.0.0.1 [bold]\n")


def test_every_child_logs_so(tmp_path: Path) -> None:
    env = child_env(load_settings(data=tmp_path / "data"), 0)
    assert log_env({}, tmp_path).items() <= env.items()


@pytest.mark.parametrize("own", ["by the variable", "in Prefect's home", "the class alone"])
def test_logging_that_somebody_configured_is_left_alone(
    own: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (variable,) = log_env({}, tmp_path)
    match own:
        case "by the variable":
            monkeypatch.setenv("PREFECT_LOGGING_SETTINGS_PATH", str(tmp_path / "own.yml"))
        case "in Prefect's home":
            (tmp_path / "data" / "prefect").mkdir(parents=True)
            (tmp_path / "data" / "prefect" / "logging.yml").touch()
        case _:
            monkeypatch.setenv(variable, "logging.StreamHandler")
    env = child_env(load_settings(data=tmp_path / "data"), 0)
    assert env.get(variable) == ("logging.StreamHandler" if own == "the class alone" else None)
