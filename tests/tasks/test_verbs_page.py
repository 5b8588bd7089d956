"""The page of verbs is made of their docstrings, and has every verb that a playbook can call."""

import ast
from pathlib import Path

import pytest

from tasks import verbs_page

ROOT = Path(__file__).parents[2]


def test_the_page_shows_the_verbs_as_they_are_now() -> None:
    text = (ROOT / verbs_page.PAGE).read_text()
    assert verbs_page.written(text, ROOT / "tasks") == text, "run `make tables`"


def test_every_verb_of_the_shipped_playbooks_and_of_the_one_that_new_writes_is_on_it() -> None:
    sources = [(ROOT / "flows" / f"{name}.py").read_text() for name in ("restart_service", "restore_service")]
    called = {
        alias.name
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tasks.")
        for alias in node.names
    } - {"playbook"}
    page = verbs_page.made(ROOT / "tasks")
    assert len(called) >= 9
    assert [verb for verb in sorted(called) if f"### `{verb}(" not in page] == []


def test_every_verb_says_what_it_raises() -> None:
    for module in verbs_page.MODULES:
        for verb in verbs_page.verbs((ROOT / "tasks" / f"{module}.py").read_text()):
            assert "aises" in verb.text, f"{module}.{verb.name}"


def test_a_verbs_kind_bounds_and_arguments_are_read_from_the_code() -> None:
    code = (
        "@reads(retries=2, timeout=timedelta(minutes=1))\n"
        'def look(incident: Incident, deep: bool = False) -> bool:\n    "Look."\n'
        '@changes\ndef cut(intent: Intent) -> Identity:\n    "Cut."\n'
        '@tells(retries=0, timeout=timedelta(seconds=5))\ndef say() -> None:\n    "Say."\n'
        "def helper() -> None:\n    pass\n"
    )
    assert list(verbs_page.verbs(code)) == [
        (
            "look",
            "look(incident: Incident, deep: bool=False) -> bool",
            "Reads: tried up to 3 times where it raises TemporaryError, at most 1 minute",
            "Look.",
        ),
        ("cut", "cut(target: str, remedy: Remedy = RESTART) -> None", "Changes production", "Cut."),
        ("say", "say() -> None", "Tells people: at most 5 seconds", "Say."),
    ]


def test_a_verb_without_a_docstring_and_a_page_without_a_place_are_refused() -> None:
    with pytest.raises(ValueError, match="the verb cut has no docstring"):
        list(verbs_page.verbs("@changes\ndef cut(intent):\n    return 1\n"))
    with pytest.raises(ValueError, match=r"docs/verbs.md has no lines"):
        verbs_page.written("# Verbs\n")
