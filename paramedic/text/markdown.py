"""The parts of a runbook's prose, by CommonMark's own reading: for lint, pages and reports alike."""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

#: What each runbook says.
HEADINGS = ("Meaning", "Impact", "Diagnosis", "Mitigation")

#: `**Meaning.** text` begins a part as a heading of this level would: one of a lower level ends it.
_LEVEL_OF_STRONG = 2

_STRONG = re.compile(r"\s*(\*\*|__)(.+?)\1[.:]?\s*")


def _shows_nothing(text: str) -> bool:
    """Whether a page shows nothing of it: comments, lines across it."""
    shown = []
    while text:
        before, _, rest = text.partition("<!--")
        shown.append(before)
        text = rest.partition("-->")[2]
    lines = ("".join(line.split()) for line in "".join(shown).split("\n"))
    return all(not line or (len(line) >= 3 and line[0] in "-*_" and set(line) == {line[0]}) for line in lines)


@dataclass(frozen=True, slots=True)
class Part:
    """The text under one of the headings."""

    heading: str
    line: int  # of the heading, counted from 1 in the whole text
    text: str

    @property
    def is_empty(self) -> bool:
        """Whether a page would show nothing of it."""
        return _shows_nothing(self.text)


@dataclass(frozen=True, slots=True)
class _Start:
    """Where a heading stands, and what it begins."""

    line: int  # counted from 0
    ends: int  # the first line after it
    level: int
    name: str | None  # of HEADINGS
    words: str = ""  # what follows it on its own lines


def part_of(runbook: str, heading: str) -> str:
    """The text under a heading of a runbook, with or without front matter; empty without it."""
    return "\n\n".join(part.text for part in parts(runbook) if part.heading == heading and part.text)


@lru_cache(maxsize=256)
def parts(runbook: str) -> tuple[Part, ...]:
    """Every part of a runbook with one of `HEADINGS`, with or without front matter, in its order.

    A part ends at the next heading of its level or a higher one, and at the next part.
    """
    if not runbook.strip():  # an incident that no runbook wants
        return ()
    lines = runbook.split("\n")
    first = _prose_begins(lines)
    prose = lines[first:]
    starts = list(_starts(_reader().parse("\n".join(prose)), prose))
    return tuple(
        Part(start.name, first + start.line + 1, _text(start, starts[number + 1 :], prose))
        for number, start in enumerate(starts)
        if start.name is not None
    )


def _prose_begins(lines: Sequence[str]) -> int:
    """The first line after the front matter: there `---` would be a heading's underline."""
    if lines[0].strip() != "---":
        return 0
    return next((number + 1 for number, line in enumerate(lines[1:], 1) if line.strip() == "---"), 0)


@cache
def _reader() -> "MarkdownIt":
    from markdown_it import MarkdownIt  # here: most commands read no prose

    return MarkdownIt("commonmark")


def _text(start: _Start, later: Sequence[_Start], prose: Sequence[str]) -> str:
    end = next((other.line for other in later if other.name or other.level <= start.level), len(prose))
    return "\n".join([start.words, *prose[start.ends : end]]).strip()


def _starts(tokens: Sequence["Token"], prose: Sequence[str]) -> Iterator[_Start]:
    """The headings, and the paragraphs that begin as one; not those inside lists and quotes."""
    for token, inline in itertools.pairwise(tokens):
        if token.level != 0 or token.map is None:
            continue
        begins, ends = token.map
        if token.type == "heading_open":
            yield _Start(begins, ends, int(token.tag[1:]), _named(_plain(inline)))
        elif token.type == "paragraph_open":
            yield from _in_bold(inline, begins, ends, prose)


def _in_bold(inline: "Token", begins: int, ends: int, prose: Sequence[str]) -> Iterator[_Start]:
    """The parts that begin in bold at the start of one of the paragraph's lines."""
    names = [name for words in _strong(inline) if (name := _named(words))]
    found = []
    for number in range(begins, ends):
        match = _STRONG.match(prose[number])
        if names and match is not None and _named(match[2]) == names[0]:
            found.append((number, names.pop(0), prose[number][match.end() :]))
    for at, (number, name, words) in enumerate(found):
        end = found[at + 1][0] if at + 1 < len(found) else ends
        yield _Start(number, end, _LEVEL_OF_STRONG, name, "\n".join([words, *prose[number + 1 : end]]))


def _named(words: str) -> str | None:
    """Which of the headings the words begin with."""
    first = re.match(r"\s*(\w+)", words)
    return next((name for name in HEADINGS if first is not None and first[1].casefold() == name.casefold()), None)


def _plain(inline: "Token") -> str:
    return "".join(child.content for child in inline.children or [])


def _strong(inline: "Token") -> Iterator[str]:
    """The texts in bold with which lines of the paragraph begin."""
    children = [child for child in inline.children or [] if child.type != "text" or child.content]
    for number, child in enumerate(children):
        if child.type == "strong_open" and (number == 0 or children[number - 1].type in ("softbreak", "hardbreak")):
            inner = itertools.takewhile(lambda other: other.type != "strong_close", children[number:])
            yield "".join(other.content for other in inner)
