"""Redaction of secrets wherever text leaves the process: known ones by value, unknown ones by pattern (P8)."""

import base64
import html
import json
import logging
import re
import threading
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus, unquote

from paramedic.text.secret_look import is_machine_made, is_placeholder, looks_secret

#: What stands where a secret stood.
REPLACEMENT = "[secret]"

#: A shorter value is not treated as a secret: redacting it would redact half the language.
SHORTEST = 6

_lock = threading.Lock()
_known: tuple[str, ...] = ()
_pattern: re.Pattern[str] | None = None


def remember(value: str) -> None:
    """Redact this value from now on, in every form: plain, in a URL, in JSON, in HTML, in base64."""
    global _known, _pattern  # noqa: PLW0603 - one process, one set of secrets
    if len(value) < SHORTEST or value in REPLACEMENT:
        return
    with _lock:
        alternatives = sorted(set(_known) | _forms(value), key=len, reverse=True)
        _known = tuple(alternatives)
        _pattern = re.compile("|".join(map(re.escape, alternatives)))


def remember_quoted(*texts: str) -> None:
    """Redact each text from now on, as it is and as it is without a URL's quoting."""
    for text in texts:
        remember(text)
        remember(unquote(text))


def forget_all() -> None:
    """Forget every known secret. For tests."""
    global _known, _pattern  # noqa: PLW0603
    with _lock:
        _known = ()
        _pattern = None


def _forms(value: str) -> set[str]:
    """The value as it stands in URLs, HTML, JSON and, at each of three offsets, in base64."""
    forms = {value, quote(value, safe=""), quote(value), quote_plus(value), html.escape(value), json.dumps(value)[1:-1]}
    raw = value.encode("utf-8", "surrogatepass")
    for shift in range(3):
        # The characters that only the value decides, wherever it stands inside a longer encoded text.
        encoded = base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")
        inner = encoded[-(-shift * 8 // 6) : len(encoded) - (1 if (shift + len(raw)) % 3 else 0)]
        if len(inner) >= SHORTEST:
            forms |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {form for form in forms if len(form) >= SHORTEST}


@dataclass(frozen=True, slots=True)
class _Shape:
    """The pattern of a secret that is not known by value.

    `any_of` and `all_of` are cheap to look for: a text (case-folded) without one of the first and all of the second holds
    no match of the pattern. Regular expressions cost a hundred times more, and nearly no text needs them.
    """

    pattern: re.Pattern[str]
    instead: str | Callable[[re.Match[str]], str]
    any_of: tuple[str, ...]
    all_of: tuple[str, ...] = ()

    def may_be_in(self, folded: str) -> bool:
        """Whether the pattern may match; False is certain."""
        for (
            part
        ) in self.any_of:  # a loop: every text that leaves the process is looked at, and `any` costs twice as much
            if part in folded:
                return all(part in folded for part in self.all_of)
        return False


def _login(match: re.Match[str]) -> str:
    return match[0] if is_placeholder(match[2]) else f"{match[1]}{REPLACEMENT}"


def _credentials(match: re.Match[str]) -> str:
    """After `Bearer` or `Basic`: a header's value, whatever it is; in prose only what looks like one."""
    header = "authorization" in match.string[max(match.start() - 20, 0) : match.start()].casefold()
    secret = not is_placeholder(match[2]) if header else looks_secret(match[2])
    return f"{match[1]} {REPLACEMENT}" if secret else match[0]


def _prefixed(match: re.Match[str]) -> str:
    return REPLACEMENT if is_machine_made(match[0]) else match[0]


def _assigned(match: re.Match[str]) -> str:
    """After `password=` or `"password": "`: any value; after `password:`, which prose has too, what looks like one."""
    name, joint, value = match.groups()
    is_folder = name.casefold() == "pwd" and value.startswith("/")
    plain = "=" not in joint and '"' not in joint
    secret = looks_secret(value) if plain else not (is_placeholder(value) or is_folder)
    return f"{name}{joint}{REPLACEMENT}" if secret else match[0]


#: Every repetition is bounded: hostile text costs linear time.
_SHAPES = (
    _Shape(
        re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.-]{0,20}://[^\s/:@]{0,128}:)([^\s/@]{1,256})(?=@)"),
        _login,
        any_of=("://",),
        all_of=("@",),
    ),
    _Shape(
        re.compile(r"(?i)\b(bearer|basic)\s{1,4}([a-z0-9+/=._~-]{8,4096})"),
        _credentials,
        any_of=("bearer", "basic"),
    ),
    _Shape(
        re.compile(r"\beyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{8,1024}"),
        REPLACEMENT,
        any_of=("eyj",),
    ),
    _Shape(
        re.compile(r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,256}"),
        _prefixed,
        any_of=("sk-", "sk_", "pk-", "pk_", "rk-", "rk_"),
    ),
    _Shape(
        re.compile(r"\b(?:ghp|gho|ghu|ghs|ghr|github_pat|glpat|xox[abprs])[-_][A-Za-z0-9_-]{10,256}"),
        REPLACEMENT,
        any_of=("ghp", "gho", "ghu", "ghs", "ghr", "github_pat", "glpat", "xox"),
    ),
    _Shape(re.compile(r"\bwhsec_[A-Za-z0-9+/=_-]{16,256}"), REPLACEMENT, any_of=("whsec_",)),
    _Shape(re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), REPLACEMENT, any_of=("akia", "asia")),
    _Shape(
        re.compile(
            r"(?i)\b((?:[a-z0-9]{1,32}[_-]){0,3}(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key))"
            r"(\"?\s{0,2}[=:]\s{0,2}\"?)(?!\[secret\])([^\s\"'&,;}{]{3,512})"
        ),
        _assigned,
        any_of=(
            *("password", "passwd", "pwd", "secret", "token"),
            *(f"{word}{joint}key" for word in ("api", "access") for joint in ("", "_", "-")),
        ),
    ),
)


