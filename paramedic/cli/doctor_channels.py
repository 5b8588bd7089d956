"""Looks of `paramedic doctor` at the ways to people: each is gone as a message goes, and nothing is sent."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from paramedic.catalog.library import open_library
from paramedic.cli.finding import Finding, listed
from paramedic.errors import PermanentError, TemporaryError
from paramedic.oncall.contact import ContactMethod
from paramedic.paging.channel_settings import complaints, from_settings
from paramedic.paging.sending import Round, channel_of, reach
from paramedic.settings import Settings
from paramedic.text.yaml_document import BadDocument

#: How long a channel has for all of its answers.
_ANSWER_SECONDS = 8.0

#: So many channels are looked at together.
_AT_ONCE = 16

_UNREADABLE = "oncall.yaml cannot be read: `paramedic runbook lint`"


def channels(settings: Settings) -> Finding:
    """The ways to people but for mail: their settings, and whether each can be reached."""
    try:
        methods = [method for method in open_library(settings).contact_methods() if not _is_mail(method)]
    except BadDocument:
        return Finding("channels", well=False, words=_UNREADABLE)
    wrong = list(complaints(settings, methods))
    named = [complaint.partition(": ")[0] for complaint in wrong]
    by_channel = _by_channel(method for method in methods if method.spoken not in named)
    with ThreadPoolExecutor(_AT_ONCE) as looks:
        for refusals in looks.map(lambda group: list(_refusals(settings, group)), by_channel.values()):
            wrong += refusals
    if wrong:
        return listed("channels", wrong)
    words = "every way that somebody is told by leads somewhere; `paramedic oncall test` sends a message"
    return Finding("channels", well=True, words=words)


def _refusals(settings: Settings, methods: Sequence[ContactMethod]) -> Iterator[str]:
    """What stands in the way of a message, in words."""
    try:
        refused = reach(settings, Round(_ANSWER_SECONDS), methods) or {}
    except (TemporaryError, PermanentError) as error:
        yield f"{methods[0].spoken}: {error}"
        return
    yield from (f"{method}: {error}" for method, error in refused.items() if isinstance(error, PermanentError))


def mail(settings: Settings) -> Finding:
    """The mail server: TLS, login, sender, and whether it takes mail for each person. That it says "later" is no fault."""
    try:
        methods = [method for method in open_library(settings).contact_methods() if _is_mail(method)]
    except BadDocument:
        return Finding("mail", well=False, words=_UNREADABLE)
    if not methods:
        return Finding("mail", well=True, words="nobody is told by mail")
    if settings.smtp_url is None:
        return Finding("mail", well=False, words="no mail can leave: set PARAMEDIC_SMTP_URL and PARAMEDIC_MAIL_FROM")
    try:
        refused = reach(settings, Round(_ANSWER_SECONDS), methods) or {}
    except TemporaryError as error:
        words = str(error)
        if words.startswith("it "):  # what a Round says of any channel
            words = f"the mail server does not answer: {words}"
        return Finding("mail", well=False, words=f"{words}: start it, or mend PARAMEDIC_SMTP_URL")
    except PermanentError as error:
        return Finding("mail", well=False, words=f"no page leaves by mail: {error}")
    if never := {method: no for method, no in refused.items() if isinstance(no, PermanentError)}:
        return Finding("mail", well=False, words=f"no page leaves to {_by_answer(never)}")
    later = f"; later for {_by_answer(refused)}: a page to them is tried again" if refused else ""
    return Finding(
        "mail",
        well=True,
        words=f"the mail server takes pages to {len(methods) - len(refused)} of {len(methods)} addresses{later}",
    )


def _by_answer(refused: Mapping[ContactMethod, Exception]) -> str:
    """Whom the server refuses, each answer once; it may repeat the address, and is one for each then."""
    answers: dict[str, list[str]] = {}
    for method, error in refused.items():
        answers.setdefault(str(error), []).append(method.to)
    return "; ".join(f"{', '.join(people)}: {answer}" for answer, people in answers.items())


def _is_mail(method: ContactMethod) -> bool:
    return "smtp_url" in from_settings(method)


def _by_channel(methods: Iterable[ContactMethod]) -> dict[str, list[ContactMethod]]:
    groups: dict[str, list[ContactMethod]] = {}
    for method in methods:
        groups.setdefault(channel_of(method), []).append(method)
    return groups
