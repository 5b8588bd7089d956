"""What our servers send leaves at once."""

import asyncio
import socket

from paramedic.machine import ports


def test_an_answer_in_two_writes_waits_for_no_acknowledgement() -> None:
    """Nagle's algorithm holds the second write of an answer until the first one is acknowledged: 40 ms for every request."""
    port = ports.demand("127.0.0.1", 0, who="a test", setting="NONE")
    port.release()
    [listener] = ports.listening_sockets("127.0.0.1", port.port)
    assert asyncio.run(_sends_at_once(listener))


async def _sends_at_once(listener: socket.socket) -> bool:
    """Whether a connection that asyncio accepts there has TCP_NODELAY."""
    found: asyncio.Queue[int] = asyncio.Queue()

    def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        found.put_nowait(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    async with await asyncio.start_server(note, sock=listener):
        _, writer = await asyncio.open_connection(*listener.getsockname())
        option = await found.get()
        writer.close()
    return bool(option)
