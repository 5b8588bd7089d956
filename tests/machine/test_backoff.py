"""Each failure waits longer, up to a bound, and there is always a next wait."""

from itertools import islice

from paramedic.machine.backoff import Backoff


def test_waits_grow_to_the_last_and_stay_there() -> None:
    backoff = Backoff((0.2, 0.5, 5.0))
    assert [backoff.after(earlier) for earlier in (0, 1, 2, 3, 10_000)] == [0.2, 0.5, 5.0, 5.0, 5.0]
    assert list(islice(backoff, 5)) == [0.2, 0.5, 5.0, 5.0, 5.0]
    assert next(iter(backoff)) == 0.2, "who begins anew begins with the first"
