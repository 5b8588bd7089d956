"""The API server's answers as objects, and its refusals in words.

Kubernetes API conventions: "Response Status Kind", "Concurrency Control and Consistency".
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from math import inf
from typing import Any
from urllib.parse import quote

from paramedic.errors import OutcomeUnknown, PermanentError, TemporaryError
from paramedic.kinds.cluster import Cluster, Reply
from paramedic.machine.clock import boottime
from paramedic.text.sanitize import one_line

Object = Mapping[str, Any]

#: A strategic merge patch adds to what is there; it is not for custom resources, which none of ours is.
_PATCH = "application/strategic-merge-patch+json"

#: So many objects of a list are looked at. A list's `continue` says that there are more.
LONGEST_LIST = 500


class Conflict(Exception):
    """The object is another than the one that was read: of the change nothing was done (409)."""


class NotFound(PermanentError):
    """There is no such object."""


class Forbidden(PermanentError):
    """RBAC does not allow it; the message names the verb, the resource and who asked."""


class Protected(Exception):
    """A PodDisruptionBudget keeps the pod: nothing was done. The message says which."""


class Api:
    """Asks one cluster; each request is over when `within` is, or the deadline of the whole, and all are by `by`."""

    def __init__(self, cluster: Cluster, within: timedelta, by: float = inf) -> None:
        self._cluster, self._by = cluster, by
        self._within = within.total_seconds()

    def get(self, path: str, query: Mapping[str, str] | None = None, *, deadline: float | None = None) -> Object:
        """An object. Raises NotFound, Forbidden, PermanentError, or TemporaryError where another look may help."""
        return _object(self._read(path, query, deadline))

    def metadata(self, path: str, name: str) -> Object:
        """The metadata of the object of this name at a path of its kind, and nothing else of it. Raises as `get` does.

        PermanentError too where the server does not give that alone: it can since Kubernetes 1.15.
        """
        only = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
        found = _object(_well(self._cluster.ask("GET", f"{path}{named(name)}", self._until(None), accept=only)))
        if found.get("kind") != "PartialObjectMetadata":
            raise PermanentError("the API server gives no metadata alone, and nothing else is asked for")
        return found

    def items(
        self, path: str, query: Mapping[str, str] | None = None, *, deadline: float | None = None
    ) -> list[Object]:
        """The first objects of a list. Raises as `get` does."""
        return self.pages(path, query, deadline=deadline)[0]

    def pages(
        self, path: str, query: Mapping[str, str] | None = None, *, most: int = 1, deadline: float | None = None
    ) -> tuple[list[Object], bool]:
        """The objects of so many pages of a list, LONGEST_LIST each, and whether these are all. Raises as `get` does."""
        items: list[Object] = []
        asked = {"limit": str(LONGEST_LIST), **(query or {})}
        for _ in range(most):
            try:
                page = self.get(path, asked, deadline=deadline)
            except TemporaryError:
                if not items:
                    raise
                return items, False
            items += [item for item in page.get("items") or () if isinstance(item, Mapping)]
            metadata = page.get("metadata")
            more = metadata.get("continue") if isinstance(metadata, Mapping) else None
            if not more:
                return items, True
            asked["continue"] = str(more)
        return items, False

    def text(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """A plain text, such as a log, as it is: not safe to show. Raises as `get` does."""
        return self._read(path, query, None).text

    def create(self, path: str, body: Object) -> Object:
        """Ask a question that the API server takes as a new object, and keeps nowhere. Raises as `get` does."""
        try:
            reply = self._cluster.ask("POST", path, self._until(None), body=body)
        except OutcomeUnknown as error:
            raise TemporaryError(str(error)) from error
        return _object(_well(reply))

    def patch(self, path: str, body: Object, *, manager: str, deadline: float) -> Object:
        """Change the object, once; the changed one.

        Raises Conflict where it is no longer the one of the body's `resourceVersion`; Forbidden, NotFound, PermanentError and
        TemporaryError: nothing was changed; OutcomeUnknown: that is not known.
        """
        reply = self._cluster.ask(
            "PATCH", path, self._until(deadline), query={"fieldManager": manager}, body=body, media_type=_PATCH
        )
        return self._changed(reply)

    def evict(self, path: str, body: Object, *, deadline: float) -> None:
        """Have the pod deleted, once, unless a PodDisruptionBudget keeps it; see the API's "API-initiated Eviction".

        `body`: the Eviction, with the pod's preconditions. Raises Protected, and otherwise as `patch` does.
        """
        reply = self._cluster.ask("POST", path, self._until(deadline), body=body)
        if budget := _budget(reply):
            raise Protected(budget)
        self._changed(reply)

    def _read(self, path: str, query: Mapping[str, str] | None, deadline: float | None) -> Reply:
        return _well(self._cluster.ask("GET", path, self._until(deadline), query=query))

    def _until(self, deadline: float | None) -> float:
        ours = min(boottime() + self._within, self._by)
        return ours if deadline is None else min(ours, deadline)

    @staticmethod
    def _changed(reply: Reply) -> Object:
        """The changed object. An error of the server itself may come after the change: a leader of etcd that was lost."""
        if reply.status >= 500:
            raise OutcomeUnknown(f"the API server answered {reply.status}: {_message(reply)}")
        try:
            return _object(_well(reply))
        except TemporaryError as error:
            if reply.status < 300:
                raise OutcomeUnknown(
                    f"the API server answered {reply.status}, and not how the object is now"
                ) from error
            raise


def named(*parts: str) -> str:
    """A path of these parts; each is one part whatever it holds, as names in answers are data."""
    return "/" + "/".join(quote(part, safe="") for part in parts)


def _well(reply: Reply) -> Reply:
    status = reply.status
    if 200 <= status < 300:
        return reply
    words = f"the API server says: {_message(reply)}"
    match status:
        case 404:
            raise NotFound(words)
        case 409:
            raise Conflict(words)
        case 401:
            raise PermanentError(f"it does not know who asks (401), as where a token has ended; {words}")
        case 403:
            raise Forbidden(words)
        case 410 | 429:
            raise TemporaryError(words, after=reply.after)
    if status >= 500:
        raise TemporaryError(f"{words} ({status})", after=reply.after)
    raise PermanentError(f"{words} ({status})")


def _object(reply: Reply) -> Object:
    try:
        found = json.loads(reply.text)
    except ValueError as error:
        raise TemporaryError("what answered is no API server: its answer is no JSON") from error
    if not isinstance(found, Mapping):
        raise TemporaryError("what answered is no API server: its answer is no object")
    return found


#: What the server answers, before it does anything, for a pod that two budgets cover.
_TWO_BUDGETS = "more than one PodDisruptionBudget"


def _budget(reply: Reply) -> str | None:
    """What a PodDisruptionBudget says against an eviction; None where none does: a busy server answers 429 as well."""
    if reply.status == 500 and _TWO_BUDGETS in _message(reply):
        return _message(reply)
    if reply.status != 429:
        return None
    try:
        causes = (json.loads(reply.text).get("details") or {}).get("causes") or ()
        words = [str(each.get("message") or "") for each in causes if each.get("reason") == "DisruptionBudget"]
    except (ValueError, AttributeError):
        return None
    return one_line(" ".join([_message(reply), *words]))[:500] if words else None


def _message(reply: Reply) -> str:
    """What the server says, cut: an admission webhook may say a lot."""
    try:
        message = json.loads(reply.text).get("message")
    except (ValueError, AttributeError):
        message = reply.text
    return one_line(str(message or reply.status))[:500]
