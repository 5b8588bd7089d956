"""The settings of each channel, from Paramedic's settings; what is missing or wrong is named."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from paramedic.errors import PermanentError
from paramedic.kinds import registry
from paramedic.kinds.channel_face import ChannelKind
from paramedic.kinds.registry import Room
from paramedic.oncall.contact import ContactMethod
from paramedic.settings import Settings


def channel_settings(settings: Settings, method: ContactMethod) -> BaseModel:
    """The settings of the contact method's channel. Raises PermanentError, which says what is wrong and where to fix it."""
    model, general = _module(method).Settings, from_settings(method)
    name = method.to if method.is_named else method.kind
    missing = [
        setting
        for setting in general
        if getattr(settings, setting, None) is None and model.model_fields[setting].is_required()
    ]
    if missing:
        raise PermanentError(f"no {missing[0]} is set: nothing can leave by it")
    own = settings.channels.get(name)
    if own is None and set(model.model_fields) - set(general):
        words = f"the setting `channels` names no {name}, and {method.spoken} leads nowhere"
        raise PermanentError(f"{words}: set PARAMEDIC_CHANNELS for it")
    given = {setting: getattr(settings, setting) for setting in general} | (own.given() if own is not None else {})
    return _validated(model, given, f"the setting channels.{name}")


def complaints(settings: Settings, methods: Iterable[ContactMethod]) -> Iterator[str]:
    """What each contact method lacks or has wrong in the settings; a missing mail server is reported once."""
    for method in methods:
        if "smtp_url" not in from_settings(method):
            try:
                channel_settings(settings, method)
            except PermanentError as error:
                yield f"{method.spoken}: {error}"


def from_settings(method: ContactMethod) -> tuple[str, ...]:
    """Which of Paramedic's own settings the channel needs. Raises PermanentError where its kind is gone."""
    return getattr(_module(method), "FROM_SETTINGS", ())


def _module(method: ContactMethod) -> ChannelKind:
    return cast("ChannelKind", registry.current().plugin(Room.CHANNELS, method.kind))


def _validated(model: type[BaseModel], given: Mapping[str, Any], where: str) -> BaseModel:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        faults = [
            f"{where} has no `{_place(fault['loc'])}`"
            if fault["type"] == "missing"
            else f"{where}: `{_place(fault['loc'])}`: {fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors(include_input=False, include_url=False)
        ]
        raise PermanentError("; ".join(faults)) from None  # pydantic's own text would repeat the values


def _place(loc: tuple[int | str, ...]) -> str:
    return ".".join(map(str, loc))
