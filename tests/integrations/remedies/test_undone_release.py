"""A roll-back is undone by one step forward again, to the very release that it left, or nothing is changed."""

from typing import Any

import pytest
from deployed_releases import Deployed

from paramedic.doors import changing
from paramedic.errors import Refused


def test_a_roll_back_is_undone_by_the_release_that_it_left(two: Deployed) -> None:
    two.roll_back("2")
    looked: list[int] = []
    assert changing.releases(two.target).undo("1", lambda: looked.append(1)) == "2"
    assert (two.current(), looked) == ("releases/2", [1])
    last = two.lines()[-1]
    assert (last["what"], last["release"], last["left"], last["by"]) == ("rolled-back", "2", "1", "paramedic")
    two.refuses("2", "a roll-back is never rolled back")


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        (lambda _: None, "2"),  # nothing was rolled back
        (lambda two: two.roll_back("2"), "2"),  # it is judged by another release than is current
        (lambda two: (two.roll_back("2"), two.deploy("3")), "3"),
        (lambda two: (two.roll_back("2"), two.point("releases/2")), "2"),  # by hand, and not written down
    ],
)
def test_what_was_no_roll_back_is_not_undone(two: Deployed, prepare: Any, expected: str) -> None:
    prepare(two)
    before = two.everything()
    with pytest.raises(Refused, match="tells last of no roll-back to"):
        changing.releases(two.target).undo(expected, lambda: pytest.fail("the last look"))
    assert two.everything() == before


def test_a_release_that_is_gone_is_not_gone_forward_to(two: Deployed) -> None:
    two.roll_back("2")
    (two.folder / "releases" / "2").rmdir()
    with pytest.raises(Refused, match="which was left, is gone"):
        changing.releases(two.target).undo("1", lambda: None)


def test_a_no_at_the_last_look_undoes_nothing(two: Deployed) -> None:
    two.roll_back("2")
    before = two.everything()

    def no() -> None:
        raise Refused("the claim was lost")

    with pytest.raises(Refused, match="the claim was lost"):
        changing.releases(two.target).undo("1", no)
    assert two.everything() == before
