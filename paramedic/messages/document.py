"""A message as parts, written as plain text, as HTML and as Markdown. Whatever a part holds, the structure stays ours (P7)."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from paramedic.incidents.incident import Incident, name
from paramedic.kinds.message import Link, Message
from paramedic.messages.words import short
from paramedic.text import markdown_escape

_SUBJECT_LIMIT = 200

_STYLE = "font-family: sans-serif; font-size: 15px; line-height: 1.4; color: #1b1b1b; max-width: 46em"
_NAME_STYLE = "padding: 2px 14px 2px 0; vertical-align: top; white-space: nowrap; color: #555555"
_DATA_STYLE = "font-size: 13px; background: #f4f4f4; padding: 8px; white-space: pre-wrap; overflow-wrap: anywhere"
_BUTTON_STYLE = (
    "display: inline-block; padding: 10px 18px; background: #0b5cad; color: #ffffff; text-decoration: none; "
    "border-radius: 4px; font-weight: bold"
)


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a message, in this order: its headline, title, lines, facts, commands, data, link.

    `lines`, `facts` and `commands` (what each is for, and what to type) are ours; text from outside in them is on one line
    and bounded. `data` is text from outside as it was, bounded: it is indented or fenced, so that no line of it can pass for
    one of ours.
    """

    title: str = ""
    lines: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    commands: Sequence[tuple[str, str]] = ()
    data: str = ""
    link: Link | None = None
    headline: str = ""  # of the first part: what the message is about


def message(
    kind: str,
    subject: str,
    sections: Sequence[Section],
    *,
    incident: Incident | None = None,
    number: int | None = None,
    severity: str = "",
    links: tuple[Link, ...] = (),
) -> Message:
    """The message of these sections. It is about `incident`, or where that could not be read, about its `number`."""
    marks = {}
    called = "" if number is None else name(number)
    if incident is not None:
        marks = {"service": short(incident.service), "target": short(incident.target)}
        severity, called = incident.severity.value, incident.id
    cut = subject[:_SUBJECT_LIMIT]
    return Message(cut, plain(sections), kind, severity, called, links=links, marks=marks, html=markup(cut, sections))


def plain(sections: Sequence[Section]) -> str:
    """The sections as plain text, with an empty line between them."""
    return "\n\n".join(words for section in sections if (words := _plain(section))) + "\n"


def markup(title: str, sections: Sequence[Section]) -> str:
    """The sections as one HTML page: no scripts, no pictures, nothing that is loaded."""
    body = "\n".join(_markup(section) for section in sections)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title></head>\n'
        f'<body style="{_STYLE}">\n{body}\n</body></html>\n'
    )


def markdown(sections: Sequence[Section]) -> str:
    """The sections as Markdown, with an empty line between them."""
    return "\n\n".join(words for section in sections if (words := _markdown(section))) + "\n"


def _plain(section: Section) -> str:
    parts = [section.headline] if section.headline else []
    parts += [f"{section.title}:"] if section.title else []
    parts += section.lines
    rows = [*section.facts, *section.commands]
    width = max((len(name) for name, _ in rows), default=0) + 2
    parts += [f"{f'{name}:':<{width}}{value}" for name, value in rows]
    if section.data:
        parts.append("\n".join(f"    {line}" for line in section.data.split("\n")))
    if section.link is not None:
        parts.append(section.link.url)
        parts += [f"Your code there: {section.link.code}"] if section.link.code else []
    return "\n".join(parts)


def _markup(section: Section) -> str:
    parts = [f'<h2 style="margin: 4px 0">{escape(section.headline)}</h2>'] if section.headline else []
    parts += [f'<h3 style="margin: 18px 0 4px">{escape(section.title)}</h3>'] if section.title else []
    if section.lines:
        parts.append(f'<p style="margin: 4px 0">{"<br>".join(map(escape, section.lines))}</p>')
    if section.facts or section.commands:
        rows = "\n".join(
            f'<tr><td style="{_NAME_STYLE}">{escape(name)}</td><td>{escape(value)}</td></tr>'
            for name, value in (*section.facts, *section.commands)
        )
        parts.append(f'<table style="border-collapse: collapse">\n{rows}\n</table>')
    if section.data:
        parts.append(f'<pre style="{_DATA_STYLE}">{escape(section.data)}</pre>')
    if section.link is not None:
        parts.append(_button(section.link))
    return "\n".join(parts)


def _markdown(section: Section) -> str:
    parts = [f"# {_words(section.headline)}"] if section.headline else []
    parts += [f"## {_words(section.title)}"] if section.title else []
    if len(section.lines) == 1:
        parts.append(markdown_escape.first_words(section.lines[0], without=str))
    rows = [f"- {_words(line)}" for line in section.lines if len(section.lines) > 1]
    rows += [f"- {_words(name)}: {_words(value)}" for name, value in section.facts]
    rows += [f"- {_words(name)}: {markdown_escape.code(value)}" for name, value in section.commands]
    if rows:
        parts.append("\n".join(rows))
    if section.data:
        parts.append(markdown_escape.fenced(section.data))
    if section.link is not None:
        parts += [_words(section.link.address)]
    return "\n\n".join(parts)


def _words(text: str) -> str:
    """A section is redacted already: by what is ours, an author's or from outside."""
    return markdown_escape.words(text, without=str)


def _button(link: Link) -> str:
    code = f'<p style="margin: 4px 0">Your code there: <b>{escape(link.code)}</b></p>' if link.code else ""
    label = escape(link.label[:1].upper() + link.label[1:])
    return f'<p><a href="{escape(link.url)}" style="{_BUTTON_STYLE}">{label}</a></p>{code}'
