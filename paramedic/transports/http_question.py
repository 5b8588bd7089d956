"""What a check may ask over HTTP and expect of the answer: the keys of such checks, the request, and the judgement."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from paramedic.errors import PermanentError
from paramedic.kinds.place import FROM
from paramedic.kinds.probing import Option, Question, Seen, Written, measured
from paramedic.remediation import probe_answer
from paramedic.remediation.health import Sight
from paramedic.text import template

if TYPE_CHECKING:
    import re2

    from paramedic.transports.http_exchange import Answer, Sent

#: What a check may send. It is repeated for ever and by everyone who looks: what changes or deletes something is none.
_METHODS = ("GET", "HEAD", "OPTIONS", "POST")

_STATUS = re.compile(r"[1-5](\d\d|xx)")

#: A header's name is a token (RFC 9110, 5.6.2).
_HEADER = r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}$"

#: Of these a request has its own.
_OURS = frozenset({"content-length", "transfer-encoding", "connection", "expect", "te", "upgrade", "trailer"})

#: What stands in these is a secret, or as good as one.
_SECRET = re.compile(r"authorization|cookie|token|secret|password|(^|-)(api-?)?key$", re.IGNORECASE)

#: The most that a check sends, in bytes, and the longest text that it looks for.
_SENT_LIMIT, _TEXT_LIMIT = 65_536, 4_096

#: A login and a key of it, as they stand in braces.
_LOGIN = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_]+)")


def _one_or_many(written: object) -> object:
    return tuple(written) if isinstance(written, list) else (written,) if isinstance(written, str | int) else written


def _status(written: object) -> object:
    if isinstance(written, bool):
        return written
    found = _one_or_many(written)
    if not isinstance(found, tuple):
        return found
    words = tuple(str(each) if isinstance(each, int) and not isinstance(each, bool) else each for each in found)
    for word in words:
        if not isinstance(word, str) or not _STATUS.fullmatch(word):
            raise ValueError(f"{word!r:.80} is no status; write 200, or 3xx for all that begin with 3")
    return words


def _regular(pattern: str) -> str:
    import re2  # only a file with such a condition pays

    try:
        re2.compile(pattern, _re2_options())
    except re2.error as error:
        reason = error.args[0].decode() if isinstance(error.args[0], bytes) else error.args[0]
        raise ValueError(f"{pattern!r:.80} is no regular expression of RE2: {reason}") from error
    return pattern


def _re2_options() -> "re2.Options":
    import re2

    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    return options


_Text = Annotated[str, Field(pattern=r"\S", max_length=_TEXT_LIMIT)]
_Texts = Annotated[
    tuple[_Text, ...],
    BeforeValidator(_one_or_many, json_schema_input_type=_Text | list[_Text]),
    Field(min_length=1, max_length=20),
]


class Condition(BaseModel):
    """What a text must have in it, must not have in it, and what must match somewhere in it."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)
    contains: _Texts | None = Field(default=None, description="a text that must be in it, or a list of them: all")
    lacks: _Texts | None = Field(default=None, description="a text that must not be in it, or a list of them: none")
    matches: Annotated[_Text, AfterValidator(_regular)] | None = Field(
        default=None, description="a regular expression of RE2 that must match somewhere in it"
    )

    def unmet(self, text: str, *, any_case: bool = False) -> str | None:
        """What does not hold, in words; None where all of it does. `any_case`: texts are compared without regard to case."""

        def folded(one: str) -> str:
            return one.casefold() if any_case else one

        here = folded(text)
        for wanted in self.contains or ():
            if folded(wanted) not in here:
                return f"lacks {wanted!r:.80}"
        for unwanted in self.lacks or ():
            if folded(unwanted) in here:
                return f"has {unwanted!r:.80} in it"
        if self.matches is not None and not _search(self.matches, text):
            return f"does not match {self.matches!r:.80}"
        return None


def _search(pattern: str, text: str) -> bool:
    import re2

    return re2.compile(pattern, _re2_options()).search(text) is not None


def _as_condition(written: object) -> object:
    return {"contains": written} if isinstance(written, str | list) else written


_Condition = Annotated[
    Condition, BeforeValidator(_as_condition, json_schema_input_type=_Text | list[_Text] | Condition)
]


def _header_value(value: str) -> str:
    if not value.isprintable():
        raise ValueError("a header is one line of printable characters")
    for name in template.fields(value):
        if name != "host" and not _LOGIN.fullmatch(name):
            raise ValueError(
                f"`{{{name}}}` is not filled in here; write {{host}}, or {{LOGIN.KEY}} of the setting `logins`"
            )
    return value


def _request_headers(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if name.lower() in _OURS:
            raise ValueError(f"`{name}` is the request's own: it cannot be set")
        if _SECRET.search(name) and not any("." in field for field in template.fields(value)):
            raise ValueError(f"`{name}` holds a secret: write {{LOGIN.KEY}} of the setting `logins` in its place")
    return headers


_Name = Annotated[str, Field(pattern=_HEADER)]
_Sent = Annotated[
    dict[
        _Name,
        Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=_TEXT_LIMIT), AfterValidator(_header_value)],
    ],
    AfterValidator(_request_headers),
    Field(max_length=30),
]

