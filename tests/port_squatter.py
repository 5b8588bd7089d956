"""Another user of the machine who tries to get a port."""

import itertools
import os
import socket
import sys
import time
from types import TracebackType
from typing import Self

_NOBODY = 65534


class Squatter:
    """From entry to exit a process without any right of ours tries to listen on the port, by every option there is."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._tried, self._tells = os.pipe()
        self._pid = 0
        self.got_it = False

    def __enter__(self) -> Self:
        self._pid = os.fork()
        if self._pid == 0:
            try:
                os.setgroups([])
                os.setgid(_NOBODY)
                os.setuid(_NOBODY)
                os._exit(self._try())
            finally:
                os._exit(3)
        os.close(self._tells)
        assert os.read(self._tried, 1), "its first tries are made"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        os.close(self._tried)  # it goes by the next try
        _, status = os.waitpid(self._pid, 0)
        code = os.waitstatus_to_exitcode(status)
        assert code in (0, 1), f"the squatter ended with {code}"
        self.got_it = code == 1

    def _try(self) -> int:
        os.close(self._tried)
        while True:
            for options in itertools.product((False, True), repeat=2):
                with socket.socket() as listener:
                    for option, value in zip((socket.SO_REUSEADDR, socket.SO_REUSEPORT), options, strict=True):
                        listener.setsockopt(socket.SOL_SOCKET, option, value)
                    try:
                        listener.bind(("127.0.0.1", self._port))
                        listener.listen()
                    except OSError:
                        continue
                    print("somebody else got the port", file=sys.stderr)
                    os.write(self._tells, b"!")
                    return 1
            try:
                os.write(self._tells, b".")
            except BrokenPipeError:
                return 0
            time.sleep(0.005)
