"""The images that a container has run: the one that it runs now, and those that Paramedic has seen it run before."""

from urllib.parse import quote

from paramedic.docker import spec
from paramedic.docker.answers import mapping, moment_of
from paramedic.docker.look import Reader
from paramedic.docker.owners import keeper_of
from paramedic.errors import PermanentError, Refused
from paramedic.kinds.docker_engine import Engine
from paramedic.kinds.transport import Transport
from paramedic.remediation.release import Release
from paramedic.remediation.target import Target

#: A label of a container or of its image: whether one may go back from it to the one before.
REVERSIBLE = "paramedic.reversible"


class Releases:
    """Looks at the images of one container. What it ran before, Paramedic has noted: the Engine keeps no record of it."""

    def __init__(self, target: Target, transport: Transport) -> None:
        self._target = target
        self._reader = Reader(target, transport)

    def current(self) -> Release:
        """The image that it runs, deployed when the container was made. Raises as `Reader.identity` does."""
        seen = self._reader.inspected()
        labels = mapping(mapping(seen.get("Config")).get("Labels"))
        noted = {release.id: release for release in self._target.noted}
        image = str(seen.get("Image"))
        return Release(
            id=image,
            deployed_at=moment_of(seen.get("Created")),
            reversible={"true": True, "false": False}.get(str(labels.get(REVERSIBLE))),
            healthy=noted[image].healthy if image in noted else None,
            rolled_back_to=spec.LEFT in labels,
        )

    def before(self) -> Release:
        """The image that it ran last before the current one and was seen well with. Raises Refused, else as `current` does."""
        return before(self._target, self.current(), approved=False)

    def all(self) -> list[Release]:
        """The current one, then those that were noted, the last first."""
        current = self.current()
        return [current, *(release for release in self._target.noted if release.id != current.id)]

    def obstacles(self) -> list[str]:
        """What would keep a roll-back from being carried out now, with what to do about it. Raises as `current` does."""
        seen = self._reader.inspected()
        if (keeper := keeper_of(seen)) is not None:
            return [f"{keeper.words}: {keeper.by_hand}"]
        found = [spec.lost(seen, docker=self._reader.engine.is_docker)]
        left = [
            f"{one} is there, from a roll-back before: `docker rm {one}` once nobody needs it"
            for one in self._reader.left()
        ]
        return [f"it cannot be made again: {why}" for why in found if why is not None] + left


def before(target: Target, current: Release, *, approved: bool) -> Release:
    """The noted image to go back to: the last that is not the current one. Raises Refused.

    Without a person's approval it is only one that was seen running and well; never one further back than the last.
    """
    noted = [release for release in target.noted if release.id != current.id]
    if not noted:
        raise Refused(
            f"Paramedic has seen {target.id} run no other image than {current.id:.19}",
            by_hand="make it again from the image that worked",
        )
    last = noted[0]
    if last.healthy or (approved and last.healthy is None):
        return last
    raise Refused(
        f"{target.id} ran {last.id:.19} before, and was never seen well with it",
        by_hand="make it again from the image that worked",
    )


def judged(target: Target, current: Release, expected: str, *, approved: bool) -> Release:
    """The image to go back to from `expected`. Raises Refused."""
    if current.id != expected:
        raise Refused(f"{target.id} runs the image {current.id:.19} now, and {expected:.19} was judged")
    by_hand = "make it again from the image that worked"
    if current.rolled_back_to:
        raise Refused(f"{target.id} was rolled back already: a roll-back is never rolled back", by_hand=by_hand)
    if current.reversible is False:
        raise Refused(f"the image of {target.id} is marked irreversible ({REVERSIBLE}=false)", by_hand=by_hand)
    if current.reversible is None and not approved:
        raise Refused(
            f"nobody said whether one may go back from the image that {target.id} runs",
            by_hand=f"approve this roll-back, or give what can be undone the label {REVERSIBLE}=true",
        )
    return before(target, current, approved=approved)


def image(engine: Engine, name: str, deadline: float) -> dict[str, object]:
    """What the Engine says of an image. Raises PermanentError where it has it no more, TemporaryError without an answer."""
    try:
        return dict(engine.ask(f"/images/{quote(name, safe=':')}/json", deadline, dict))
    except PermanentError as error:
        raise PermanentError(f"the Engine has no image {name:.19} any more, and nothing is pulled: {error}") from error