_Status = int | Annotated[str, Field(pattern=f"^{_STATUS.pattern}$")]

#: The keys of a check that asks over HTTP.
OPTIONS = (
    Option(
        "status",
        Annotated[
            tuple[str, ...],
            BeforeValidator(_status, json_schema_input_type=_Status | list[_Status]),
            Field(min_length=1, max_length=50),
        ],
        "the statuses that are well, where not every 2xx is, or another is too: 200, [200, 204, 3xx]",
    ),
    FROM,
    Option("body", _Condition, "what its body must have in it: a text, or {contains, lacks, matches}"),
    Option(
        "headers",
        Annotated[dict[_Name, _Condition], Field(min_length=1, max_length=30)],
        "what its headers must have in them, whatever the case: {Content-Type: application/json}",
    ),
    Option(
        "method",
        Annotated[str, Field(pattern=f"^({'|'.join(_METHODS)})$")],
        "how it is asked: GET, HEAD, OPTIONS or POST; it is asked again and again, so a POST may change nothing",
    ),
    Option(
        "send", Annotated[str, Field(pattern=r"\S", max_length=_SENT_LIMIT)], "the body of a POST, as it is written"
    ),
    Option(
        "send_headers",
        _Sent,
        "headers of the request; a secret is written {LOGIN.KEY}, of the setting `logins`",
    ),
)


def misfits(written: Written) -> Iterator[tuple[str, str]]:
    """Keys that do not go together, each with the words for it."""
    method = written.options.get("method", "GET")
    if "send" in written.options and method != "POST":
        yield "send", "a body is sent by `method: POST` alone"
    if "body" in written.options and method == "HEAD":
        yield "body", "the answer to HEAD has no body"


def sent(question: Question) -> "Sent":
    """The request that the check's keys describe. Raises PermanentError where a login of the settings is missing."""
    from paramedic.transports.http_exchange import Sent
    from paramedic.transports.http_probe import GET

    options = question.options
    if not options.keys() & {"method", "send", "send_headers"}:
        return GET
    body: str | None = options.get("send")
    headers = {name: _filled(value, question) for name, value in options.get("send_headers", {}).items()}
    return Sent(options.get("method", "GET"), None if body is None else body.encode(), headers)


def _filled(value: str, question: Question) -> str:
    values = {"host": question.target.host}
    for field in template.fields(value):
        if found := _LOGIN.fullmatch(field):
            secret = question.login(found[1]).given().get(found[2])
            if secret is None:
                raise PermanentError(f"the setting logins.{found[1]} has no `{found[2]}`")
            values[field] = secret
    return template.filled(value, values)


def judge(options: Mapping[str, Any]) -> "Callable[[Answer], tuple[Sight, str]] | None":
    """What an answer shows by the check's keys; None where it has none, and the status alone tells."""
    if not options.keys() & {"status", "body", "headers"}:
        return None
    return lambda answer: _judged(options, answer)


def _judged(options: Mapping[str, Any], answer: "Answer") -> tuple[Sight, str]:
    sight, why = probe_answer.of_status(answer.status)
    wanted = options.get("status")
    if wanted is not None and any(str(answer.status)[: len(word.rstrip("x"))] == word.rstrip("x") for word in wanted):
        sight, why = Sight.WELL, f"answered {answer.status}"
    elif wanted is not None and sight is Sight.WELL:
        return Sight.FAILING, f"{why}, and well is {', '.join(wanted)}"
    if sight is not Sight.WELL:
        return sight, why
    for name, condition in options.get("headers", {}).items():
        value = answer.headers.get(name.lower())
        if value is None and condition.contains is None and condition.matches is None:
            continue  # what is not there lacks everything
        unmet = "is not there" if value is None else condition.unmet(value, any_case=True)
        if unmet is not None:
            return Sight.FAILING, f"{why}, and its header {name} {unmet}"
    body: Condition | None = options.get("body")
    if body is None:
        return Sight.WELL, why
    if (packed := answer.headers.get("content-encoding", "identity")).lower() != "identity":
        return Sight.UNKNOWN, f"{why}, and its body is packed ({packed!r:.40}), though nobody asked for that"
    unmet = body.unmet(answer.body.decode("utf-8", "replace"))
    if unmet is None:
        return Sight.WELL, why
    part = "its body" if answer.whole else "the first 64 KiB of its body, which is longer,"
    return Sight.FAILING, f"{why}, and {part} {unmet}"


def exchanged(url: str, question: Question) -> Seen:
    """Ask this address as the check's keys say, from where the question is asked.

    Raises PermanentError where its outcome is unknown, and what `question.line` does.
    """
    from paramedic.transports import http_probe  # here: libcurl is needed for a look alone

    if not question.options and question.line is None:
        return measured(http_probe.probe(url, question.timeout))
    asked, judged = sent(question), judge(question.options)
    if question.line is None:
        return measured(http_probe.probe(url, question.timeout, asked, judged))
    return measured(http_probe.probe_by(question.line, url, question.timeout, asked, judged))
