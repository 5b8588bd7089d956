"""Reads the link of an incident in a message: who was told of which incident."""

from fastapi import Response

from paramedic import keys
from paramedic.gateway import not_now, pages
from paramedic.messages import signed_link
from paramedic.messages.signed_link import Acknowledgement, BadLink
from paramedic.settings import Settings
from paramedic.store import Store, StoreUnavailable, StoreUnknown


def read(settings: Settings, store: Store, token: str) -> Acknowledgement | Response:
    """The person and the incident of the link; where it does not work, the page that says so."""
    try:
        link = signed_link.read(keys.link_key(settings), token, settings.link_expires)
        if link.store != store.uuid:
            return pages.page("say", 410, title="Another store", words="This link is of a store that is gone.")
    except BadLink as error:
        return pages.page("say", 410, title="This link does not work", words=str(error))
    except (StoreUnavailable, StoreUnknown, OSError) as error:  # OSError: the key that signs links
        return not_now.to_person(error)
    return link
