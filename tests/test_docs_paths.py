"""Every file that the documentation names or links to exists. A word in capitals (`flows/NAME.py`) is a placeholder."""

import re
from pathlib import Path

import pytest

from paramedic.settings import ROOT

PAGES = sorted([*ROOT.glob("docs/*.md"), *(page for page in ROOT.glob("*.md") if page.name != "CHANGELOG.md")])

#: A path names its folder from the root, or, as ARCHITECTURE.md writes a room, from `paramedic/`.
FOLDERS = (ROOT, ROOT / "paramedic")


def named(text: str) -> list[str]:
    """The paths in backticks that begin with a folder of ours, without placeholders."""
    paths = re.findall(r"`([\w.-]+/[\w./-]*)`", text)
    return [path for path in paths if _is_ours(path) and not re.search(r"\b[A-Z][A-Z_]+\b", path)]


def _is_ours(path: str) -> bool:
    return any((folder / path.split("/", maxsplit=1)[0]).is_dir() for folder in FOLDERS)


def missing(page: Path, text: str) -> list[str]:
    links = [link for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", text) if "://" not in link]
    gone = [path for path in named(text) if not any((folder / path).exists() for folder in FOLDERS)]
    return gone + [link for link in links if not (page.parent / link).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    assert not missing(page, page.read_text())


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page in an address."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_heading_that_a_page_links_to_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([\w./-]*\.md)?#([^)]+)\)", page.read_text())
    assert [link for file, link in links if link not in anchors(page.parent / file if file else page)] == []


def test_every_page_of_the_documentation_is_in_its_list() -> None:
    pages = {path.name for path in ROOT.glob("docs/*.md")} - {"README.md"}
    assert pages <= set(re.findall(r"\]\(([\w-]+\.md)", (ROOT / "docs" / "README.md").read_text()))


def test_a_path_that_has_moved_is_found_missing() -> None:
    text = "`paramedic/gone.py`, `store/gone.py`, `flows/NAME.py`, `a/b`, [page](gone.md#part), [site](https://example.org/gone.md)"
    assert missing(ROOT / "docs" / "page.md", text) == ["paramedic/gone.py", "store/gone.py", "gone.md"]
