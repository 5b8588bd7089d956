"""Text with `{label}` in it, which is filled in later: the label's name is any that an alert may have, `{host.name}` too."""

import re
from collections.abc import Iterator, Mapping

#: As Alertmanager's UTF-8 parser allows names, but for what an author never means: quotes, and spaces around a name.
_NAME = re.compile(r"[^\s{}\"'\\\x00-\x1f](?:[^{}\"'\\\x00-\x1f]*[^\s{}\"'\\\x00-\x1f])?")

#: As a pattern of a JSON Schema, which is less strict about names.
PATTERN = r"^([^{}]|\{[^{}]+\})+$"

_FIELD = re.compile(r"\{([^{}]*)\}")


def fields(template: str) -> tuple[str, ...]:
    """The names that the template has in braces. Raises ValueError for a brace that is none of such a name."""
    for name in (found := tuple(_FIELD.findall(template))):
        if not _NAME.fullmatch(name):
            raise ValueError(f"{template!r:.80}: `{{{name}}}` names no label; write {{instance}}")
    if "{" in (rest := _FIELD.sub("", template)) or "}" in rest:
        raise ValueError(f"{template!r:.80} has a stray brace; a label is written {{instance}}, in one pair of braces")
    return found


def only(allowed: str, template: str) -> str:
    """The template, which may name nothing but `allowed` in braces. Raises ValueError, saying so."""
    if strange := [name for name in fields(template) if name != allowed]:
        raise ValueError(
            f"{template!r:.80}: `{{{strange[0]}}}` is not filled in here; write {{{allowed}}}"
            ", or in an address %7B and %7D for the braces themselves"
        )
    return template


def as_it_is(text: str) -> str:
    """The text, where nothing is filled in. Raises ValueError for one with braces, and one that no system call takes."""
    if "\0" in text:
        raise ValueError(f"{text!r:.80} has a NUL character")
    if "{" in text or "}" in text:
        raise ValueError(
            f"{text!r:.80} is taken as it is written, and nothing is filled in for its braces; "
            "write the value, or in an address %7B and %7D for the braces themselves"
        )
    return text


def filled(template: str, values: Mapping[str, str]) -> str:
    """The template with a value for each name. Raises LookupError with the first name that has none."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in values:
            raise LookupError(found[1])
        return values[found[1]]

    return _FIELD.sub(value, template)


def can_become(template: str, text: str) -> bool:
    """Whether some values make the text of the template."""
    return re.fullmatch("".join(_patterns(template)), text, re.DOTALL) is not None


def _patterns(template: str) -> Iterator[str]:
    for number, part in enumerate(_FIELD.split(template)):
        yield ".*" if number % 2 else re.escape(part)
