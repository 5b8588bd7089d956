"""The link in an approval's message: a page on GET; POST decides, and an approval needs the code of the message as well."""

import hmac
import logging
from urllib.parse import parse_qs

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from paramedic import link, settings
from paramedic.approval import WRONG_CODES, Answer, Approval, code, life
from paramedic.boundary import reached
from paramedic.clock import iso
from paramedic.gateway import pages
from paramedic.link import Approving, BadLink
from paramedic.settings import Settings
from paramedic.store import Store, StoreUnavailable, StoreUnknown, Tx, approvals, incidents

log = logging.getLogger(__name__)

#: The form has two short fields.
_FORM_LIMIT = 1024


class ApprovalDesk:
    """Shows what is asked and takes the answer, from the one recipient that the link was written for."""

    def __init__(self, chosen: Settings, store: Store) -> None:
        self._chosen = chosen
        self._store = store

    def show(self, token: str) -> Response:
        """Looking at a link does nothing."""
        try:
            said = self._read(token)
            with self._store.read() as tx:
                return _page(tx, said)
        except BadLink as error:
            return pages.page("say", 410, title="This link does not work", words=str(error))
        except (StoreUnavailable, StoreUnknown, OSError) as error:  # OSError: the key that signs links
            return _not_now(error)

    async def decide(self, token: str, request: Request) -> Response:
        """The person's answer."""
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _FORM_LIMIT:
                return pages.page("say", 413, title="That is not the form", words="The form has a code and a button.")
        form = {name: values[0] for name, values in parse_qs(body.decode("ascii", "replace")).items()}
        return await run_in_threadpool(self._decide, token, form.get("decision", ""), form.get("code", ""))

    def _decide(self, token: str, decision: str, digits: str) -> Response:
        if decision not in ("approve", "deny"):
            return pages.page("say", 422, title="No answer", words="Press one of the two buttons: approve, or deny.")
        try:
            said = self._read(token)
            key = settings.link_key(self._chosen)
            with self._store.record() as tx:
                asked = _asked(tx, said)
                if asked.answer(tx.now) is Answer.ASKED and asked.wrong_codes >= WRONG_CODES:
                    return _dead(tx, asked)
                if decision == "approve" and asked.answer(tx.now) is Answer.ASKED:
                    right = code(key, said.store, said.approval, said.person)
                    if not hmac.compare_digest(digits.strip().encode(), right.encode()):
                        approvals.wrong_code(tx, asked, person=said.person)
                        return _page(tx, said, wrong="That is not the code of this message.")
                done = approvals.decide(tx, asked.id, granted=decision == "approve", by=said.person, how="link")
        except BadLink as error:
            return pages.page("say", 410, title="This link does not work", words=str(error))
        except (StoreUnavailable, StoreUnknown, OSError) as error:
            return _not_now(error)
        if isinstance(done, str):
            return pages.page("say", 409, title="Too late", words=done)
        reached("approval_decided", done.target)
        return pages.page("say", title="It is decided", words=done.decision)

    def _read(self, token: str) -> Approving:
        said = link.read_approval(settings.link_key(self._chosen), token, self._chosen.link_expires)
        if said.store != self._store.uuid:
            raise BadLink("this link is of a store that is gone")
        return said


def _asked(tx: Tx, said: Approving) -> Approval:
    asked = approvals.find(tx, said.approval)
    if asked is None:
        raise BadLink("nothing like this was ever asked here")
    return asked


def _page(tx: Tx, said: Approving, *, wrong: str = "") -> Response:
    asked = _asked(tx, said)
    match asked.answer(tx.now):
        case Answer.ASKED if asked.wrong_codes >= WRONG_CODES:
            return _dead(tx, asked)
        case Answer.ASKED:
            return pages.page(
                "approve",
                403 if wrong else 200,
                title=f"Approve {asked.what}?",
                approval=asked,
                incident=incidents.get(tx, asked.incident),
                life=life(asked.identity),
                person=said.person,
                until=iso(asked.expires_at),
                wrong=wrong,
            )
    words = asked.nobody if asked.state is Answer.ASKED else asked.decision
    return pages.page("say", 409, title="It is decided", words=words)


def _dead(tx: Tx, asked: Approval) -> Response:
    name = incidents.get(tx, asked.incident).id
    words = (
        f"{WRONG_CODES} wrong codes: no link of this question works any more. Use `paramedic incident approve {name}`."
    )
    return pages.page("say", 410, title="This link does not work", words=words)


def _not_now(error: Exception) -> Response:
    log.warning("a link was not answered: %s", error)
    return pages.page("say", 503, title="Not now", words="It cannot be answered now. Try again in a minute.")
