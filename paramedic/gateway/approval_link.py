"""Approval links: a GET shows a page, a POST decides; an approval also needs the code in the message."""

import hmac
import logging
from collections.abc import Mapping

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from paramedic import keys
from paramedic.gateway import not_now, pages
from paramedic.gateway.form import Forms, Issued, NotThisForm, check_origin
from paramedic.gateway.form import read as read_form
from paramedic.machine.clock import iso
from paramedic.machine.kill_points import kill_point
from paramedic.messages import signed_link
from paramedic.messages.signed_link import Approving, BadLink
from paramedic.remediation.approval import WRONG_CODES, Answer, Approval, code, describe_instance
from paramedic.settings import Settings
from paramedic.store import Store, StoreUnavailable, StoreUnknown, Tx, approvals, incidents

log = logging.getLogger(__name__)


class ApprovalEndpoint:
    """Shows the question and takes the answer of the one recipient of the link."""

    def __init__(self, settings: Settings, store: Store, forms: Forms) -> None:
        self._settings = settings
        self._store = store
        self._forms = forms

    def show(self, token: str, request: Request) -> Response:
        """Show the page; changes nothing."""
        try:
            link = self._read(token)
            form = self._forms.issue(request)
            with self._store.read() as tx:
                page = _page(tx, link, form)
        except BadLink as error:
            return pages.page("say", 410, title="This link does not work", words=str(error))
        except (StoreUnavailable, StoreUnknown, OSError) as error:  # OSError: the key that signs links
            return not_now.to_person(error)
        self._forms.set_cookie(page, request, form)
        return page

    async def decide(self, token: str, request: Request) -> Response:
        """Take the person's answer."""
        try:
            form = await read_form(request)
        except NotThisForm as error:
            return pages.page("say", 413, title="That is not the form", words=str(error))
        return await run_in_threadpool(self._decide, token, request, form)

    def _decide(self, token: str, request: Request, form: Mapping[str, str]) -> Response:
        decision, digits = form.get("decision", ""), form.get("code", "")
        if decision not in ("approve", "deny"):
            return pages.page("say", 422, title="No answer", words="Press one of the two buttons: approve, or deny.")
        try:
            link = self._read(token)
            key = keys.link_key(self._settings)
            wrong = self._shown(request, form)
            fresh = self._forms.issue(request)
            with self._store.record() as tx:
                asked = _asked(tx, link)
                if asked.answer(tx.now) is Answer.ASKED:
                    if asked.wrong_codes >= WRONG_CODES:
                        return _dead(tx, asked)
                    right = code(key, link.store, link.approval, link.person)
                    if (
                        not wrong
                        and decision == "approve"
                        and not hmac.compare_digest(digits.strip().encode(), right.encode())
                    ):
                        approvals.wrong_code(tx, asked, person=link.person)
                        wrong = "That is not the code of this message."
                    if wrong:
                        page = _page(tx, link, fresh, wrong=wrong)
                        self._forms.set_cookie(page, request, fresh)
                        return page
                done = approvals.decide(tx, asked.id, granted=decision == "approve", by=link.person, how="link")
        except BadLink as error:
            return pages.page("say", 410, title="This link does not work", words=str(error))
        except (StoreUnavailable, StoreUnknown, OSError) as error:
            return not_now.to_person(error)
        if isinstance(done, str):
            return pages.page("say", 409, title="Too late", words=done)
        kill_point("approval_decided", done.target)
        return pages.page("say", title="It is decided", words=done.decision)

    def _shown(self, request: Request, form: Mapping[str, str]) -> str:
        """Why the answer does not come from a page that we showed; empty if it does. The message's code replaces the page."""
        try:
            if form.get("decision") == "approve":
                check_origin(request, self._settings)
            else:
                self._forms.use(request, form)
        except NotThisForm as error:
            return f"Nothing was done. {error}"
        return ""

    def _read(self, token: str) -> Approving:
        link = signed_link.read_approval(keys.link_key(self._settings), token, self._settings.link_expires)
        if link.store != self._store.uuid:
            raise BadLink("this link is of a store that is gone")
        return link


def _asked(tx: Tx, link: Approving) -> Approval:
    asked = approvals.find(tx, link.approval)
    if asked is None:
        raise BadLink("nothing like this was ever asked here")
    return asked


def _page(tx: Tx, link: Approving, form: Issued, *, wrong: str = "") -> Response:
    asked = _asked(tx, link)
    if asked.answer(tx.now) is not Answer.ASKED:
        words = asked.nobody if asked.state is Answer.ASKED else asked.decision
        return pages.page("say", 409, title="It is decided", words=words)
    if asked.wrong_codes >= WRONG_CODES:
        return _dead(tx, asked)
    return pages.page(
        "approve",
        403 if wrong else 200,
        title=f"Approve {asked.what}?",
        approval=asked,
        incident=incidents.get(tx, asked.incident),
        life=describe_instance(asked.identity),
        person=link.person,
        until=iso(asked.expires_at),
        wrong=wrong,
        form=form.field,
    )


def _dead(tx: Tx, asked: Approval) -> Response:
    name = incidents.get(tx, asked.incident).id
    words = (
        f"{WRONG_CODES} wrong codes: no link of this question works any more. Use `paramedic incident approve {name}`."
    )
    return pages.page("say", 410, title="This link does not work", words=words)
