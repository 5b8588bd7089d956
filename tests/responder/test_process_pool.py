"""Warm processes have the code as it is now: no change is missed, whenever it comes and whatever becomes of a fork server."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from paramedic.machine.backoff import Backoff
from paramedic.responder import process_pool as module
from paramedic.responder.process_pool import ProcessPool

Hook = Callable[[], None]


class Template:
    """Reads the code once, as a fork server imports it; a "process" of it is the code that it would run."""

    def __init__(self, code: str, *, died: bool) -> None:
        self._code = code
        self.ready, self.dead = asyncio.Event(), asyncio.Event()
        self.ready.set()
        if died:
            self.dead.set()

    def fork(self) -> str:
        return self._code

    def retire(self) -> None:
        self.dead.set()


class Code:
    """One file of it, what happens while a template starts, and which of the templates die while they import."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "story.py"
        self.file.write_text("1")
        self.before_it_is_read: Hook | None = None
        self.after_it_is_read: Hook | None = None
        self.dying = 0
        self.started = 0

    async def start(self, _env: dict[str, str]) -> Template:
        """In place of a fork server."""
        self.started += 1
        for number, hook in enumerate((self.before_it_is_read, self.after_it_is_read)):
            if number == 1:
                read = self.file.read_text()
            if hook is not None:
                hook()
        self.before_it_is_read = self.after_it_is_read = None
        self.dying -= 1
        return Template(read, died=self.dying >= 0)

    def becomes(self, text: str) -> Hook:
        return lambda: _write(self.file, text)


def _write(file: Path, text: str) -> None:
    file.write_text(text)


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Code:
    code = Code(tmp_path)
    monkeypatch.setattr(module._ForkServer, "start", code.start)
    return code


def played(code: Code, story: Callable[[ProcessPool], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(story(ProcessPool(0, [code.file.parent])))


async def runs(pool: ProcessPool, code: str) -> None:
    """Once a run would have this code; the pool is kept as the responder keeps it."""
    async with asyncio.timeout(10):
        while str(await pool.take()) != code:
            await pool.refresh()
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("when", ["before_it_is_read", "after_it_is_read"])
@pytest.mark.parametrize("first", [True, False], ids=["the first template", "a later one"])
def test_a_change_that_comes_while_a_template_starts_is_not_missed(code: Code, when: str, *, first: bool) -> None:
    async def story(pool: ProcessPool) -> None:
        if not first:
            await pool.start()
            code.file.write_text("22")
        setattr(code, when, code.becomes("333"))
        await pool.start() if first else await pool.refresh()
        await runs(pool, "333")

    played(code, story)


def test_a_template_that_dies_while_it_imports_changed_code_is_tried_again(
    code: Code, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed for its memory, or too slow on a busy machine: the code is as good as it was."""
    monkeypatch.setattr(module, "_BACKOFF", Backoff((0.05,)))

    async def story(pool: ProcessPool) -> None:
        await pool.start()
        code.dying = 2
        code.file.write_text("22")
        await runs(pool, "22")
        assert code.started == 4

    played(code, story)


def test_code_that_cannot_be_imported_is_not_tried_again_at_once_and_runs_go_on(code: Code) -> None:
    async def story(pool: ProcessPool) -> None:
        await pool.start()
        code.dying = 1000
        code.file.write_text("22")
        for _ in range(100):
            await pool.refresh()
            await asyncio.sleep(0.001)
        assert code.started == 2
        assert str(await pool.take()) == "1"
        code.dying = 0
        code.file.write_text("333")
        await runs(pool, "333")

    played(code, story)


class Clock:
    """A monotonic clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.mark.parametrize("alive", [True, False], ids=["beside a fork server", "after the death of the only one"])
def test_code_that_cannot_be_imported_is_tried_less_and_less_often_until_it_is_edited(
    code: Code, monkeypatch: pytest.MonkeyPatch, *, alive: bool
) -> None:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)

    async def tried_after(pool: ProcessPool, seconds: int) -> list[int]:
        """The seconds at which a fork server was started."""
        tried = []
        for second in range(seconds):
            before = code.started
            await pool.refresh()
            for _ in range(3):  # the renewal is a task of its own
                await asyncio.sleep(0.002)
            tried += [second] * (code.started - before)
            clock.now += 1
        return tried

    async def story(pool: ProcessPool) -> None:
        await pool.start()
        code.dying = 1000
        if alive:
            code.file.write_text("22")
        else:
            pool.stop()
        assert await tried_after(pool, 850) == [0, 30, 90, 210, 510, 810]
        code.file.write_text("333")
        assert await tried_after(pool, 100) == [0, 30, 90], "an edit starts over"
        code.dying = 0
        code.file.write_text("4444")
        assert await tried_after(pool, 400) == [0], "what can be imported is imported once"

    played(code, story)
