"""The folder with a team's own plug-ins, in this process. The settings name it, whether or not any plug-in is used."""

from pathlib import Path

_folder: Path | None = None


def use(folder: Path | None) -> None:
    """Use this folder from now on."""
    global _folder  # noqa: PLW0603 - one per process, as its settings are
    _folder = folder


def current() -> Path | None:
    """The folder in use; None where there is none."""
    return _folder
