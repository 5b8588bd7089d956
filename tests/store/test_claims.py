"""One claim per target: exclusive, fenced, and over when its lease is (P2)."""

from datetime import timedelta

from databases import Clock, at_once
from store_states import LEASE, TARGET, claimed, look_at_the_trail, opened, recorded

from paramedic.store import Store, claims
from paramedic.store.claims import Claim


def _take(url: str, number: int) -> int | str:
    store = Store(url)
    with store.record() as tx:
        taken = claims.take(
            tx, target=TARGET, incident=number + 1, attempt=1, holder=f"run:{number}", lease=timedelta(minutes=5)
        )
    store.close()
    return taken.token if isinstance(taken, Claim) else taken


def test_of_many_who_ask_at_once_one_gets_the_claim(store_url: str, store: Store) -> None:
    results = at_once(12, _take, store_url)
    winner = [number for number, result in enumerate(results) if isinstance(result, int)]
    assert len(winner) == 1
    for result in results:
        assert isinstance(result, int) or f"run:{winner[0]}) has the claim on {TARGET}" in result
    assert recorded(store) == ["claim.taken"]


def test_of_many_who_take_over_a_lapsed_claim_one_gets_it(store_url: str, timed: Store, clock: Clock) -> None:
    clock.advance(-timedelta(days=30))  # long before the database's own clock
    with timed.record() as tx:
        claimed(tx, opened(tx))
    results = at_once(12, _take, store_url)
    assert [result for result in results if isinstance(result, int)] == [2]


def _take_in_turns(url: str, times: int, number: int) -> list[int]:
    store = Store(url)
    tokens: list[int] = []
    while len(tokens) < times:
        with store.record() as tx:
            taken = claims.take(
                tx, target=TARGET, incident=number + 1, attempt=1, holder=f"run:{number}", lease=timedelta(minutes=5)
            )
            if isinstance(taken, Claim):
                tokens.append(taken.token)
        if isinstance(taken, Claim):
            with store.write() as tx:
                claims.release(tx, taken)
    store.close()
    return tokens


def test_the_token_only_grows(store_url: str, store: Store) -> None:
    tokens = at_once(4, _take_in_turns, store_url, 5)
    assert all(mine == sorted(mine) for mine in tokens)
    assert sorted(token for mine in tokens for token in mine) == list(range(1, 21))
    assert look_at_the_trail(store).verified


def test_a_claim_holds_as_long_as_it_is_renewed(timed: Store, clock: Clock) -> None:
    with timed.record() as tx:
        number = opened(tx)
        claim = claimed(tx, number)
    for _ in range(5):
        clock.advance(LEASE - timedelta(microseconds=1))
        with timed.write() as tx:
            assert claims.renew(tx, claim, LEASE)
        with timed.record() as tx:
            refused = claims.take(tx, target=TARGET, incident=9, attempt=1, holder="run:other", lease=LEASE)
            assert refused == f"INC-{number} (attempt 1, run:run-1) has the claim on {TARGET}"


def test_a_lapsed_lease_is_taken_over_and_does_not_come_back(timed: Store, clock: Clock) -> None:
    with timed.record() as tx:
        old = claimed(tx, opened(tx))
    clock.advance(LEASE)
    with timed.read() as tx:
        current = claims.current(tx, TARGET)
        assert current is not None
        assert not current[1]
    with timed.write() as tx:
        assert not claims.renew(tx, old, LEASE)  # even before anybody else took it
    with timed.record() as tx:
        new = claims.take(tx, target=TARGET, incident=9, attempt=2, holder="run:other", lease=LEASE)
    assert isinstance(new, Claim)
    assert new.token == old.token + 1
    with timed.write() as tx:
        assert not claims.renew(tx, old, LEASE)
        claims.release(tx, old)  # what is no longer ours is not ours to give back
    with timed.read() as tx:
        assert claims.current(tx, TARGET) == (new, True)
        last = claims.of_attempt(tx, 9, 2)
        assert last is not None
        assert (last.lease_until, last.holds) == (new.lease_until, True)
        assert claims.of_attempt(tx, old.incident, old.attempt) is None


