"""A folder of releases, and what a test does to it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from paramedic.doors import changing
from paramedic.errors import PermanentError, Refused
from paramedic.remediation.target import Target

T0 = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


class Deployed:
    """A folder of releases, as docs/targets.md asks for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "releases.log"
        self.target = Target("here/app", "tracking", "here", "systemd", "app.service", "", releases=str(folder))
        self._hour = 0
        (folder / "releases").mkdir(parents=True)
        self.log.touch()

    def deploy(self, name: str, *, healthy: bool | None = None, reversible: bool | None = None) -> None:
        (self.folder / "releases" / name).mkdir(exist_ok=True)
        self.point(f"releases/{name}")
        self._hour += 1
        marked = {} if reversible is None else {"reversible": reversible}
        self.say(what="deployed", release=name, at=self.at(self._hour).isoformat(), **marked)
        if healthy is not None:
            self.say(what="healthy" if healthy else "bad", release=name)

    def at(self, hour: int) -> datetime:
        return T0 + timedelta(hours=hour)

    def point(self, leads: str) -> None:
        (self.folder / "new").symlink_to(leads)
        (self.folder / "new").rename(self.folder / "current")

    def say(self, **line: object) -> None:
        with self.log.open("a") as log:
            log.write(json.dumps(line) + "\n")

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    def current(self) -> str:
        return str((self.folder / "current").readlink())

    def roll_back(self, expected: str, *, approved: bool = False, last_look: Any = lambda: None) -> str:
        return changing.releases(self.target).roll_back(expected, last_look, approved=approved)

    def refuses(self, expected: str, why: str, *, approved: bool = False) -> Refused:
        """Refused or useless, for this reason, before the last look, and with nothing changed."""
        looked: list[int] = []
        before = self.everything()
        with pytest.raises((Refused, PermanentError), match=why) as no:
            self.roll_back(expected, approved=approved, last_look=lambda: looked.append(1))
        assert self.everything() == before
        assert not looked
        return no.value  # type: ignore[return-value]

    def everything(self) -> dict[str, str]:
        """Every entry, with what it leads to or says."""
        return {
            str(path.relative_to(self.folder)): str(path.readlink())
            if path.is_symlink()
            else path.read_text()
            if path.is_file()
            else "/"
            for path in sorted(self.folder.rglob("*"))
        }
