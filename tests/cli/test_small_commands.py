"""The command line itself: what a small command loads, how wide it writes, its version, what a shell completes."""

import io
import json
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from paramedic.cli import COMMANDS, main
from paramedic.cli import output as output_module

#: What takes a tenth of a second or more to import, and what a command is then slow by.
HEAVY = {
    "prefect",
    "sqlalchemy",
    "alembic",
    "httpx",
    "apprise",
    "jinja2",
    "pydantic_settings",
    "psutil",
    "cryptography",
}

_LOADED = """
import json, sys
from paramedic.cli import main
try:
    main({argv!r})
except SystemExit:
    pass
print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})), file=sys.stderr)
"""


_MAIN = (sys.executable, "-c", "from paramedic.cli import main; main()")


def run(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PARAMEDIC_")}
    return subprocess.run(argv, env=plain | environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("argv", "needed"),
    [
        (["--help"], set()),
        (["--version"], set()),
        (["config"], set()),
        (["incident", "list"], {"sqlalchemy"}),
        (["check", "list"], {"sqlalchemy"}),
    ],
)
def test_a_small_command_loads_no_more_than_it_needs(argv: list[str], needed: set[str], tmp_path: Path) -> None:
    done = run(
        sys.executable, "-c", _LOADED.format(argv=argv), PARAMEDIC_DATA=str(tmp_path / "none"), HOME=str(tmp_path)
    )
    loaded = set(json.loads(done.stderr.splitlines()[-1]))
    assert loaded & HEAVY <= needed
    assert "pydantic" not in loaded or argv not in (["--help"], ["--version"])


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"paramedic {metadata.version('paramedic')}\n"


@pytest.mark.parametrize(
    "argv", [["--help"], ["incident", "list", "--help"], ["runbook", "--help"], ["doctor", "--help"]]
)
def test_help_is_80_columns_wide(argv: list[str]) -> None:
    done = run(*_MAIN, *argv, COLUMNS="80")
    assert done.returncode == 0, done.stderr
    assert max(len(line) for line in done.stdout.splitlines()) <= 80


def test_a_shell_completes_commands_without_loading_them() -> None:
    code = "import sys; from paramedic.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    code += "print([name for name in sys.modules if name.startswith('paramedic.cli.')], file=sys.stderr)"
    done = run(sys.executable, "-c", code, _PARAMEDIC_COMPLETE="complete_bash", COMP_WORDS="paramedic ", COMP_CWORD="1")
    assert done.stdout.split() == list(COMMANDS)
    assert done.stderr.strip() == "[]"
    done = run(
        sys.executable,
        "-c",
        code,
        _PARAMEDIC_COMPLETE="complete_bash",
        COMP_WORDS="paramedic incident s",
        COMP_CWORD="2",
    )
    assert done.stdout.split() == ["show"]


def test_a_script_for_the_shell_is_shown() -> None:
    done = run(*_MAIN, "--show-completion", "bash", _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "_PARAMEDIC_COMPLETE=complete_bash" in done.stdout
    assert "complete -o default -F _paramedic_completion paramedic" in done.stdout


def test_a_table_that_is_too_wide_for_the_terminal_is_a_paragraph_a_row() -> None:
    rows = output_module.table("id", "state", "target", "title", "person")
    rows.add_row(
        "INC-16", "handed_over", "web-1/shop.service", output_module.safe("[red] the shop is slow, and " * 3), ""
    )
    rows.add_row("INC-1", "resolved", "web-2/shop", "down", "ada")
    shown = {}
    for width, terminal in ((80, True), (400, True), (80, False)):
        out = io.StringIO()
        console = output_module.Terminal(file=out, width=width, force_terminal=terminal, color_system=None, emoji=False)
        console.print(rows)
        shown[width, terminal] = out.getvalue()
    narrow = shown[80, True].splitlines()
    assert narrow[0].startswith("INC-16  state handed_over · target web-1/shop.service · title [red] the shop")
    assert narrow[1].startswith(" " * 8)
    assert narrow[-1] == "INC-1  state resolved · target web-2/shop · title down · person ada"
    assert max(map(len, narrow)) <= 80
    assert shown[400, True].splitlines()[0].split() == ["id", "state", "target", "title", "person"]
    assert "·" not in shown[80, False], "a program gets a table"


def test_words_hang_under_their_beginning_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    words = "one two three four five six seven"
    assert output_module.hanging("head ", words) == f"head {words}", "a program gets whole lines"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(output_module.console, "width", 25)
    assert output_module.hanging("head ", words) == "head one two three four\n     five six seven"
