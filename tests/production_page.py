"""The commands of docs/production.md, block by block under their headings, as a machine of a test plays them."""

import re
from collections.abc import Mapping

from paramedic.settings import ROOT

PAGE = ROOT / "docs" / "production.md"

_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)

#: The function by which later blocks call Paramedic.
_FUNCTION = re.compile(r"^paramedic\(\) .*$", re.MULTILINE)


def all_blocks() -> dict[str, list[str]]:
    """The blocks of commands by the heading that they stand under."""
    headings = "|".join(re.escape(line) for line in _headings())
    parts = re.split(rf"^#+ ({headings})\n", PAGE.read_text(), flags=re.MULTILINE)
    found = {heading: _BLOCK.findall(text) for heading, text in zip(parts[1::2], parts[2::2], strict=True)}
    return {heading: commands for heading, commands in found.items() if commands}


def blocks(heading: str) -> list[str]:
    """The blocks of commands between this heading and the next one of any level."""
    return all_blocks()[heading]


def _headings() -> list[str]:
    """Those of the page: a line of commands may begin with a mark too."""
    return re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", PAGE.read_text(), flags=re.DOTALL), re.MULTILINE)


def function() -> str:
    """How the page calls Paramedic as its user."""
    [found] = _FUNCTION.findall(PAGE.read_text())
    return f"{found}\n"


def changed(block: str, replaced: Mapping[str, str]) -> str:
    """The block with what a test cannot have as it is written, replaced. Each is in the block, or the test is out of date."""
    for written, instead in replaced.items():
        assert written in block, f"{written!r} is not on the page any more:\n{block}"
        block = block.replace(written, instead)
    return block if block.startswith("paramedic()") else function() + block
