"""What targets were seen to run, the last first, and whether they were seen well with it."""

from datetime import timedelta

from databases import Clock

from paramedic.store import Store, noted_releases


def of(store: Store, target: str = "web-1/container:shop") -> list[tuple[str, bool | None]]:
    with store.read() as tx:
        return [(release.id, release.healthy) for release in noted_releases.of(tx, target)]


def note(store: Store, release: str, *, well: bool, target: str = "web-1/container:shop") -> None:
    with store.record() as tx:
        noted_releases.note(tx, target, release, well=well)


def test_what_ran_last_comes_first_and_what_was_once_seen_well_stays_so(timed: Store, clock: Clock) -> None:
    assert of(timed) == []
    for release, well in (("v1", True), ("v1", False), ("v2", False), ("v1", False), ("v3", False)):
        note(timed, release, well=well)
        clock.advance(timedelta(minutes=5))
    assert of(timed) == [("v3", None), ("v1", True), ("v2", None)]


def test_each_target_has_its_own(timed: Store) -> None:
    note(timed, "v1", well=True)
    note(timed, "v9", well=True, target="web-2/container:shop")
    assert of(timed) == [("v1", True)]
