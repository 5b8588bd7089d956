"""The command line, run in this process: a start of Python and its imports cost a second of a core."""

import contextlib
import io
from collections.abc import Mapping

import pytest

from paramedic import cli


def paramedic(*argv: str, code: int = 0, env: Mapping[str, str] | None = None) -> str:
    """What `paramedic ARGV` says on both of its streams, where it ends with this code."""
    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
        for name, value in (env or {}).items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            cli.main(list(argv))
    assert (ended.value.code or 0) == code, output.getvalue()
    return output.getvalue()
