"""The page that silences an incident's alerts for a time: a GET shows what would be silenced, the button's POST does it."""

from collections.abc import Mapping
from datetime import timedelta

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool

from paramedic.alerts.silence import Silence, for_alerts
from paramedic.gateway import incident_link, not_now, pages
from paramedic.gateway.form import Forms, NotThisForm
from paramedic.gateway.form import read as read_form
from paramedic.incidents.incident import Incident, name
from paramedic.messages.signed_link import Acknowledgement
from paramedic.settings import Settings
from paramedic.store import Store, StoreUnavailable, Tx, incidents, silences
from paramedic.store.incidents import NoSuchIncident

#: For how many hours the page offers to silence.
HOURS = (1, 2, 8, 24)

_REASON_LIMIT = 500


class SilenceEndpoint:
    """Shows what a silence of the incident's alerts would match on GET, and begins it on POST, for the recipient of the link."""

    def __init__(self, settings: Settings, store: Store, forms: Forms) -> None:
        self._settings = settings
        self._store = store
        self._forms = forms

    def show(self, token: str, request: Request) -> Response:
        """Show the page; changes nothing."""
        return self._page(token, request)

    async def silence(self, token: str, request: Request) -> Response:
        """Silence: the person pressed a button."""
        try:
            form = await read_form(request)
        except NotThisForm as error:
            return pages.page("say", 413, title="That is not the form", words=str(error))
        return await run_in_threadpool(self._silence, token, request, form)

    def _page(self, token: str, request: Request, *, wrong: str = "") -> Response:
        link = incident_link.read(self._settings, self._store, token)
        if isinstance(link, Response):
            return link
        try:
            with self._store.read() as tx:
                incident = incidents.get(tx, link.incident)
                matchers = _matchers(tx, link)
                others = _others(tx, link, matchers)
            issued = self._forms.issue(request)
        except ValueError as error:
            return pages.page("say", 409, title="Nothing to silence", words=f"{name(link.incident)}: {error}.")
        except NoSuchIncident as error:
            return pages.page("say", 410, title="It is gone", words=str(error))
        except (StoreUnavailable, OSError) as error:  # OSError: the key that signs
            return not_now.to_person(error)
        answer = _offer(incident, link.person, matchers, others, form=issued.field, wrong=wrong)
        self._forms.set_cookie(answer, request, issued)
        return answer

    def _silence(self, token: str, request: Request, form: Mapping[str, str]) -> Response:
        link = incident_link.read(self._settings, self._store, token)
        if isinstance(link, Response):
            return link
        hours = form.get("hours", "")
        if hours not in map(str, HOURS):
            return pages.page("say", 422, title="No answer", words="Press one of the buttons: they say for how long.")
        reason = form.get("reason", "").strip()[:_REASON_LIMIT] or "by the link in a message"
        try:
            self._forms.use(request, form)
            with self._store.record() as tx:
                ends_at = tx.now + timedelta(hours=int(hours))
                silence = silences.add(
                    tx,
                    matchers=_matchers(tx, link),
                    ends_at=ends_at,
                    author=link.person,
                    reason=reason,
                    incident=link.incident,
                )
        except NotThisForm as error:
            return self._page(token, request, wrong=f"Nothing was done. {error}")
        except ValueError as error:
            return pages.page("say", 409, title="Nothing to silence", words=f"{name(link.incident)}: {error}.")
        except NoSuchIncident as error:
            return pages.page("say", 410, title="It is gone", words=str(error))
        except (StoreUnavailable, OSError) as error:
            return not_now.to_person(error)
        return _done(silence)


def _matchers(tx: Tx, link: Acknowledgement) -> tuple[str, ...]:
    """Matchers for the incident's alerts that fire. Raises ValueError where none does, NoSuchIncident."""
    incidents.get(tx, link.incident)
    firing = silences.firing(tx, link.incident)
    if not firing:
        raise ValueError("none of its alerts fires")
    return for_alerts(firing)


def _others(tx: Tx, link: Acknowledgement, matchers: tuple[str, ...]) -> int:
    """How many alerts that fire in other open incidents the matchers match as well."""
    would = Silence(0, matchers, tx.now, tx.now, link.person, "")
    mine = {alert.fingerprint for alert in silences.firing(tx, link.incident)}
    return sum(would.matches(alert) for alert in silences.firing(tx) if alert.fingerprint not in mine)


def _offer(
    incident: Incident, person: str, matchers: tuple[str, ...], others: int, *, form: str, wrong: str
) -> Response:
    return pages.page(
        "silence",
        403 if wrong else 200,
        title=f"Silence the alerts of {incident.id}?",
        incident=incident,
        person=person,
        matchers=", ".join(matchers),
        others=others,
        hours=HOURS,
        form=form,
        wrong=wrong,
    )


def _done(silence: Silence) -> Response:
    until = f"{silence.ends_at:%Y-%m-%d %H:%M} UTC"
    words = (
        f"{', '.join(silence.matchers)}: silent until {until}, by {silence.author}. What matches is held until then, and handled "
        f"if it still fires; the incident itself goes on. `paramedic silence expire {silence.id}` ends it before."
    )
    return pages.page("say", title=f"Silence {silence.id} is in force", words=words)
