"""No regular expression of the product can be kept busy by what a sender, a target or a mail server writes."""

import ast
import importlib
import re
import time
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from re import _parser as parser  # type: ignore[attr-defined]

ROOT = Path(__file__).parents[1]
ROOMS = ("paramedic", "tasks", "flows")
_CALLS = ("match", "fullmatch", "search", "sub", "split", "findall", "finditer")

#: How long the hostile text is, and how much of a core one look at it may cost.
_LONG = 65_536
_SECONDS = 1.0


class Use(NamedTuple):
    """A pattern, and the ways in which the code looks with it."""

    pattern: re.Pattern[str]
    ways: frozenset[str]


def _written() -> Iterator[tuple[str, Use]]:
    """Every pattern that stands as a constant where it is used."""
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            text = file.read_text()
            if not any(f"re.{way}(" in text for way in _CALLS):
                continue  # nothing to parse it for
            for node in ast.walk(ast.parse(text)):
                match node:
                    case ast.Call(
                        func=ast.Attribute(value=ast.Name(id="re"), attr=way),
                        args=[ast.Constant(value=str(written)), *_],
                    ) if way in _CALLS:
                        yield f"{file.relative_to(ROOT)} {written[:40]!r}", Use(re.compile(written), frozenset({way}))


def _compiled() -> Iterator[tuple[str, Use]]:
    """Every compiled pattern that a module holds, built from parts or not."""
    for room in ROOMS:
        for file in sorted((ROOT / room).rglob("*.py")):
            text = file.read_text()
            if "re.compile" not in text or file.name == "__main__.py":
                continue
            module = importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
            for name, value in vars(module).items():
                ways = frozenset(way for way in _CALLS if re.search(rf"\b{name}\.{way}\(", text))
                ways = ways or frozenset(way for way in _CALLS if f".{way}(" in text)  # by another name
                for pattern in _patterns(value):
                    if isinstance(pattern.pattern, str):
                        yield f"{module.__name__}.{name} {pattern.pattern[:40]!r}", Use(pattern, ways)


def _patterns(value: object) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield value
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _patterns(item)


@cache
def _all() -> dict[str, Use]:
    return dict(_written()) | dict(_compiled())


def _look(use: Use, text: str) -> float:
    """How many seconds of a core the code's own look at the text costs."""
    began = time.thread_time()
    for way in use.ways:
        result = use.pattern.sub("", text) if way == "sub" else getattr(use.pattern, way)(text)
        if way == "finditer":
            list(result)
    return time.thread_time() - began


def _sample(tree: Iterable[tuple[Any, Any]]) -> str:
    """A text that the pattern, or a part of it, takes."""
    sample = ""
    for op, what in tree:
        match str(op), what:
            case "LITERAL", int(code):
                sample += chr(code)
            case "NOT_LITERAL", int(code):
                sample += "a" if code != ord("a") else "b"
            case "ANY", _:
                sample += "a"
            case "IN", items:
                sample += _member(items)
            case "BRANCH", (_, branches):
                sample += _sample(branches[0])
            case "SUBPATTERN", (_, _, _, inner):
                sample += _sample(inner)
            case (("MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT"), (least, _, inner)):
                sample += _sample(inner) * max(least, 1)
    return sample


def _member(items: list[tuple[Any, Any]]) -> str:
    """A character of the class."""
    for char in "a0A _-.:/=*#\n[ é":
        if _inside(items, char):
            return char
    return "a"


def _inside(items: list[tuple[Any, Any]], char: str) -> bool:
    inside = False
    for op, what in items:
        match str(op):
            case "LITERAL":
                inside = inside or chr(what) == char
            case "RANGE":
                inside = inside or what[0] <= ord(char) <= what[1]
            case "CATEGORY":
                inside = inside or re.fullmatch(_CATEGORY[str(what)], char) is not None
    return inside is not (str(items[0][0]) == "NEGATE")


_CATEGORY = {
    "CATEGORY_DIGIT": r"\d", "CATEGORY_NOT_DIGIT": r"\D", "CATEGORY_SPACE": r"\s", "CATEGORY_NOT_SPACE": r"\S",
    "CATEGORY_WORD": r"\w", "CATEGORY_NOT_WORD": r"\W",
}  # fmt: skip


def _repeated(tree: Iterable[tuple[Any, Any]]) -> Iterator[str]:
    """What stands under each repetition of the pattern, and what stands before it."""
    before = ""
    for op, what in tree:
        match str(op), what:
            case "BRANCH", (_, branches):
                for branch in branches:
                    yield from _repeated(branch)
            case "SUBPATTERN", (_, _, _, inner):
                yield from (before + unit for unit in _repeated(inner))
                yield from _repeated(inner)
            case (("MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT"), (_, most, inner)):
                if most != 1:
                    yield before + "\x00" + _sample(inner)
                yield from _repeated(inner)
            case (("ASSERT" | "ASSERT_NOT"), (_, inner)):
                yield from _repeated(inner)
        before += _sample([(op, what)])


def _hostile(pattern: re.Pattern[str], long: int) -> set[str]:
    """Texts that a part of the pattern takes again and again, and that then end otherwise."""
    texts = {char * long + "\x01" for char in "a0 A_-/\n\"'<*"}
    for repeated in _repeated(parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)):
        before, _, unit = repeated.rpartition("\x00")
        before = before.replace("\x00", "")
        texts |= {before + unit * (long // max(len(unit), 1)) + "\x01"}
        if whole := before + unit:
            texts.add(whole * (long // len(whole)) + "\x01")
    return texts


@pytest.mark.timeout(60)  # an exponential one would never end
@pytest.mark.parametrize("at", sorted(_all()))
def test_no_text_keeps_a_pattern_busy(at: str) -> None:
    for long in (1024, _LONG):
        for text in _hostile(_all()[at].pattern, long):
            took = _look(_all()[at], text)
            assert took < _SECONDS, f"{took:.1f} s for {len(text)} characters, {text[:40]!r}…"


@pytest.mark.parametrize(
    ("bad", "long"), [(r"(a+)+b", 18), (r"(a|a)*b", 16), (r"([a-z]+\s?)+:", 18), (r"\s+$", 3000), (r"x*x*x*y", 120)]
)
def test_a_pattern_that_can_be_kept_busy_is_found(bad: str, long: int) -> None:
    """The net itself, at lengths at which each of them still ends."""
    use = Use(re.compile(bad), frozenset({"search"}))
    assert max(_look(use, text) for text in _hostile(use.pattern, long)) > 0.005
