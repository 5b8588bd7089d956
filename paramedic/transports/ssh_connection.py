"""Warm SSH connections: one a host in each process, which all its threads share."""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import paramiko

from paramedic.errors import NotLetIn, PermanentError, TemporaryError, Unreachable
from paramedic.machine.clock import boottime
from paramedic.machine.open_transaction import must_be_closed
from paramedic.remediation.host import Host, SshAccess
from paramedic.remediation.reach import NO_ANSWER
from paramedic.text.sanitize import one_line
from paramedic.transports.ssh_error import from_words
from paramedic.transports.ssh_known_hosts import KnownHosts
from paramedic.transports.ssh_login import Login, logins
from paramedic.transports.ssh_paramiko import CONNECT_FAILED, SshTransport, close_quietly, tcp_line

#: So long a new connection may take, from the first byte to the login. Seconds.
_CONNECT_SECONDS = 10.0

#: A warm connection that opens no channel in this time is taken for dead. Seconds.
_CHANNEL_SECONDS = 5.0

#: Commands that run at the same time by one connection: an OpenSSH server allows 10 (MaxSessions), and jumps take none.
_SESSIONS = 8

#: So long, and so often, a server that allows no session just now is asked again. Seconds.
_REFUSED_SECONDS, _ASK_SECONDS = 2.0, 0.05

#: What paramiko says of a server that does not begin to speak SSH.
_NO_BANNER = "Error reading SSH protocol banner"
_SLOW = "its sshd answered, and the handshake did not end in time"

Opens = Callable[[SshTransport, float], paramiko.Channel]


