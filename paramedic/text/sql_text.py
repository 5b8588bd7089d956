"""SQL statements of others, made fit to be shown: what was done to which table, and none of the values."""

import re

from paramedic.text.sanitize import one_line

#: What stands where a value or a comment stood.
_HIDDEN = "?"

#: What begins a value, a comment or a quoted name. A dollar tag may follow a name's character only in a name.
_OPENING = re.compile(
    r"""--[^\n]*|/\*|(?<![\w$])\$(?P<tag>[^\W\d][\w]*)?\$|(?P<escaped>[eE])?'|"|(?<![\w$.])\d[\w.]*"""
)
_COMMENT_PART = re.compile(r"/\*|\*/")


def without_values(statement: str, limit: int = 300) -> str:
    """The statement on one line of at most so many characters, with `?` for every value: texts, numbers, comments.

    It may be cut, as PostgreSQL cuts what a session shows: a value that is not closed goes up to the end. Where a backslash
    before a quote may or may not end the text, by a setting of the session, all that follows is hidden.
    """
    shown, at = [], 0
    while found := _OPENING.search(statement, at):
        shown.append(statement[at : found.start()])
        end = _end(statement, found)
        shown.append(
            statement[found.start() : end] if found[0] == '"' else f" {_HIDDEN} " if _is_comment(found) else _HIDDEN
        )
        at = end
    words = one_line("".join([*shown, statement[at:]]))
    return words if len(words) <= limit else f"{words[:limit]}…"


def _is_comment(found: "re.Match[str]") -> bool:
    return found[0].startswith(("--", "/*"))


def _end(statement: str, found: "re.Match[str]") -> int:
    """Where what begins there ends; the statement's end where it is not closed."""
    opening = found[0]
    if opening == "/*":
        return _comment_end(statement, found.end())
    if opening == '"':
        return _quote_end(statement, found.end(), '"')
    if opening.endswith("'"):
        return _text_end(statement, found.end(), escaped=found["escaped"] is not None)
    if opening.startswith("$"):
        closed = statement.find(opening, found.end())
        return len(statement) if closed < 0 else closed + len(opening)
    return found.end()


def _comment_end(statement: str, at: int) -> int:
    """Comments nest."""
    depth = 1
    while depth and (part := _COMMENT_PART.search(statement, at)):
        depth += 1 if part[0] == "/*" else -1
        at = part.end()
    return len(statement) if depth else at


def _quote_end(statement: str, at: int, quote: str) -> int:
    """Behind the closing quote; a doubled one closes nothing."""
    while (at := statement.find(quote, at)) >= 0:
        if statement[at + 1 : at + 2] != quote:
            return at + 1
        at += 2
    return len(statement)


def _text_end(statement: str, at: int, *, escaped: bool) -> int:
    while at < len(statement):
        match statement[at]:
            case "\\" if escaped:
                at += 2
            case "\\" if statement[at + 1 : at + 2] == "'":  # an end, or not: `standard_conforming_strings` decides
                return len(statement)
            case "'" if statement[at + 1 : at + 2] == "'":
                at += 2
            case "'":
                return at + 1
            case _:
                at += 1
    return len(statement)
