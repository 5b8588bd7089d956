"""The command line itself: what a small command loads, how wide it writes, its version, what a shell completes."""

import io
import json
import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from store_states import opened

from paramedic import keys
from paramedic.cli import COMMANDS, main
from paramedic.cli import output as output_module
from paramedic.settings import ROOT, Settings
from paramedic.store import Store
from paramedic.upkeep import checkpoints

#: What takes a while to import, and what a command is then slow by.
HEAVY = {
    "alembic",
    "apprise",
    "asyncio",
    "cryptography",
    "email.policy",
    "http.client",
    "httpx",
    "importlib.metadata",
    "jinja2",
    "markdown_it",
    "paramedic.docker",
    "paramedic.gateway",
    "paramedic.integrations.evidence.sockets",
    "paramedic.integrations.targets.postgres",
    "paramedic.integrations.targets.supervisord",
    "paramedic.kinds.evidence",
    "paramedic.kinds.registry",
    "paramedic.kinds.transport",
    "paramedic.kubernetes",
    "paramedic.paging",
    "paramedic.sampling.one_sample",
    "paramedic.sources.alertmanager",
    "paramedic.store.checks",
    "prefect",
    "psutil",
    "pycurl",
    "pydantic",
    "pydantic_settings",
    "rich",
    "ruamel.yaml",
    "sqlalchemy",
    "sqlalchemy.dialects.postgresql",
    "tomllib",
    "whenever",
    "xmlrpc.client",
}

#: What a command needs that reads settings and shows a table, that reads the store, that reads who is on call, that reads all
#: that authors write, whose targets are supervisord programs here, and that lists every kind of target.
TABLE = {"importlib.metadata", "pydantic", "rich"}
STORE = TABLE | {"sqlalchemy", "asyncio"}
ONCALL = TABLE | {"paramedic.kinds.registry", "ruamel.yaml", "whenever"}
TARGETS = {"paramedic.kinds.evidence", "paramedic.kinds.transport", "paramedic.integrations.targets.supervisord"}
AUTHORS = ONCALL | TARGETS | {"markdown_it"}
KINDS = AUTHORS | {"http.client", "paramedic.docker", "paramedic.kubernetes", "paramedic.integrations.targets.postgres"}

_LOADED = """
import json, sys
from paramedic.cli import main
try:
    main({argv!r})
except SystemExit as ended:
    code = ended.code
print(json.dumps([code or 0, list(sys.modules)]), file=sys.stderr)
"""

_MAIN = (sys.executable, "-c", "from paramedic.cli import main; main()")


def run(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PARAMEDIC_")}
    return subprocess.run(argv, env=plain | environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    """A data folder with the shipped runbooks, and a store with an incident without a runbook, one with it, a signed trail."""
    folder = tmp_path_factory.mktemp("data")
    folder.chmod(0o700)
    shutil.copytree(ROOT / "runbooks", folder / "runbooks")
    shutil.copyfile(sqlite_template, folder / "paramedic.db")
    settings = Settings(data=folder)
    store = Store(settings.store())
    with store.record() as tx:
        opened(tx, plan=False)
        opened(tx, target="web-2/tracking-api")
    checkpoints.write(store, keys.signing_key(settings), settings.checkpoints())
    store.close()
    return folder


@pytest.mark.parametrize(
    ("command", "needed"),
    [
        ("--help", set()),
        ("--version", {"importlib.metadata"}),
        ("config", TABLE),
        ("services schema", KINDS),
        ("runbook list", AUTHORS),
        (  # it names each plug-in that cannot be used
            "runbook lint",
            KINDS | {"paramedic.sources.alertmanager", "paramedic.integrations.evidence.sockets", "pycurl"},
        ),
        ("incident list", STORE),
        ("incident show 1", STORE | ONCALL),
        ("incident show 2", STORE | ONCALL | {"markdown_it"}),  # its runbook says what to do
        ("incident ack 1 --by ada", STORE | ONCALL),
        ("oncall who", STORE | ONCALL),
        ("pauses", STORE),
        ("resume --by ada", STORE),
        ("maintenance list", STORE),
        ("alert list", STORE),
        ("check list", STORE | AUTHORS),
        ("audit show", STORE | {"cryptography"}),
        ("audit verify", STORE | {"cryptography"}),
    ],
)
def test_a_small_command_loads_no_more_than_it_needs(command: str, needed: set[str], data: Path) -> None:
    argv = (
        command.split()
        if command.endswith(("--help", "--version", "services schema"))
        else [*command.split(), "--data", str(data)]
    )
    done = run(sys.executable, "-c", _LOADED.format(argv=argv))
    code, loaded = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    assert sorted(HEAVY & set(loaded) - needed) == []


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
    assert done.stderr.strip() == "['paramedic.cli.lazy_group']"
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
