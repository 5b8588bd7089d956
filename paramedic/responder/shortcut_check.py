"""Whether Prefect is as the shortcuts of a run's start need it. They use private names of Prefect, which may change.

Where one of them is missing or has another signature, or where `prefect_shortcuts` is off, runs begin as Prefect has it.
"""

import importlib
import importlib.metadata
import inspect
import logging
from collections.abc import Mapping

from paramedic.settings import Settings

log = logging.getLogger(__name__)

#: In a warm process's environment: whether it may take the shortcuts.
VARIABLE = "PARAMEDIC_PREFECT_SHORTCUTS"

#: What takes the shortcuts. By name: it cannot be imported where one of its names is missing.
SHORTENED = "paramedic.responder.shortened_start"

#: What is called, and with what: the number of positional arguments, and the names of the others.
_CALLED: Mapping[str, tuple[int, tuple[str, ...]]] = {
    "prefect._flow_run_suspension:observe_flow_run_suspension": (2, ()),
    "prefect._flow_run_suspension:register_flow_run_suspension_request": (2, ()),
    "prefect._flow_run_suspension:FlowRunSuspensionRequest.raise_if_requested": (1, ()),
    "prefect.context:SyncClientContext": (0, ("httpx_settings",)),
    "prefect.events.worker:EventsWorker.instance": (0, ()),
    "prefect.flow_engine:FlowRunEngine": (0, ("flow", "flow_run", "parameters")),
    "prefect.flow_engine:FlowRunEngine.start": (1, ()),
    "prefect.flow_engine:FlowRunEngine.is_running": (1, ()),
    "prefect.flow_engine:FlowRunEngine.call_flow_fn": (1, ()),
    "prefect.flow_engine:FlowRunEngine._emit_flow_run_heartbeat": (1, ()),
    "prefect.flow_engine:FlowRunEngine._get_flow_run_suspension_request": (1, ()),
    "prefect.logging.handlers:APILogWorker.instance": (0, ()),
    "prefect.types._datetime:now": (1, ()),
}

#: What is replaced: Prefect calls ours with these parameters.
_REPLACED: Mapping[str, tuple[str, ...]] = {
    "prefect.flow_engine:FlowRunEngine.run_context": ("self",),
    "prefect.flow_engine:FlowRunEngine.setup_flow_run_suspension_request": ("self",),
    "prefect.flow_engine:FlowRunEngine._report_attempt_conclusion": ("self",),
}

#: What is set or filled, and what it is.
_FILLED: Mapping[str, type] = {
    "prefect.context:SyncClientContext.__private_attributes__._httpx_settings": object,
    "prefect.events.related:RESOURCE_CACHE": dict,
    "prefect.flow_engine:FlowRunEngine.heartbeat_seconds": property,
}


def complaint() -> str | None:
    """The first name of Prefect that is not as the shortcuts need it; None where they can be taken. Imports Prefect: seconds."""
    for name in (*_CALLED, *_REPLACED, *_FILLED):
        try:
            wrong = _wrong(name, _found(name))
        except (ImportError, AttributeError, KeyError):
            wrong = "is missing"
        if wrong is not None:
            return f"{name.replace(':', '.')} {wrong}"
    try:
        importlib.import_module(SHORTENED)
    except (ImportError, AttributeError) as error:
        return str(error)
    return None


def in_force(settings: Settings) -> bool:
    """Whether runs begin by the shortcuts. Logs where they should and cannot: call it once per process."""
    if not settings.prefect_shortcuts:
        return False
    wrong = complaint()
    if wrong is not None:
        log.warning("%s", words(wrong))
    return wrong is None


def environment(settings: Settings) -> dict[str, str]:
    """The environment of a warm process, by `in_force`."""
    return {VARIABLE: str(in_force(settings)).lower()}


def words(wrong: str) -> str:
    """What a complaint means."""
    version = importlib.metadata.version("prefect")
    return f"runs begin Prefect's own way, half a second later: in Prefect {version} {wrong}"


def _found(name: str) -> object:
    module, _, path = name.partition(":")
    found: object = importlib.import_module(module)
    for part in path.split("."):
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    return found


def _wrong(name: str, found: object) -> str | None:
    """What does not fit about this private name of Prefect's; None if it does."""
    if name in _FILLED:
        return None if isinstance(found, _FILLED[name]) else "is something else"
    if not callable(found):
        return "cannot be called"
    signature = inspect.signature(found)
    if name in _REPLACED:
        return None if tuple(signature.parameters) == _REPLACED[name] else f"takes {signature}"
    count, names = _CALLED[name]
    try:
        signature.bind(*[None] * count, **dict.fromkeys(names))
    except TypeError:
        return f"takes {signature}"
    return None
