"""Tries a person's contact methods in their order, until one of them takes the message."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from paramedic.errors import PermanentError, TemporaryError
from paramedic.oncall.contact import ContactMethod


@dataclass(frozen=True, slots=True)
class Tried:
    """The result: how the message was sent, or what each method answered."""

    how: str | None  # in words for the trail; None: no contact method took it
    refusals: tuple[str, ...]
    later: TemporaryError | None = None  # the first "later" that was said
    lost: bool = False  # somebody else has begun with the message meanwhile: nothing more was tried


def try_each(
    methods: Sequence[ContactMethod], send: Callable[[ContactMethod], None], *, still_ours: Callable[[], bool]
) -> Tried:
    """Send by each method in turn; after a failure, temporary or permanent, the next is tried at once.

    `still_ours` is asked before every try but the first: several may take longer than a message is held.
    """
    refusals: list[str] = []
    later: TemporaryError | None = None
    for method in methods:
        if refusals and not still_ours():
            return Tried(None, tuple(refusals), later, lost=True)
        try:
            send(method)
        except TemporaryError as error:
            later = later or error
            refusals.append(f"{method.spoken}: {error}")
        except PermanentError as error:
            refusals.append(f"{method.spoken}: {error}")
        else:
            return Tried(
                f"by {method.spoken}" + (f", after {'; '.join(refusals)}" if refusals else ""), tuple(refusals)
            )
    return Tried(None, tuple(refusals), later)
