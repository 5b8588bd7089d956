"""A growing log of a host: what is new in it, by one question, over rotation by rename and by copy and truncation."""

import posixpath
import secrets

from paramedic.errors import PermanentError, TemporaryError
from paramedic.kinds.log_parts import PACKED, LogPart, LogParts, LogPosition
from paramedic.text.sanitize import one_line
from paramedic.transports.ssh_connection import SshConnection
from paramedic.transports.ssh_shell import answer, quoted

#: An answer has at most so many bytes beside what is in the files.
_MORE = 65_536

# $1 the path, $2 its folder, $3 the inode, $4 the offset, $5 so many bytes, $6 what no file can have in it. What is read is held
# open from the look at its kind on; the mode of a file begins with 8.
_LOOK = """
p=$1 d=$2 i=$3 o=$4 l=$5 t=$6
part() {
{
s=$(stat -L -c '%f %i %s %Y' /proc/self/fd/0) || return 0
case $s in 8*) ;; *) return 0;; esac
s=${s#* }; z=${s#* }; z=${z% *}; b=$2
[ "$b" != end ] || b=$((z - l)); [ "$b" -ge 0 ] || b=0
printf '%s%s %s\n' "$t" "$s" "$b"
dd if=/proc/self/fd/0 bs=65536 iflag=skip_bytes,count_bytes,fullblock skip="$b" count="$l" status=none
} < "$1"
}
newest() {
n= want=$1 not=$2
for f in "$p".* "$p"-*; do
case $f in PACKED) continue;; esac
[ -f "$f" ] && [ ! -L "$f" ] || continue
set -- $(stat -c '%i %s' -- "$f")
[ "$1" != "$not" ] && [ "$2" -ge "$want" ] || continue
[ -n "$n" ] && [ ! "$f" -nt "$n" ] || n=$f
done
}
m=$(stat -L -c '%f %i %s' -- "$p" 2>&1) || { printf '%sno %s' "$t" "$m"; exit 0; }
case $m in 8*) ;; *) printf '%sno regular file' "$t"; exit 0;; esac
[ -r "$p" ] || { printf '%sno Permission denied' "$t"; exit 0; }
date "+$t"'now %s'
m=${m#* }; c=${m%% *} z=${m#* }
if [ -z "$i" ]; then
[ "$z" -ge "$l" ] || { newest 0 "$c"; [ -z "$n" ] || part "$n" end; }
part "$p" end
elif [ "$i" = "$c" ] && [ "$z" -ge "$o" ]; then part "$p" "$o"
else
if [ "$i" = "$c" ]; then newest "$o" "$c"; else n=$(find "$d" -maxdepth 1 -type f -inum "$i" 2>/dev/null | head -n 1); fi
[ -z "$n" ] || part "$n" "$o"
part "$p" 0
fi
""".replace("PACKED", "|".join(f"*{ending}" for ending in PACKED))


def parts(connection: SshConnection, path: str, after: LogPosition | None, deadline: float, limit: int) -> LogParts:
    """What is new. Raises as `Transport.log` does."""
    token = secrets.token_hex(16)
    file, offset = ("", 0) if after is None else (after.file, after.offset)
    words = quoted((path, posixpath.dirname(path) or "/", file, str(offset), str(limit), token))
    said = answer(connection, f"set -- {words}\n{_LOOK}", deadline, limit=2 * limit + _MORE)
    pieces = said.split(token.encode())[1:]
    if not pieces:
        raise TemporaryError(f"{path} cannot be read: {connection.host.name} said nothing of it")
    first = pieces[0].decode(errors="replace")
    if not first.startswith("now "):
        _no(path, first)
    return LogParts(float(first.removeprefix("now ")), tuple(_part(piece) for piece in pieces[1:]))


def _no(path: str, words: str) -> None:
    said = one_line(words.removeprefix("no "))
    if "No such file" in said:
        raise TemporaryError(f"there is no {path} just now")
    raise PermanentError(
        f"{path} is not a regular file" if said == "regular file" else f"{path} cannot be read: {said}"
    )


def _part(piece: bytes) -> LogPart:
    head, _, data = piece.partition(b"\n")
    inode, size, written_at, begin = head.decode().split()
    return LogPart(inode, int(begin), data, int(size), float(written_at))
