"""Load on one address: `wrk` for rates (closed loop), a generator of our own for latency at a given rate (open loop)."""

import asyncio
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import alertmanager

#: wrk's script. The same numbered alerts as from Python, which come again and again.
_LUA = """\
local group, fingerprints, counter = {group}, {fingerprints}, 0
local headers = {{ ["Authorization"] = "Bearer {token}", ["Content-Type"] = "application/json" }}
function request()
  local alerts = {{}}
  for i = 1, group do
    local n = counter % fingerprints
    local host = math.floor(n / 10)
    alerts[i] = string.format([==[{alert}]==], n % 10, host, host, n)
    counter = counter + 1
  end
  return wrk.format("POST", "{path}", headers, [==[{head}]==] .. table.concat(alerts, ",") .. [==[{tail}]==])
end
function done(summary, latency, requests)
  io.write(string.format('figures: {{"requests": %d, "not_2xx": %d, "lost": %d, "seconds": %f, "p99_ms": %f}}\\n',
    summary.requests, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    summary.duration / 1e6, latency:percentile(99) / 1e3))
end
"""

#: A body without alerts, in two parts: they stand between.
_HEAD, _TAIL = json.dumps(alertmanager.body([])).split("[]")


def _numbered(began: str, severity: str = "warning", **labels: str) -> str:
    """The JSON of alert n as a format, the same for Python and Lua: n % 10, n // 10, n // 10, n."""
    known = {"alertname": "Load%d", "severity": severity, "instance": "host-%d:9100", "job": "node", "env": "prod"}
    alert = alertmanager.alert(
        known | labels,
        began,
        annotations={
            "summary": "Load on host-%d is high",
            "description": "It has been above its threshold for five minutes.",
        },
        generatorURL="http://prometheus.example:9090/graph",
        fingerprint="%016x",
    )
    return json.dumps(alert)


def body(numbers: list[int], began: str, **labels: str) -> bytes:
    """One webhook with these alerts, as wrk's script writes it."""
    alert = _numbered(began, **labels)
    alerts = ",".join(alert % (n % 10, n // 10, n // 10, n) for n in numbers)
    return f"{_HEAD}[{alerts}]{_TAIL}".encode()


def rate(port: int, token: str, began: str, *, connections: int, group: int, fingerprints: int, seconds: int) -> float:
    """Alerts per second that were answered 202, as fast as so many connections take them. Needs wrk."""
    wrk = shutil.which("wrk")
    if wrk is None:
        raise SystemExit("wrk is missing: install Debian's package `wrk`, or build https://github.com/wg/wrk")
    with tempfile.TemporaryDirectory(prefix="pl-") as folder:
        script = Path(folder, "load.lua")
        lua = _LUA.format(
            group=group,
            fingerprints=fingerprints,
            token=token,
            path=alertmanager.PATH,
            alert=_numbered(began),
            head=f"{_HEAD}[",
            tail=f"]{_TAIL}",
        )
        script.write_text(lua)
        command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(script)]
        output = subprocess.run(
            [*command, f"http://127.0.0.1:{port}"], capture_output=True, text=True, check=True, timeout=seconds + 60
        ).stdout
    found = re.search(r"^figures: (.*)$", output, re.MULTILINE)
    if found is None:
        raise SystemExit(f"wrk printed no figures:\n{output}")
    figures = json.loads(found[1])
    print(f"  wrk -c{connections}, groups of {group}: {figures}", flush=True)
    return float((figures["requests"] - figures["not_2xx"]) * group / figures["seconds"])


def latencies_ms(
    port: int, token: str, make_body: Callable[[int], bytes], *, per_second: float, seconds: int, connections: int
) -> list[float]:
    """Milliseconds from the moment a request was due to its 202, at a rate that waits for no answer.

    Raises SystemExit where a request is not answered 202.
    """
    return asyncio.run(
        _open_loop(port, token, make_body, per_second=per_second, seconds=seconds, connections=connections)
    )


async def _open_loop(
    port: int, token: str, make_body: Callable[[int], bytes], *, per_second: float, seconds: int, connections: int
) -> list[float]:
    due: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    took: list[float] = []
    head = f"POST {alertmanager.PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\nContent-Length: "

    async def send() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            at, content = await due.get()
            writer.write(f"{head}{len(content)}\r\n\r\n".encode() + content)
            answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            await reader.readexactly(int(re.findall(r"content-length: (\d+)", answer)[0]))
            if " 202 " not in answer.split("\r\n", 1)[0]:
                raise SystemExit(f"at {per_second:.0f}/s an alert was answered {answer.splitlines()[0]}")
            took.append(1000 * (time.perf_counter() - at))
            due.task_done()

    count = int(per_second * seconds)
    bodies = [make_body(number) for number in range(count)]
    senders = [asyncio.create_task(send()) for _ in range(connections)]
    await asyncio.sleep(0.2)
    began = time.perf_counter()
    for number, content in enumerate(bodies):
        at = began + number / per_second
        if (wait := at - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        due.put_nowait((at, content))
    finished = asyncio.create_task(due.join())
    await asyncio.wait([finished, *senders], return_when=asyncio.FIRST_COMPLETED)
    for sender in senders:
        sender.cancel()
    ended = await asyncio.gather(*senders, return_exceptions=True)
    for error in ended:
        if isinstance(error, BaseException) and not isinstance(error, asyncio.CancelledError):
            raise error
    return took
