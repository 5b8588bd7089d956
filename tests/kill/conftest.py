"""One whole Paramedic for the tests that can share it; those that are marked `together` run on it concurrently."""

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from forms import Form, form
from kill.deaths import Deaths, rows_among
from kill.driver import Driver, driving
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

#: Stories that run concurrently: each has a process of its own for its run, on two cores.
_AT_ONCE = 8

#: The modules that share a Paramedic: rows one, stories another, so that two workers have as much to do. Sentinels share one.
_ON_WHOLE = {
    "test_kill_table.py": "rows",
    "test_kill_table_rungs.py": "rows",
    "test_alert_stories.py": "stories",
    "test_asking.py": "stories",
    "test_ladder_stories.py": "stories",
    "test_prefect_stories.py": "stories",
    "test_refused_stories.py": "stories",
    "test_run_stories.py": "stories",
}

_WHOLE = pytest.StashKey[Driver]()
_BEGUN = pytest.StashKey[dict[str, Future[object]]]()


class ByParamedic(LoadScopeScheduling):
    """Sends the modules that share a Paramedic to one worker of xdist, every other module as a whole to any."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        if form() is Form.SENTINELS:
            return "sentinels"
        return _ON_WHOLE.get(Path(file).name, file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """xdist asks for it where `tests/kill` is given on the command line, as in the Makefile."""
    return ByParamedic(config, log)


@pytest.fixture(scope="session")
def whole(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """One for all modules that ask for it: what one leaves behind is the next one's burden, as in life."""
    session = request.session
    items = [item for item in session.items if _plays_on_whole(item)]
    strange = {item.path.name for item in items} - _ON_WHOLE.keys()
    assert not strange, f"_ON_WHOLE does not list {strange}: two workers would have one each"
    services = [(row.id, "web-1", "") for row in rows_among(items)]
    for module in dict.fromkeys(item.module for item in items):
        services += getattr(module, "SERVICES", [])
    with tempfile.TemporaryDirectory(prefix="pk-") as folder, driving(Path(folder), services) as up:
        session.stash[_WHOLE] = up
        yield up
        del session.stash[_WHOLE]


@pytest.fixture(scope="session")
def deaths(request: pytest.FixtureRequest, whole: Driver) -> Deaths:
    """The selected rows that are played on it."""
    return Deaths(whole, rows_among(item for item in request.session.items if _plays_on_whole(item)))


def _plays_on_whole(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and "whole" in item.fixturenames


def _is_together(item: pytest.Item) -> bool:
    return _plays_on_whole(item) and item.get_closest_marker("together") is not None


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """The first test that is marked `together` starts all of them; every other test waits until they have ended."""
    up = pyfuncitem.session.stash.get(_WHOLE, None)
    if up is None or not _plays_on_whole(pyfuncitem):
        return None
    begun = pyfuncitem.session.stash.setdefault(_BEGUN, {})
    if _is_together(pyfuncitem):
        if pyfuncitem.nodeid not in begun:
            begun |= _begin(pyfuncitem.session, up)
        _tick_until_done(up, [begun[pyfuncitem.nodeid]])
        begun[pyfuncitem.nodeid].result()
        return True
    _tick_until_done(up, list(begun.values()))
    return None


def _begin(session: pytest.Session, up: Driver) -> dict[str, Future[object]]:
    pool = ThreadPoolExecutor(_AT_ONCE, "story")
    stories = [item for item in session.items if _is_together(item)]
    begun = {story.nodeid: pool.submit(story.obj, **_arguments(story, up)) for story in stories}
    pool.shutdown(wait=False)
    return begun


def _arguments(item: pytest.Function, up: Driver) -> dict[str, object]:
    return {"whole": up} | (item.callspec.params if hasattr(item, "callspec") else {})


def _tick_until_done(up: Driver, futures: list[Future[object]]) -> None:
    while not all(future.done() for future in futures):
        up.tick()
        time.sleep(0.05)
