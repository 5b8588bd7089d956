"""What runs where nobody else keeps a record of it?"""

from concurrent.futures import ThreadPoolExecutor

from paramedic.change import noted
from paramedic.doors import reading
from paramedic.remediation.target import Target
from paramedic.store import noted_releases
from tasks.scheduled import Round

#: So many targets are looked at side by side.
_AT_ONCE = 8


def note_what_runs(this: Round) -> str:
    """Note which release each target runs whose owner keeps no record of those before: a roll-back goes back to what was seen.

    Nothing is changed, and a target that does not answer keeps what was noted of it. Raises StoreUnavailable; GivenUp where
    another run has the round.
    """
    targets: list[Target] = [target for target in this.library.services if reading.releases_are_noted(target)]
    if not targets:
        return ""
    with ThreadPoolExecutor(_AT_ONCE) as looks:
        found = list(looks.map(noted.seen, targets))
    this.go_on()
    with this.store.record() as tx:
        this.still_ours(tx)
        for target, look in zip(targets, found, strict=True):
            if look is not None:
                release, well = look
                noted_releases.note(tx, target.id, release, well=well)
    return f"; noted what {sum(look is not None for look in found)} of {len(targets)} targets run"