def test_a_released_claim_is_free_at_once_and_cannot_be_renewed(timed: Store) -> None:
    with timed.record() as tx:
        claim = claimed(tx, opened(tx))
    with timed.write() as tx:
        claims.release(tx, claim)
        assert not claims.renew(tx, claim, LEASE)
    with timed.record() as tx:
        assert isinstance(claims.take(tx, target=TARGET, incident=9, attempt=1, holder="b", lease=LEASE), Claim)


def test_claims_on_two_targets_do_not_meet(timed: Store) -> None:
    with timed.record() as tx:
        claimed(tx, opened(tx))
        claimed(tx, opened(tx, target="web-2/tracking-api"), run="run-2")
    assert recorded(timed).count("claim.taken") == 2


def test_the_lease_is_by_the_databases_clock(store: Store, backend: str) -> None:
    with store.record() as tx:
        claim = claimed(tx, opened(tx))
        assert abs(claim.lease_until - tx.now - LEASE) < timedelta(seconds=1)
    assert backend in str(store.engine.url)


# --- wholes and parts -------------------------------------------------------------------------------------------------

HOST, UNIT, OTHER = "web-1/host:web-1", "web-1/api", "web-2/api"


def _taken(store: Store, target: str, incident: int, overlapping: tuple[str, ...]) -> Claim | str:
    with store.record() as tx:
        return claims.take(
            tx,
            target=target,
            incident=incident,
            attempt=1,
            holder=f"run:{incident}",
            lease=LEASE,
            overlapping=overlapping,
        )


def test_a_whole_s_claim_covers_its_parts_and_a_part_s_its_whole(timed: Store, clock: Clock) -> None:
    for first, second in ((HOST, UNIT), (UNIT, HOST)):
        holder = _taken(timed, first, 1, (second,))
        assert isinstance(holder, Claim)
        why_not = _taken(timed, second, 2, (first,))
        assert (
            why_not == f"INC-1 (attempt 1, run:1) has the claim on {first}, and {second} is a part of it or contains it"
        )
        assert isinstance(_taken(timed, OTHER, 3, ()), Claim), "of another host"
        clock.advance(LEASE)  # the dead run's lease runs out, and with it what it covered
        again = _taken(timed, second, 2, (first,))
        assert isinstance(again, Claim)
        with timed.write() as tx:
            claims.release(tx, again)


def test_a_released_whole_covers_nothing(timed: Store) -> None:
    holder = _taken(timed, HOST, 1, (UNIT,))
    assert isinstance(holder, Claim)
    with timed.write() as tx:
        claims.release(tx, holder)
    assert isinstance(_taken(timed, UNIT, 2, (HOST,)), Claim)


def test_a_lapsed_part_s_claim_stays_lapsed_where_the_clock_is_set_back(timed: Store, clock: Clock) -> None:
    part = _taken(timed, UNIT, 1, (HOST,))
    assert isinstance(part, Claim)
    clock.jump(timedelta(minutes=1))
    assert isinstance(_taken(timed, HOST, 2, (UNIT,)), Claim)
    clock.jump(-timedelta(minutes=1))
    with timed.write() as tx:
        assert not claims.renew(tx, part, LEASE)
        held = claims.current(tx, UNIT)
    assert held is not None
    assert not held[1]


def _take_whole_or_part(url: str, number: int) -> bool:
    store = Store(url)
    target, other = (HOST, UNIT) if number % 2 else (UNIT, HOST)
    taken = _taken(store, target, number + 1, (other,))
    store.close()
    return isinstance(taken, Claim)


def test_of_many_who_ask_for_a_whole_and_its_part_at_once_one_gets_it(store_url: str, store: Store) -> None:
    assert at_once(12, _take_whole_or_part, store_url).count(True) == 1
    assert recorded(store) == ["claim.taken"]
