"""Secrets: known ones are taken out by value wherever text leaves the process, unknown ones by pattern (P8)."""

import base64
import html
import json
import logging
import re
import threading
import traceback
from typing import Any
from urllib.parse import quote, quote_plus

#: What stands where a secret stood.
REPLACEMENT = "[secret]"

#: A shorter value is no secret: taking it out would take out half the language.
SHORTEST = 6

_lock = threading.Lock()
_known: set[str] = set()
_pattern: re.Pattern[str] | None = None


def remember(value: str) -> None:
    """From now on this value leaves the process in no form: plain, in a URL, in JSON, in HTML, in base64."""
    global _pattern  # noqa: PLW0603 - one process, one set of secrets
    if len(value) < SHORTEST or value in REPLACEMENT:
        return
    with _lock:
        _known.update(_forms(value))
        alternatives = sorted(_known, key=len, reverse=True)
        _pattern = re.compile("|".join(map(re.escape, alternatives)))


def forget_all() -> None:
    """For tests: know nothing."""
    global _pattern  # noqa: PLW0603
    with _lock:
        _known.clear()
        _pattern = None


def _forms(value: str) -> set[str]:
    forms = {value, quote(value, safe=""), quote(value), quote_plus(value), html.escape(value), json.dumps(value)[1:-1]}
    raw = value.encode("utf-8", "surrogatepass")
    for shift in range(3):
        # The characters that only the value decides, wherever it stands inside a longer encoded text.
        encoded = base64.b64encode(b"\0" * shift + raw).decode().rstrip("=")
        inner = encoded[-(-shift * 8 // 6) : len(encoded) - (1 if (shift + len(raw)) % 3 else 0)]
        if len(inner) >= SHORTEST:
            forms |= {inner, inner.replace("+", "-").replace("/", "_")}
    return {form for form in forms if len(form) >= SHORTEST}


#: What secrets look like that we were never told of. Every repetition is bounded: hostile text costs linear time.
_SHAPES = (
    (re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.-]{0,20}://[^\s/:@]{0,128}:)[^\s/@]{1,256}(?=@)"), rf"\1{REPLACEMENT}"),
    (re.compile(r"(?i)\b(bearer|basic)\s{1,4}[a-z0-9+/=._~-]{8,4096}"), rf"\1 {REPLACEMENT}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{8,1024}"), REPLACEMENT),
    (re.compile(r"\b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,256}"), REPLACEMENT),
    (re.compile(r"\b(?:ghp|gho|ghu|ghs|ghr|github_pat|glpat|xox[abprs])[-_][A-Za-z0-9_-]{10,256}"), REPLACEMENT),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), REPLACEMENT),
    (
        re.compile(
            r"(?i)\b((?:[a-z0-9]{1,32}[_-]){0,3}(?:password|passwd|pwd|secret|token|api[_-]?key|access[_-]?key))"
            r"(\"?\s{0,2}[=:]\s{0,2}\"?)(?!\[secret\])[^\s\"'&,;}{]{3,512}"
        ),
        rf"\1\2{REPLACEMENT}",
    ),
)


def redact(text: str) -> str:
    """The text without any secret."""
    pattern = _pattern
    if pattern is not None:
        text = pattern.sub(REPLACEMENT, text)
    for shape, instead in _SHAPES:
        text = shape.sub(instead, text)
    return _without_private_keys(text)


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
    """The same through lists and mappings, keys included."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(key) if isinstance(key, str) else key: redacted(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [redacted(one) for one in value]
    return value


class _Hushed(logging.LogRecord):
    """A record whose message and traceback have no secret in them, whichever handler prints it."""

    def getMessage(self) -> str:  # noqa: N802 - logging's name
        """The message, secrets taken out."""
        return redact(super().getMessage())

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.exc_info and self.exc_info[0] is not None:
            self.exc_text = redact("".join(traceback.format_exception(*self.exc_info)).rstrip("\n"))


def hush_logging() -> None:
    """From now on no logger of this process prints a secret. Idempotent."""
    logging.setLogRecordFactory(_Hushed)