class SshConnection:
    """The connection to one host. It is made when it is first used, and again where it is found dead."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._lock = threading.Lock()
        self._transport: SshTransport | None = None
        self._retired: list[SshTransport] = []
        self._login: Login | None = None
        self._failure: tuple[float, Unreachable | NotLetIn] | None = None
        self._sessions = threading.BoundedSemaphore(_SESSIONS)

    @property
    def _access(self) -> SshAccess:
        if self.host.ssh is None:
            raise PermanentError(f"{self.host.name} is not reached by SSH")
        return self.host.ssh

    def login(self, deadline: float) -> str:
        """Which key logged in, in words. Raises TemporaryError or PermanentError where none did."""
        self._live(deadline)
        return self._login.words if self._login is not None else ""

    @contextmanager
    def session(self, deadline: float) -> Iterator[paramiko.Channel]:
        """A channel for one command. Raises TemporaryError or PermanentError, and nothing was sent."""
        if not self._sessions.acquire(timeout=max(deadline - boottime(), 0)):
            raise TemporaryError(f"{_SESSIONS} commands of ours run on {self.host.name}, and none has ended in time")
        try:
            channel = self._session(deadline)
            try:
                yield channel
            finally:
                close_quietly(channel)
        finally:
            self._sessions.release()

    def _session(self, deadline: float) -> paramiko.Channel:
        """A channel for a command. A server counts an ended one until it has seen to it, and is asked again for a while."""
        until = min(deadline, boottime() + _REFUSED_SECONDS)
        while True:
            try:
                return self.opened(lambda transport, seconds: transport.opened("session", seconds=seconds), deadline)
            except ConnectionRefusedError as error:
                if boottime() >= until:
                    raise TemporaryError(
                        f"{error}: its sshd allows no further session (MaxSessions, or its limits)"
                    ) from error
            time.sleep(_ASK_SECONDS)

    def opened(self, opens: Opens, deadline: float) -> paramiko.Channel:
        """A channel. A connection that turns out dead is made once more: nothing was sent by it yet.

        Raises ConnectionRefusedError where the host opens no such channel, TemporaryError or PermanentError where it is not
        reached.
        """
        must_be_closed(f"{self.host.name} is asked for something")
        while True:
            transport, is_new = self._live(deadline)
            left = deadline - boottime()
            try:
                return opens(transport, max(min(left, _CHANNEL_SECONDS), 0.01))
            except paramiko.ChannelException as error:
                raise ConnectionRefusedError(f"{self.host.name} opens no channel: {one_line(error.text)}") from error
            except (paramiko.SSHException, EOFError, OSError) as error:
                self.drop(transport)
                if is_new or boottime() >= deadline:
                    raise self._unreachable(error) from error

    def reaches(self, to: tuple[str, int], deadline: float) -> str | None:
        """Why the host does not get a TCP connection to the address by `deadline`, in the words of its sshd; None where it does.

        Raises TemporaryError or PermanentError where the host cannot be asked.
        """
        try:
            close_quietly(self.port(to, deadline))
        except OSError as error:
            return error.strerror or NO_ANSWER
        return None

    def port(self, to: tuple[str, int], deadline: float) -> paramiko.Channel:
        """A stream from the host to the address, opened by `deadline`.

        Unlike `opened` it takes no silence for a dead connection: it is the address that is asked. Raises OSError as the host's
        sshd tells it, TimeoutError where no answer comes, TemporaryError or PermanentError where the host cannot be asked.
        """
        must_be_closed(f"{self.host.name} is asked for something")
        transport, _ = self._live(deadline)
        try:
            return transport.open_port(to, max(deadline - boottime(), 0.01))
        except paramiko.ChannelException as error:
            if error.code != CONNECT_FAILED:
                raise PermanentError(f"{self.host.name} opens no channel: {one_line(error.text)}") from error
            raise from_words(one_line(error.text)) from error
        except (paramiko.SSHException, EOFError, OSError) as error:
            if not transport.is_active():
                raise self._unreachable(error) from error
            raise TimeoutError(errno.ETIMEDOUT, NO_ANSWER) from error

    def drop(self, transport: SshTransport | None = None) -> None:
        """Use the connection no more, if it is still this one: it does not answer, or not in time.

        What other threads do by it may be well all the same, on a host that is only slow: it is closed when they have ended.
        """
        with self._lock:
            if self._transport is not None and transport in (None, self._transport):
                self._retired.append(self._transport)
                self._transport = None
            self._swept()

    def _swept(self) -> None:
        for retired in [one for one in self._retired if one.idle or not one.is_active()]:
            self._retired.remove(retired)
            retired.close()

    def close(self) -> None:
        """Close it, whatever is done by it."""
        with self._lock:
            for one in (*self._retired, *([self._transport] if self._transport is not None else [])):
                one.close()
            self._retired, self._transport = [], None

    def abandon(self) -> None:
        """Never use it again, in a process that was forked with it."""
        for one in (*self._retired, *([self._transport] if self._transport is not None else [])):
            one.abandon()

    def _live(self, deadline: float) -> tuple[SshTransport, bool]:
        """The connection, and whether it was made just now. Who waited while another thread failed shares its failure."""
        asked_at = boottime()
        if not self._lock.acquire(timeout=max(deadline - asked_at, 0)):
            raise Unreachable(f"{self.host} could not be reached in time")
        try:
            self._swept()
            if self._transport is not None and self._transport.is_active():
                return self._transport, False
            if self._failure is not None and self._failure[0] >= asked_at:
                raise _again(self._failure[1])
            try:
                self._transport = self._connected(min(deadline, boottime() + _CONNECT_SECONDS))
            except (TemporaryError, PermanentError) as error:
                failure = _not_reached(error)
                self._failure = (boottime(), failure)
                raise failure from error
            return self._transport, True
        finally:
            self._lock.release()

    def _connected(self, deadline: float) -> SshTransport:
        known = KnownHosts(self.host, self._access)
        keys = logins(self._access)
        try:
            transport = SshTransport(self._line(deadline), max(deadline - boottime(), 0.1))
        except (OSError, EOFError) as error:
            raise self._unreachable(error) from error
        try:
            self._shaken_hands(transport, known, deadline)
            self._login = self._logged_in(transport, keys)
            transport.keep_warm()
        except paramiko.ssh_exception.IncompatiblePeer as error:
            transport.close()
            raise PermanentError(f"{self.host} and we have no way to encrypt in common: {error}") from error
        except (paramiko.SSHException, EOFError, OSError) as error:
            transport.close()
            raise self._unreachable(error) from error
        except BaseException:  # raised again: no connection is left open
            transport.close()
            raise
        return transport

    def _line(self, deadline: float) -> "paramiko.Channel":
        access, left = self._access, max(deadline - boottime(), 0.01)
        if access.jump is None:
            return tcp_line(access.address, access.port, left)  # type: ignore[return-value] # as much of a socket
        to, by = (access.address, access.port), connection(access.jump)
        try:
            return by.opened(lambda transport, seconds: transport.open_port(to, seconds), deadline)
        except TemporaryError as error:
            raise TemporaryError(f"{self.host} is behind {access.jump.name}: {error}") from error

    @staticmethod
    def _shaken_hands(transport: SshTransport, known: KnownHosts, deadline: float) -> None:
        transport.prefer(known.kinds)
        transport.start_client(timeout=max(deadline - boottime(), 0.1))
        try:
            key = transport.get_remote_server_key()
        except paramiko.SSHException as error:  # the time was over, of which `start_client` says nothing
            raise paramiko.SSHException(_NO_BANNER if not transport.remote_version else _SLOW) from error
        known.judge(key.get_name(), key.asbytes())

    def _logged_in(self, transport: SshTransport, keys: list[Login]) -> Login:
        user, refused = self._access.user, []
        for login in keys:
            try:
                more = transport.auth_publickey(user, login.key)
            except paramiko.BadAuthenticationType as error:
                allowed = ", ".join(error.allowed_types) or "nothing"
                raise PermanentError(f"{self.host} takes no keys, but {one_line(allowed)}") from error
            except paramiko.AuthenticationException:
                refused.append(login.words)
            except (paramiko.SSHException, EOFError) as error:
                if not refused:
                    raise
                tried = f"after {len(refused) + 1} keys: name one of them, `agent: SHA256:…`"
                raise PermanentError(f"{self.host} ended the login {tried} ({one_line(str(error))})") from error
            else:
                if more:
                    raise PermanentError(f"{self.host} asks for more than a key: {one_line(', '.join(more))}")
                return login
        raise PermanentError(
            f"{self.host} lets nobody in by {' or '.join(refused)}: its user's authorized_keys does not list it, or "
            "sshd does not trust that file"
        )

    def _unreachable(self, error: Exception) -> Unreachable:
        why = one_line(str(error)) or type(error).__name__
        if why.startswith(_NO_BANNER):
            why = "what listens there took the connection and said nothing: its sshd hangs or has too many logins, or is none"
        return Unreachable(f"{self.host} cannot be reached: {why}")


def _not_reached(error: TemporaryError | PermanentError) -> Unreachable | NotLetIn:
    return (Unreachable if isinstance(error, TemporaryError) else NotLetIn)(str(error))


def _again(error: Unreachable | NotLetIn) -> Unreachable | NotLetIn:
    return type(error)(str(error))


class _Pool:
    """The connections of this process."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.connections: dict[Host, SshConnection] = {}


_pool = _Pool()


def _new_pool() -> None:
    """A forked process has connections of its own: two that write to one would break it for both."""
    global _pool  # noqa: PLW0603 - one per process
    for inherited in _pool.connections.values():
        inherited.abandon()
    _pool = _Pool()


os.register_at_fork(after_in_child=_new_pool)


def connection(host: Host) -> SshConnection:
    """The connection to the host, made or not: the same one for every thread of this process."""
    with _pool.lock:
        return _pool.connections.setdefault(host, SshConnection(host))


def close_all() -> None:
    """Close every connection of this process."""
    with _pool.lock:
        there = list(_pool.connections.values())
    for one in there:
        one.close()
