"""The lines that Prefect logs in the children of `paramedic up`, which go into files."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

#: Where Prefect looks for its logging configuration: this variable, or a file of this name in its home.
_THEIRS, _AT_HOME = "PREFECT_LOGGING_SETTINGS_PATH", "logging.yml"


class LogLines(logging.StreamHandler[TextIO]):
    """Prefect's console handler without the console: the same lines, plain.

    Prefect's draws each line with rich, whose first line takes a process some 10 ms, while an alert waits for its first step.
    """

    def __init__(self, stream: TextIO | None = None, styles: Mapping[str, str] | None = None) -> None:  # noqa: ARG002
        """`styles` are the colours in Prefect's configuration."""
        super().__init__(stream)


def log_env(env: Mapping[str, str], home: Path) -> dict[str, str]:
    """What makes Prefect log so, for a process with this environment and Prefect home; empty where they configure logging."""
    if _THEIRS in env or (home / _AT_HOME).exists():
        return {}
    return {"PREFECT_LOGGING_HANDLERS_CONSOLE_CLASS": f"{LogLines.__module__}.{LogLines.__qualname__}"}
