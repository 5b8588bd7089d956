"""What paramiko 5 lacks: deadlines for all that waits for an answer, refusals told apart, and streams to Unix sockets.

It uses private names of paramiko, which are the same in all of 5.x; `paramiko>=5,<6` is what pyproject.toml allows.
"""

import contextlib
import logging
import select
import socket
import threading
from typing import Any

import paramiko
from paramiko.common import (
    CONNECTION_FAILED_CODE,
    MSG_CHANNEL_CLOSE,
    MSG_CHANNEL_DATA,
    MSG_CHANNEL_EOF,
    cMSG_CHANNEL_OPEN,
    cMSG_CHANNEL_REQUEST,
)
from paramiko.message import Message

from paramedic.machine.clock import boottime

logging.getLogger("paramiko").setLevel(logging.CRITICAL)  # what fails is told by whoever asked, in words

#: The reason of a channel that is not opened because the host got no connection itself (RFC 4254, 5.1).
CONNECT_FAILED = 2

#: So often a warm connection shows that it is alive. Seconds.
_KEEPALIVE_SECONDS = 15

#: So long the kernel waits for a sign of life from the other side, once something was sent. Seconds.
_SILENCE_SECONDS = 20


class SshTransport(paramiko.Transport):
    """An SSH connection: what it negotiates with, and how it is told dead, is ours."""

    _active_check_timeout = 1.0  # paramiko wakes up ten times a second for each connection, which 200 of them feel

    def __init__(self, line: "socket.socket | paramiko.Channel", seconds: float) -> None:
        """`seconds`: for all of the handshake and the login."""
        super().__init__(line)
        self.banner_timeout = self.handshake_timeout = self.auth_timeout = seconds
        self._line = line
        self._late: list[tuple[_Answer, paramiko.Channel]] = []  # channels that nobody waits for any more

    def prefer(self, kinds: tuple[str, ...]) -> None:
        """Ask for a host key of one of these kinds before all others."""
        wanted = [
            name for kind in kinds for name in (("rsa-sha2-512", "rsa-sha2-256") if kind == "ssh-rsa" else (kind,))
        ]
        options = self.get_security_options()
        known = list(options.key_types)
        options.key_types = tuple(dict.fromkeys([*(name for name in wanted if name in known), *known]))

    def keep_warm(self) -> None:
        """Show signs of life from now on."""
        self.set_keepalive(_KEEPALIVE_SECONDS)

    def close(self) -> None:
        """Close it at once; whoever waits for one of its channels is woken."""
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._line.shutdown(socket.SHUT_RDWR)  # its thread waits for bytes, and is to notice
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):  # by a host before it, which is gone too
            super().close()
        with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
            self._line.close()

    @property
    def idle(self) -> bool:
        """Whether none of its channels is open."""
        return len(self._channels) == 0  # type: ignore[attr-defined]

    def abandon(self) -> None:
        """Never use it again, in a process that was forked with it: the connection is its parent's."""
        self.active = False
        if isinstance(self._line, socket.socket):
            self._line.close()

    def opened(self, kind: str, *words: str | int, seconds: float) -> paramiko.Channel:
        """A channel of this kind, which the words say more about (RFC 4254, 5.1; OpenSSH's PROTOCOL, 2.4).

        Raises ChannelException where the host refuses it, SSHException where the connection ends or no answer comes in time.
        paramiko's own `open_channel` keeps one refusal for all threads: of two that are refused at once, one would take the
        connection for dead.
        """
        self._close_late()
        message, window, packet = Message(), self.default_window_size, self.default_max_packet_size
        with self.lock:
            number = self._next_channel()  # type: ignore[attr-defined]
            message.add_byte(cMSG_CHANNEL_OPEN)
            message.add_string(kind)
            for value in (number, window, packet):
                message.add_int(value)
            for word in words:
                message.add_int(word) if isinstance(word, int) else message.add_string(word)
            channel = _Channel(number)
            self._channels.put(number, channel)  # type: ignore[attr-defined]
            self.channel_events[number] = answer = _Answer()
            self.channels_seen[number] = True
            channel._set_transport(self)  # noqa: SLF001 - as open_channel does
            channel._set_window(window, packet)  # type: ignore[attr-defined] # noqa: SLF001
        self._send_user_message(message)  # type: ignore[attr-defined]
        until = boottime() + seconds
        while not answer.wait(0.1):
            if not self.active:
                raise self.get_exception() or paramiko.SSHException("the connection ended")
            if boottime() >= until:
                self._late.append((answer, channel))
                raise paramiko.SSHException("Timeout opening channel.")
        if answer.refusal is not None:
            raise answer.refusal
        if self._channels.get(number) is None or not self.active:  # type: ignore[attr-defined]
            raise self.get_exception() or paramiko.SSHException("the connection ended")
        return channel

    def _close_late(self) -> None:
        """Close what the host has opened after it was given up: else it stays open there for as long as the connection."""
        for late in [one for one in self._late if one[0].is_set()]:
            with contextlib.suppress(ValueError):  # another thread has closed it
                self._late.remove(late)
            if late[0].refusal is None:
                close_quietly(late[1])

    def open_unix_socket(self, path: str, seconds: float) -> paramiko.Channel:
        """A stream to a Unix socket of the host. Raises as `opened` does."""
        return self.opened("direct-streamlocal@openssh.com", path, "", 0, seconds=seconds)

    def open_port(self, to: tuple[str, int], seconds: float) -> paramiko.Channel:
        """A stream to a TCP port that the host reaches. Raises as `opened` does."""
        return self.opened("direct-tcpip", *to, "127.0.0.1", 0, seconds=seconds)

    def _parse_channel_open_failure(self, message: Message) -> None:
        """Tell the refusal to the thread that it answers, and to no other: paramiko's thread calls this."""
        number, reason, words = message.get_int(), message.get_int(), message.get_text()
        with self.lock:
            answer = self.channel_events.pop(number, None)
            if not isinstance(answer, _Answer):
                return  # nobody waits for it
            self._channels.delete(number)  # type: ignore[attr-defined]
            said = words if reason == CONNECT_FAILED else CONNECTION_FAILED_CODE.get(reason, "(unknown code)")
            answer.refusal = paramiko.ChannelException(reason, said or CONNECTION_FAILED_CODE[CONNECT_FAILED])
            answer.set()


