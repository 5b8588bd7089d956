"""The lines that a container printed, by the time that the Engine gives each; and what is missing of them."""

from collections.abc import Iterator
from urllib.parse import quote

from paramedic.docker.answers import mapping
from paramedic.docker.look import Reader
from paramedic.kinds.docker_engine import ANSWER_LIMIT, Answer, frames
from paramedic.kinds.evidence import Gathered
from paramedic.kinds.transport import Transport
from paramedic.remediation.target import Target
from paramedic.text.sanitize import visible

#: Of an answer that is too long the end is cut off, which is the newest: so many fewer lines are asked for then.
_FEWER = 8


def log_lines(target: Target, transport: Transport, lines: int, since: float, deadline: float) -> Gathered:
    """The last lines of the container since then (seconds since the epoch), each after its time; stderr is marked as such.

    Raises as `Reader.identity` does, also where its logging driver is one that the Engine cannot read from.
    """
    reader = Reader(target, transport, by=deadline)
    seen, asked = reader.inspected(), lines
    path = f"/containers/{quote(seen['Id'], safe='')}/logs?stdout=1&stderr=1&timestamps=1&since={max(int(since), 0)}"

    def answer() -> Answer:
        return reader.engine.get(f"{path}&tail={asked}", reader.deadline(), partly=True)

    answered = answer()
    while _too_long(answered) and asked > 1:
        asked = max(asked // _FEWER, 1)
        answered = answer()
    terminal = mapping(seen.get("Config")).get("Tty")
    printed = [(False, answered.body)] if terminal else frames(answered.body)
    found = [line for from_stderr, part in printed for line in _marked(part, from_stderr=from_stderr)][-asked:]
    unseen = []
    if len(found) >= asked:
        began = visible(found[0].partition(b" ")[0][:40].decode(errors="replace"))
        unseen.append(f"only the last {len(found):,} lines were read, back to {began}")
    if not answered.whole:
        why = "its last line is too long" if _too_long(answered) else "the Engine sent no more of it in time"
        unseen.append(f"its end: {why}")
    return Gathered(visible(b"\n".join(found).decode(errors="replace")), unseen)


def _too_long(answer: Answer) -> bool:
    return len(answer.body) > ANSWER_LIMIT * 3 // 4 and not answer.whole


def _marked(part: bytes, *, from_stderr: bool) -> Iterator[bytes]:
    for line in part.splitlines():
        time, space, text = line.partition(b" ")
        yield time + space + b"stderr: " + text if from_stderr else line
