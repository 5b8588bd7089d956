"""Commands that are loaded when they are called: what another command needs is not imported."""

import gc
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup


def loaded(module: str) -> Any:
    """The module of `paramedic.cli`, imported. What it imports stays, so no search for garbage looks through it."""
    gc.disable()
    try:
        return import_module(f"paramedic.cli.{module}")
    finally:
        gc.freeze()
        gc.enable()


class LateGroup(TyperGroup):
    """Commands that are loaded late: a group knows their names, and a mistyped one is answered with those that are near."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that the arguments begin with; its base finds near names in `commands`, which is empty here."""
        self.commands = dict.fromkeys(self.list_commands(ctx))  # type: ignore[assignment]
        return super().resolve_command(ctx, args)


def group(modules: Mapping[str, str], *, about: str) -> typer.Typer:
    """A group of commands: each by its name, in the `app` of one of these modules of `paramedic.cli`."""

    class Group(LateGroup):
        def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the base's form
            return list(modules)

        def get_command(self, ctx: Any, cmd_name: str) -> Any:
            return _commands(modules[cmd_name]).get_command(ctx, cmd_name) if cmd_name in modules else None

    app = typer.Typer(cls=Group, add_completion=False, no_args_is_help=True, rich_markup_mode=None, help=about)
    app.callback()(_no_options)
    return app


@cache
def _commands(module: str) -> TyperGroup:
    return typer.main.get_group(loaded(module).app)


def _no_options() -> None: ...
