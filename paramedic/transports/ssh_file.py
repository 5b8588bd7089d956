"""Files of a host: the end of a log, a small file whole, the replacement of one."""

import base64
import posixpath

from paramedic.errors import PermanentError, TemporaryError
from paramedic.text.decoding import HOLE
from paramedic.transports.local_file import last_lines
from paramedic.transports.ssh_connection import SshConnection
from paramedic.transports.ssh_dialogue import Dialogue, dialogue

#: The last text is searched so many blocks before the end of a file that ends in NULs; bytes of a block.
_BLOCKS = 256
_BLOCK = 256 * 1024

# What is read is held open from the look at its kind on; `mode` is that of a file if it begins with 8.
_OPERATIONS = """
kind() { stat -L -c '%f %s' -- "$1"; }
part() {
{
s=$(stat -L -c '%f %s' /proc/self/fd/0) || return
case $s in 8*) ;; *) echo "$s"; return 0;; esac
[ "$2" -ge 0 ] && o=$2 || { o=$((${s#* } - $3)); [ "$o" -ge 0 ] || o=0; }
[ "$o" -eq 0 ] || s="$s $(dd bs=4 count=1 status=none | od -An -tx1 | tr -d ' \\n')"
echo "$s"
dd if=/proc/self/fd/0 bs=65536 iflag=skip_bytes,count_bytes,fullblock skip="$o" count="$3" status=none
} < "$1"
}
text() {
n=$1; k=0
while [ "$k" -lt "$3" ] && [ "$n" -gt 0 ]; do
n=$((n - 1)); k=$((k + 1))
[ "$(dd if="$2" bs=$4 skip="$n" count=1 status=none | tr -d '\\0' | head -c 1 | wc -c)" -eq 0 ] || { echo "$n"; return; }
done
}
swap() {
t=$(mktemp "$2/.paramedic-XXXXXXXXXX") && printf %s "$3" | base64 -d > "$t" && chmod --reference="$1" "$t" && sync "$t" &&
mv -fT -- "$t" "$1" && return; [ -z "$t" ] || rm -f -- "$t"; false
}
"""


def tail(connection: SshConnection, path: str, max_bytes: int, max_lines: int) -> str:
    """The last whole lines of a regular file. Raises as `Transport.tail` does."""
    with dialogue(connection, _OPERATIONS) as talk:
        size, head, data = _part(talk, path, -1, max_bytes)
        start = max(size - max_bytes, 0)
        if data.endswith(b"\0" * HOLE) and (end := _end_of_text(talk, path, size)) < size:
            start = max(end - max_bytes, 0)
            _, head, data = _part(talk, path, start, min(max_bytes, end - start))
    return last_lines(data, max_lines, offset=start, head=head)


def read(connection: SshConnection, path: str, limit: int) -> bytes:
    """A regular file of at most `limit` bytes. Raises as `Transport.read` does."""
    with dialogue(connection, _OPERATIONS) as talk:
        _, _, data = _part(talk, path, 0, limit + 1)
    if len(data) > limit:
        raise PermanentError(f"{path} has more than {limit:,} B")
    return data


def replace(connection: SshConnection, path: str, content: bytes) -> None:
    """Replace the regular file's content atomically; its mode stays. Raises as `Transport.replace` does."""
    with dialogue(connection, _OPERATIONS) as talk:
        try:
            _regular(path, talk.ask("kind", path))
            talk.ask("swap", path, posixpath.dirname(path) or ".", base64.b64encode(content).decode(), within=30)
        except OSError as error:
            raise PermanentError(f"{path} cannot be replaced: {error}") from error


def _part(talk: Dialogue, path: str, offset: int, count: int) -> tuple[int, bytes, bytes]:
    """The file's size, its first four bytes, and `count` bytes from the offset on; -1: those at its end."""
    try:
        _regular(path, talk.ask("kind", path))  # before it is opened: opening some devices does something
        first, _, data = talk.ask("part", path, str(offset), str(count), limit=count, within=30).partition(b"\n")
    except FileNotFoundError as error:
        raise TemporaryError(f"there is no {path} just now") from error
    except ConnectionError as error:
        raise TemporaryError(f"{path} cannot be read: {error}") from error
    except OSError as error:
        raise PermanentError(f"{path} cannot be read: {error}") from error
    size, head = _regular(path, first)
    return size, head or data[:4], data


def _regular(path: str, found: bytes) -> tuple[int, bytes]:
    """The size, and the first four bytes if they were read apart. A file of /proc has a size of 0, and content."""
    mode, size, *head = found.decode().split()
    if not mode.startswith("8"):
        raise PermanentError(f"{path} is not a regular file")
    return int(size), bytes.fromhex("".join(head))


def _end_of_text(talk: Dialogue, path: str, size: int) -> int:
    """Where the file's text ends: before the NULs that a crash, or space reserved in advance, left at its end."""
    blocks = -(-size // _BLOCK)
    found = talk.ask("text", str(blocks), path, str(_BLOCKS), str(_BLOCK), within=30).strip()
    if not found:
        return size
    begin = int(found) * _BLOCK
    _, _, block = _part(talk, path, begin, _BLOCK)
    end = begin + len(block.rstrip(b"\0"))
    return size if size - end < HOLE else end + -end % HOLE
