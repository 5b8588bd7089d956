"""Caches between runs in a process: settings, library, runbooks, read again when they have changed."""

import contextlib
import functools
import os
from pathlib import Path

from prefect.settings import get_current_settings

from paramedic.catalog import runbook_file, target_kinds
from paramedic.catalog.library import Library, library_in_force, services_in_force
from paramedic.catalog.runbook import Runbook
from paramedic.catalog.services import Services
from paramedic.settings import BadSettings, Settings, load_settings
from paramedic.store import Store, StoreUnavailable, StoreUnknown
from paramedic.store.warm_up import rehearse
from paramedic.text.yaml_document import BadDocument


def current_settings() -> Settings:
    """The settings from the current environment and file. Raises BadSettings."""
    environment = frozenset(
        (name, value) for name, value in os.environ.items() if name.upper().startswith("PARAMEDIC_")
    )
    file = Path(os.environ.get("PARAMEDIC_CONFIG") or "paramedic.toml").absolute()
    written = None
    with contextlib.suppress(OSError):  # whether it may be missing, and why it cannot be read, `load` says
        written = file.read_bytes()
    return _settings(environment, file, written)


@functools.lru_cache(maxsize=1)
def _settings(_environment: frozenset[tuple[str, str]], _file: Path, _written: bytes | None) -> Settings:
    return load_settings()


def library(settings: Settings) -> Library:
    """The current library. Raises BadDocument where it cannot be used at all."""
    return library_in_force(settings)


def services(settings: Settings) -> Services:
    """Its services alone, which are all that a run needs of it before its first step. Raises BadDocument as `library`."""
    return services_in_force(settings)


@functools.lru_cache(maxsize=64)
def parsed(text: str, name: str) -> Runbook:
    """The runbook that an incident opened with. Raises BadDocument."""
    return runbook_file.parse(text, name)


@functools.lru_cache(maxsize=1)
def store(url: str) -> Store:
    """The store, opened once in this process."""
    return Store(url)


def results() -> Path:
    """Prefect's default result storage, set by the flow so that no run asks the server; our flows store no results."""
    return get_current_settings().results.local_storage_path


def read_ahead() -> None:
    """Fill the caches before the fork, without opening a connection. Errors are left for the run to report."""
    try:
        settings = current_settings()
        known = library(settings)
    except (BadSettings, BadDocument, OSError):
        return
    target_kinds.usable()  # an author may name another kind, and the run that needs it does not wait
    for name in known.runbooks:
        path = settings.runbooks / f"{name}.md"
        parsed(path.read_text(encoding="utf-8"), path.name)
    rehearse(store(settings.store()))


def open_ways() -> None:
    """Open the connections after the fork, before the run arrives. Errors are left for the run to report."""
    try:
        with store(current_settings().store()).read():
            pass
    except (BadSettings, StoreUnavailable, StoreUnknown):
        return
