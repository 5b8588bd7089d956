"""Did a change that says it is done change anything? A success that leaves the same instance is a failure."""

from paramedic.doors import reading
from paramedic.errors import PermanentError
from paramedic.remediation.approval import describe_instance
from paramedic.remediation.remedy import Remedy, Verb
from paramedic.remediation.target import Identity, Target, same_instance
from paramedic.text.sanitize import one_line

_SHOWN = 200  # characters of an instance


def must_be_another(target: Target, remedy: Remedy, before: Identity, after: Identity | None, did: str) -> None:
    """Call after a change that said it succeeded. `did`: its account of itself, "" for none.

    Raises PermanentError where the remedy promises another instance or release, and there is the same as before. Nothing is
    held against what cannot be told: an instance that is not known (`after` is None), or of which the kind tells nothing.
    """
    if after is None or not _promises_another(target, remedy) or _is_another(target, before, after):
        return
    seen = one_line(describe_instance(after))[:_SHOWN]
    if reading.running(target, after):
        if not _is_told(before, after):
            return
        words = f"nothing has changed: the same instance runs as before ({seen})"
    elif same_instance(before.instance, after.instance):
        words = f"none runs, as before ({seen})"
    else:
        return
    raise PermanentError(f"{did or f'{target.id} answered that it is done'}, and {words}")


def _promises_another(target: Target, remedy: Remedy) -> bool:
    """Whether another instance, or another release, runs after the remedy; a command of services.yaml may do anything."""
    done = remedy if remedy.undoes is None else remedy.undoes
    if done.verb is Verb.OFFERED:
        return done is remedy and reading.renews(target, done.offered or "")
    if done.verb is Verb.ROLL_BACK and reading.keeps_releases(target):
        return True
    return done.verb is not Verb.RUN and reading.renews(target, str(Verb.RESTART))  # a folder's roll-back ends in one


def _is_another(target: Target, before: Identity, after: Identity) -> bool:
    if reading.restarted(target, before, after):
        return True
    # What a folder's symlink says is what the next instance will run; what its kind says, this one does.
    return (
        target.releases is None and None not in (before.revision, after.revision) and before.revision != after.revision
    )


def _is_told(before: Identity, after: Identity) -> bool:
    """Whether the kind tells anything by which two instances could be told apart."""
    return any(value is not None for one in (before, after) for value in one.instance.values())
