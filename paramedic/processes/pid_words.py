"""`process: {name: …, pid_file: …, …}` in services.yaml."""

import posixpath
import re
from datetime import timedelta
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from paramedic.processes.signals import ReloadSignal
from paramedic.text.arguments import Arguments
from paramedic.text.template import as_it_is
from paramedic.text.units import duration

#: Programs that run any other: who runs them is told by the next word.
_INTERPRETERS = re.compile(r"(python|perl|ruby|php|lua|node|java|mono|dotnet|sh|bash|dash|ksh|zsh|env|busybox)[0-9.]*")


def _file(path: str) -> str:
    if posixpath.normpath(path) != path:
        raise ValueError(f"{path!r:.80} is not written as the shortest path to it: {posixpath.normpath(path)}")
    return path


class Words(BaseModel):
    """A process by its pid file."""

    model_config = ConfigDict(extra="forbid", strict=True)
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.@:-]{0,99}$")] = Field(
        description="what runbooks and alerts call it: tracking-api"
    )
    pid_file: Annotated[str, Field(pattern=r"^/[^/]+/.+[^/]$"), AfterValidator(as_it_is), AfterValidator(_file)] = (
        Field(description="the file that it writes its pid to, in a folder of its own: /run/tracking/api.pid")
    )
    command: Annotated[list[Annotated[str, Field(pattern=r"^[^\x00]+$")]], Field(min_length=1)] = Field(
        description="what has to run under that pid: the first of its arguments, one by one, as /proc/PID/cmdline has them"
    )
    user: Annotated[str, Field(pattern=r"^([a-z_][a-z0-9_.-]{0,31}\$?|[0-9]{1,10})$")] = Field(
        description="whose process it has to be: tracking"
    )
    start: Arguments | None = Field(
        default=None,
        description="the program that starts it and returns, as a list; without it somebody else has to start it again",
    )
    stop_within: Annotated[timedelta, duration("100ms", "10m")] = Field(
        default=timedelta(seconds=10), description="so long after SIGTERM it is killed: 10s"
    )
    reload: ReloadSignal | None = Field(
        default=None, description="the signal by which it reads its configuration again; none without it: HUP"
    )

    @model_validator(mode="after")
    def _tells_it_apart(self) -> Self:
        if len(self.command) == 1 and _INTERPRETERS.fullmatch(posixpath.basename(self.command[0])):
            raise ValueError(f"command: {self.command[0]} runs many programs; write the next of its arguments, too")
        return self