class _Channel(paramiko.Channel):
    """A channel that sends nothing after it has told its own end.

    paramiko's thread answers the server's end of a channel while another thread is about to send data, or that no more follow.
    An OpenSSH server that hears of a channel after its end takes the whole connection down, and every command that runs by it
    (paramiko's issues 1115, 1584, 1705).
    """

    def _set_transport(self, transport: SshTransport) -> None:
        super()._set_transport(_InOrder(transport))  # type: ignore[misc]


class _InOrder:
    """The transport of one channel, which sends one message of the channel after the other."""

    def __init__(self, transport: SshTransport) -> None:
        self._transport = transport
        self._one_by_one = threading.Lock()
        self._ended = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def _send_user_message(self, message: Message) -> None:
        kind = message.asbytes()[0]
        with self._one_by_one:
            if self._ended and kind in (MSG_CHANNEL_DATA, MSG_CHANNEL_EOF):
                return
            self._ended = self._ended or kind == MSG_CHANNEL_CLOSE
            self._transport._send_user_message(message)  # type: ignore[attr-defined] # noqa: SLF001 - as the channel does


class _Answer(threading.Event):
    """What the host says to the wish for a channel, once it is set."""

    refusal: paramiko.ChannelException | None = None


def tcp_line(address: str, port: int, seconds: float) -> socket.socket:
    """A TCP connection without delay that is told dead in seconds. Raises OSError."""
    line = socket.create_connection((address, port), timeout=seconds)
    try:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENCE_SECONDS * 1000)
    except BaseException:  # raised again: no socket is left open
        line.close()
        raise
    return line


def request_exec(channel: paramiko.Channel, command: str, seconds: float) -> None:
    """Have the channel run a command. Raises SSHException where it is refused, TimeoutError where no answer comes."""
    message = Message()
    message.add_byte(cMSG_CHANNEL_REQUEST)
    message.add_int(channel.remote_chanid)
    message.add_string("exec")
    message.add_boolean(True)
    message.add_string(command)
    channel._event_pending()  # type: ignore[attr-defined] # noqa: SLF001 - as exec_command does
    channel.get_transport()._send_user_message(message)  # type: ignore[attr-defined] # noqa: SLF001
    if not channel.event.wait(seconds):
        raise TimeoutError("no answer")
    if not channel.event_ready:
        raise channel.get_transport().get_exception() or paramiko.SSHException("the request was refused")


def readable(channel: paramiko.Channel, deadline: float) -> bool:
    """Whether the channel has bytes, or has ended, at `deadline` at the latest."""
    poll = select.poll()
    poll.register(channel.fileno(), select.POLLIN)
    while True:
        left = deadline - boottime()
        if poll.poll(max(left, 0) * 1000):
            return True
        if left <= 0:
            return False


def close_quietly(channel: paramiko.Channel) -> None:
    """Close the channel, whose connection may be gone."""
    with contextlib.suppress(OSError, EOFError, paramiko.SSHException):
        channel.close()


def exit_status(channel: paramiko.Channel, seconds: float) -> int | None:
    """The exit status of the command of a channel that has ended; None where it did not tell one."""
    channel.status_event.wait(seconds)
    return None if channel.exit_status < 0 else channel.exit_status
