"""Whether a value looks like a secret, or is a word or a placeholder that an author wrote."""

import re

#: Values that stand for a secret: `<your-token>`, `$TOKEN`, `{{ token }}`, `%s`, `***`, `YOUR_TOKEN`.
_PLACEHOLDER = re.compile(
    r"<.*|\[.*|\{.*|\$[{(].*|\$[A-Z_][A-Z0-9_]*|%[a-z]|[*x.…•_-]+|[A-Z]{1,12}([_-][A-Z]{1,12})*", re.DOTALL
)

#: What is said of a secret, and is none.
_SAID_OF_ONE = frozenset(
    (
        *(
            "true",
            "false",
            "null",
            "none",
            "yes",
            "no",
            "required",
            "optional",
            "invalid",
            "missing",
            "expired",
            "empty",
        ),
        *("unset", "set", "unknown", "string", "redacted", "masked", "hidden", "placeholder"),
    )
)

#: A word as in prose or camel case; what is longer is none.
_WORD = re.compile(r"[A-Z]?[a-z]+(?:[A-Z][a-z]+)*[A-Z]*|[A-Z]+")
_LONGEST_WORD = 24

#: Punctuation around a value in prose: quotes, brackets, the end of a sentence.
_AROUND = "`'\"*_()[]<>.,:;!?"

_PART = re.compile(r"[^\W_]+")


def is_placeholder(value: str) -> bool:
    """Whether the value stands for a secret, or says something about it."""
    bare = value.strip("`'\"")
    return _PLACEHOLDER.fullmatch(bare) is not None or bare.strip(_AROUND).casefold() in _SAID_OF_ONE


def looks_secret(value: str) -> bool:
    """Whether the value looks made by a machine: a part of it is no word, and no short number."""
    bare = value.strip(_AROUND)
    if is_placeholder(value) or bare.startswith("/"):  # a path
        return False
    if re.search(r"\w[$!#^%&?]+\w", bare) and len(bare) >= 6:
        return True
    return any(_is_random(part) for part in _PART.findall(bare)) or bare.endswith("=")


def _is_random(part: str) -> bool:
    if part.isdecimal() or len(part) < 6:
        return len(part) >= 6
    if len(part) > _LONGEST_WORD:
        return True
    return not (_WORD.fullmatch(part) or (part.isalpha() and not part.isascii()))


def is_machine_made(value: str) -> bool:
    """Whether a part of the value is long and mixes letters with digits, as keys with a vendor's prefix do."""
    return any(
        len(part) >= 12 and any(char.isdecimal() for char in part) and any(char.isalpha() for char in part)
        for part in _PART.findall(value)
    ) or any(len(part) > _LONGEST_WORD for part in _PART.findall(value))
