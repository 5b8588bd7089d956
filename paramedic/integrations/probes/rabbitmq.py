"""A queue of RabbitMQ, by the API of its management plug-in: how much waits in it, and how many consumers it has."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated
from urllib.parse import quote

from pydantic import Field

from paramedic.errors import PermanentError
from paramedic.kinds import number_question
from paramedic.kinds.metric import Metric
from paramedic.kinds.number_question import LOGIN, SERVER
from paramedic.kinds.probing import Option, Question, Seen, Written
from paramedic.kinds.queue_question import QUEUE, QUEUED, needs_a_queue
from paramedic.text.quantity import Unit
from paramedic.text.sanitize import one_line

CHECK = ("rabbitmq",)
ABOUT = (
    "how much waits in a `queue` of RabbitMQ, ready or not acknowledged, and how many `consumers` it has "
    "([checks.md](checks.md#queues))"
)
METRICS = (QUEUED, Metric("consumers", (Unit.COUNT,), below=True, held_for=timedelta(minutes=1)))
OPTIONS = (
    QUEUE,
    Option(
        "vhost", Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]{1,255}$")], "its virtual host, where that is not `/`"
    ),
    SERVER,
    LOGIN,
)
misfits = number_question.misfits


def subject(written: Written) -> str:
    """The queue. Raises ValueError where there is none."""
    return needs_a_queue(written)


def look(question: Question) -> Seen:
    """Ask once. Raises TemporaryError or PermanentError where there is no answer, no such queue, or its numbers are not known."""
    from paramedic.transports import json_question

    url, login = number_question.address(question, "rabbitmq")
    queue, vhost = question.options["queue"], question.options.get("vhost", "/")
    path = f"{url}/api/queues/{quote(vhost, safe='')}/{quote(queue, safe='')}"
    reply = json_question.ask(path, question.timeout, headers=json_question.authorization(login))
    answer = reply.content if isinstance(reply.content, Mapping) else {}
    if reply.status == 404:
        raise PermanentError(f"RabbitMQ has no queue {one_line(queue)} in {one_line(vhost)}")
    if reply.status != 200:
        raise json_question.refused("RabbitMQ", reply, str(answer.get("reason") or answer.get("error") or ""))
    found = {name: answer.get(name) for name in ("messages", "messages_ready", "messages_unacknowledged", "consumers")}
    if not all(isinstance(value, int) for value in found.values()):
        state = f": its state is {one_line(str(answer['state']))[:40]}" if "state" in answer else ""
        raise PermanentError(f"RabbitMQ does not know how much is in {one_line(queue)} now{state}")
    ready, unacknowledged = found["messages_ready"], found["messages_unacknowledged"]
    words = f"{ready:,} ready, {unacknowledged:,} not acknowledged, {found['consumers']} consumers"
    return {"queued": float(answer["messages"]), "consumers": float(answer["consumers"])}, words