def redact(text: str) -> str:
    """The text without any secret."""
    text = redact_known(text)
    folded = _folded(text)
    for shape in _SHAPES:
        if shape.may_be_in(folded):
            text = shape.pattern.sub(shape.instead, text)
    return _without_private_keys(text) if "-----" in text else text


def redact_known(text: str) -> str:
    """The text without the secrets that this process knows: for what its author wrote, a runbook for instance.

    What merely looks like a secret stays: a command or a sentence that is cut helps nobody.
    """
    pattern, known = _pattern, _known
    if pattern is not None and any(form in text for form in known):
        return pattern.sub(REPLACEMENT, text)
    return text


class Redacted(str):
    """A text that is redacted already."""

    __slots__ = ()


def redact_start(text: str, limit: int) -> Redacted:
    """The first `limit` characters of the text, redacted; the work is bounded, however long the text is.

    What follows them is read as well, so that a secret that the limit cuts in two is still recognized.
    """
    behind = 2 * max(_LONGEST_SHAPE, max(map(len, _known), default=0))
    if len(text) <= limit + behind:
        return Redacted(redact(text)[:limit])
    # A secret that the cut goes through lies at the very end: what is dropped there is longer than any of them.
    return Redacted(redact(text[: limit + behind])[:-behind][:limit])


def redact_end(text: str, limit: int) -> Redacted:
    """The last `limit` characters of a text, redacted before they are cut; what was cut off before may have been in a key."""
    edge = _KEY_EDGE.search(text)
    if edge is not None and edge[1] == "END":
        text = f"{REPLACEMENT}{text[edge.end() :]}"
    return Redacted(redact(text)[-limit:])


#: No match of a shape is longer.
_LONGEST_SHAPE = 16_384

#: What `re` takes for an i without regard to case, and `casefold` does not.
_LETTERS_I = (("\N{LATIN SMALL LETTER DOTLESS I}", "i"), ("i\N{COMBINING DOT ABOVE}", "i"))


def _folded(text: str) -> str:
    """The text, case-folded for the cheap search."""
    folded = text.casefold()
    if not folded.isascii():
        for letter, plain in _LETTERS_I:
            folded = folded.replace(letter, plain)
    return folded


_KEY_EDGE = re.compile(r"-----(BEGIN|END) [A-Z ]{0,30}PRIVATE KEY-----")


def _without_private_keys(text: str) -> str:
    """From each BEGIN to the next END; a key whose end was cut off goes to the end of the text."""
    kept, at, begun = [], 0, False
    for edge in _KEY_EDGE.finditer(text):
        if edge[1] == "BEGIN" and not begun:
            kept += [text[at : edge.start()], REPLACEMENT]
            begun = True
        elif edge[1] == "END" and begun:
            at, begun = edge.end(), False
    return "".join(kept if begun else [*kept, text[at:]])


def redacted(value: Any) -> Any:
    """The value with every text in it redacted, through lists and mappings, keys included."""
    texts: list[str] = []
    plain = _gathered(value, texts)
    return _redacted(value) if may_hold_a_secret(texts) else plain


def may_hold_a_secret(texts: Iterable[str]) -> bool:
    """Whether `redact` may change one of the texts; False is certain.

    All of them are looked at as one text: what is in one of them is in all of them together.
    """
    text = "\0".join(texts)
    folded = _folded(text)
    return (
        any(form in text for form in _known)
        or any(shape.may_be_in(folded) and shape.pattern.search(text) for shape in _SHAPES)
        or "-----" in text
    )


def _gathered(value: Any, texts: list[str]) -> Any:
    """A copy of the value; adds its texts to `texts`."""
    if isinstance(value, str):
        texts.append(value)
        return value
    if isinstance(value, dict):
        texts.extend(key for key in value if isinstance(key, str))
        return {key: _gathered(item, texts) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_gathered(item, texts) for item in value]
    return value


def _redacted(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(key) if isinstance(key, str) else key: _redacted(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_redacted(item) for item in value]
    return value


class _Hushed(logging.LogRecord):
    """A log record with secrets redacted from message and traceback, whichever handler prints it."""

    def getMessage(self) -> str:  # noqa: N802 - logging's name
        """The message, redacted."""
        return redact(super().getMessage())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.exc_info and self.exc_info[0] is not None:
            self.exc_text = redact("".join(traceback.format_exception(*self.exc_info)).rstrip("\n"))


def hush_logging() -> None:
    """Redact the output of every logger of this process from now on. Idempotent."""
    logging.setLogRecordFactory(_Hushed)
