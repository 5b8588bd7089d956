"""Neutralizes chat markup in untrusted text: it mentions nobody, hides no link and formats nothing (P7)."""

import re

#: Of no width: what reads markup no longer finds it, and a person sees what was written.
_BREAK = "\u200b"

#: A call to all who are there.
_CALLS = re.compile(r"(?<=@)(?=(?:everyone|here|channel|all|room)\b)", re.IGNORECASE)

#: `<!channel>`, `<@U123|ben>`, `<https://evil|safe>`: apprise's Slack makes calls and links of them, also without their `<`,
#: whatever stands in them but a space.
_ENTITY = re.compile(r"[^| \n]+(?:[ \t]*\|)?")

#: An address as it is written is a link that says where it leads: it stays whole, ours above all.
_ADDRESS = re.compile(r"(https?://[A-Za-z0-9._:/?#&%+,;=-]+)")

#: Anywhere else: a tag or a link in brackets (`<at>`, `<users/all>`, `<@1>`), a link or an image with a text (`[x](…)`, `[x][y]`,
#: `![x]`), a call (`@ben`, Zulip's `@**all**`; no mail address), and runs that format, hide or fence what follows.
_MARKUP = re.compile(
    r"(?<=<)(?=[^\s<][^<]{0,2000}>)|(?<=\])(?=[(\[:])|(?<=!)(?=\[)|(?<![\w.+-]@)(?<=@)(?=[^\s@])|(?<=#)(?=\*\*)"
    r"|(?<=\*)(?=\*)|(?<=_)(?=_)|(?<=~)(?=~)|(?<=\|)(?=\|)|(?<=\$)(?=\$)|^(?=[ ]{0,3}[#>])",
    re.MULTILINE,
)

#: A single one opens code, in which our own link is none: it is shown as a mark that looks alike.
_CODE = str.maketrans({"`": "\u02cb"})


def uncalled(text: str) -> str:
    """The text with its mentions, and its links behind another text, broken: for receivers that pass it on to a chat."""
    return _ENTITY.sub(_without_entity, _CALLS.sub(_BREAK, text))


def _without_entity(found: re.Match[str]) -> str:
    entity = found.group()
    if ">" not in entity and not entity.endswith("|"):
        return entity
    return re.sub(r"(?<=[!@])(?=.)", f"{_BREAK} ", entity).replace("://", f":{_BREAK}//")


def plain(text: str) -> str:
    """The text with all chat markup broken. Plain URLs stay links."""
    pieces = _ADDRESS.split(uncalled(text).translate(_CODE))
    return "".join(piece if number % 2 else _MARKUP.sub(_BREAK, piece) for number, piece in enumerate(pieces))
