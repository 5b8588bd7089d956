"""One reading of a runbook's prose, CommonMark's, for lint, pages and reports."""

import subprocess
import sys
from pathlib import Path

import pytest

from paramedic.catalog import runbook_file
from paramedic.messages.compose import mitigation_of
from paramedic.text.markdown import HEADINGS, part_of, parts
from paramedic.text.yaml_document import BadDocument

ROOT = Path(__file__).parents[2]
FRONT = """\
---
runbook: shop-down
service: shop
when:
  - alert: ShopDown
playbook: restart-service
with:
  target: {supervisord: shop, host: "{instance}"}
  verify: {health: ok, stable: 2s, within: 20s}
---
"""
BEFORE = "## Meaning\nm\n\n## Impact\ni\n\n## Diagnosis\n"

#: By what stands before it, and how it is written: the text that a page has to show.
WAYS = {
    "a fence in a list, closed by two backticks": (
        "1. How long?\n   ```promql\n   queue\n   ``\n   Above 90%% more.\n2. Look.\n\n## Mitigation\n%s"
    ),
    "a fence in a list, never closed": "- a\n  ~~~\n  # b\n\n## Mitigation\n%s",
    "a fence on one line": "``` not a fence ```\n\n## Mitigation\n%s",
    "a longer fence that holds a shorter one": "````\n```\n## Mitigation\nno\n````\n\n## Mitigation\n%s",
    "an indented fence": "   ```\n   ## Mitigation\n   no\n   ```\n\n## Mitigation\n%s",
    "an indented code block": "x\n\n    ## Mitigation\n    no\n\n## Mitigation\n%s",
    "an HTML comment": "<!--\n## Mitigation\nno\n-->\n\n## Mitigation\n%s",
    "a quote": "> ## Mitigation\n> no\n\n## Mitigation\n%s",
    "an underlined heading": "x\n\nMitigation\n----------\n%s",
    "an underlined heading of the first level": "x\n\nMitigation\n==========\n%s",
    "an indented heading": "x\n\n  ## Mitigation\n%s",
    "a closed heading": "x\n## Mitigation ##\n%s",
    "a heading in bold": "x\n\n## **Mitigation**\n%s",
    "a heading with more words": "x\n\n#### Mitigation steps:\n%s",
    "bold, with a full stop inside": "x\n\n**Mitigation.** %s",
    "bold, with a colon after": "x\n\n**Mitigation**: %s",
    "bold, by underscores": "x\n\n__Mitigation__ %s",
    "bold, on a line of its own": "x\n\n**Mitigation**\n\n%s",
    "bold, in one paragraph with others": "x\n**Mitigation.** %s",
}
TEXT = "1. Stop the importer.\n2. Then restart the shop."


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_the_checklist_is_found_as_a_reader_of_markdown_finds_it(way: str) -> None:
    text = FRONT + BEFORE + way % TEXT + "\n"
    assert mitigation_of(text) == TEXT
    assert runbook_file.parse(text, "r.md").name == "shop-down"
    assert part_of(text, "Meaning") == "m"


@pytest.mark.parametrize(
    "way",
    [
        "```\n## Mitigation\nno\n```",
        "```\n## Mitigation\nno",
        "> ## Mitigation\n> no",
        "- ## Mitigation\n  no",
        "#Mitigation\nno",
        "Mitigation\nno",
        "so **Mitigation.** no",
        "\\## Mitigation\nno",
        "    ## Mitigation",
        "## How to\nMitigation",
    ],
)
def test_what_only_looks_like_a_heading_is_missing_for_all_three(way: str) -> None:
    text = FRONT + BEFORE + f"x\n\n{way}\n"
    assert mitigation_of(text) == ""
    with pytest.raises(BadDocument, match="the prose has no Mitigation"):
        runbook_file.parse(text, "r.md")


def test_a_part_ends_at_the_next_heading_of_its_level_or_a_higher_one_and_at_the_next_part() -> None:
    text = "# T\n### Mitigation\na\n#### Sub\nb\n### Other\nc\n## Impact\nd\n### Sub\ne\n"
    text += "#### Meaning\nf\n**Diagnosis.** g\n### H\nh\n# End\ni\n"
    assert [(part.heading, part.line, part.text) for part in parts(text)] == [
        ("Mitigation", 2, "a\n#### Sub\nb"),
        ("Impact", 8, "d\n### Sub\ne"),
        ("Meaning", 12, "f"),
        ("Diagnosis", 14, "g\n### H\nh"),
    ]


def test_a_heading_that_stands_twice_has_the_text_of_both() -> None:
    assert part_of("## Mitigation\na\n## Other\nb\n## Mitigation\nc\n", "Mitigation") == "a\n\nc"


def test_lines_are_counted_with_the_front_matter() -> None:
    text = FRONT + BEFORE
    assert [text.split("\n")[part.line - 1] for part in parts(text)] == ["## Meaning", "## Impact", "## Diagnosis"]


@pytest.mark.parametrize("nothing", ["", "\n\n", "<!-- later -->", "---\n", "<!--\na\n-->\n***"])
def test_a_part_of_which_a_page_shows_nothing_is_empty(nothing: str) -> None:
    [mitigation] = parts(f"## Mitigation\n\n{nothing}\n")
    assert mitigation.is_empty
    assert not next(iter(parts(f"## Mitigation\n\n{nothing}\n\ntext\n"))).is_empty


@pytest.mark.parametrize("file", sorted((ROOT / "runbooks").glob("tracking*.md")), ids=lambda file: file.name)
def test_the_shipped_runbooks_have_all_four_with_text(file: Path) -> None:
    assert sorted(part.heading for part in parts(file.read_text()) if not part.is_empty) == sorted(HEADINGS)


def test_the_reader_of_markdown_is_loaded_by_whoever_reads_prose_and_by_nobody_else() -> None:
    code = "import sys, paramedic.cli, paramedic.text.markdown; assert 'markdown_it' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
