"""Text of unknown encoding, such as the end of a log or the output of a program."""

import codecs
import re

#: Byte order marks, the longer ones first: that of UTF-32-LE begins with that of UTF-16-LE.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

#: A run of NULs this long is a hole: a log that was truncated under its writer, or blocks that a crash left unwritten.
HOLE = 4

#: A hole with the ends of the lines around it.
_HOLE = re.compile(rf"\n?\x00{{{HOLE},}}\n?")
_HOLE_BYTES = re.compile(_HOLE.pattern.encode())

#: What logs that are not UTF-8 are written in; in the order of preference where several fit equally well.
_ENCODINGS = (
    *("cp1252", "cp1251", "cp1250", "cp932", "euc_jp", "gb18030", "big5", "cp949", "koi8_r"),
    *("cp1253", "cp1254", "cp1255", "cp1256"),
)

_UTF8_CHARACTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_REST_OF_CHARACTER = re.compile(rb"\A[\x80-\xbf]{1,3}(?=[\x00-\x7f\xc2-\xf4])")
_CONTROL = re.compile(rb"[\x01-\x08\x0e-\x1a]")
_HIGH = re.compile(rb"[\x80-\xff]")


def decode(data: bytes, *, offset: int = 0, head: bytes = b"") -> str:
    """The text of the bytes: UTF-16, UTF-32, or line by line UTF-8 and a national encoding; holes of NULs are left out.

    `offset`: where in a longer text the bytes begin; what they have of a line that began before is left out where
    another line follows. `head`: the first bytes of that longer text, which may be its byte order mark. What no encoding
    fits stays as escapes, such as `xff` after a backslash.
    """
    encoding = _wide(data[-offset % 2 :], head if offset else data)
    if encoding is None:
        return _by_lines(data, cut=offset > 0).removeprefix("\ufeff")
    text = data[-offset % (4 if "32" in encoding else 2) :].decode(encoding, "backslashreplace")
    text, cut = _HOLE.sub("\n", text), offset > 0 and not text.startswith("\x00" * HOLE)
    if cut and "\n" in text[:-1]:
        return text.partition("\n")[2]
    return text.removeprefix("\ufeff") if cut else text.removeprefix("\n").removeprefix("\ufeff")


def _wide(data: bytes, head: bytes) -> str | None:
    """The encoding, if it takes two or four bytes for a character."""
    text = _HOLE_BYTES.sub(lambda hole: b" " * (len(hole[0]) % 2), data)
    marked = next((encoding for mark, encoding in _MARKS if head.startswith(mark)), None)
    if marked is not None and (b"\x00" in text or data.startswith(head)):
        return marked  # otherwise text of another encoding was added to a file with a mark
    even, odd = text[::2].count(0), text[1::2].count(0)
    if even + odd < max(4, len(text) * 0.05) or min(even, odd) > (even + odd) / 10:
        return None  # NULs here and there are no encoding
    if even + odd < len(text) * 0.45 and _is_plain(text.replace(b"\x00", b"")):
        return None  # words that are ended by NULs, as `find -print0` writes them
    return "utf-16-le" if odd > even else "utf-16-be"


def _is_plain(data: bytes) -> bool:
    """Whether the bytes are text by themselves, as the two halves of UTF-16's characters are not."""
    return _is_utf8(data) and _CONTROL.search(data) is None


def _by_lines(data: bytes, *, cut: bool) -> str:
    """Each line in UTF-8, else in the encoding that fits those that are not."""
    begins_in_hole = data.startswith(b"\x00" * HOLE)
    data = _HOLE_BYTES.sub(b"\n", data).rstrip(b"\x00")
    if begins_in_hole or not cut:
        data = data.removeprefix(b"\n") if begins_in_hole else data
    elif b"\n" in data[:-1]:
        data = data.partition(b"\n")[2]
    else:
        data = _REST_OF_CHARACTER.sub(b"", data)
    try:
        return data.decode()
    except UnicodeDecodeError:
        lines = data.split(b"\n")
    encoding = _national(b"\n".join(line for line in lines if not _is_utf8(line))) or "utf-8"
    return "\n".join(line.decode("utf-8" if _is_utf8(line) else encoding, "backslashreplace") for line in lines)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _national(data: bytes) -> str | None:
    """The encoding of lines that are not UTF-8; None where they are UTF-8 with a few bad bytes, or no text."""
    characters = _UTF8_CHARACTER.findall(data)
    if len(_HIGH.findall(data)) - sum(map(len, characters)) <= max(len(characters), 2):
        return None
    from charset_normalizer import from_bytes  # only where a log needs it

    for begin, end in ((0, 0), (1, 0), (0, 1), (1, 1)):  # the first and the last character may be cut in two
        best = from_bytes(data[begin : len(data) - end], cp_isolation=list(_ENCODINGS)).best()
        if best is not None and best.encoding in _ENCODINGS:
            return best.encoding
    return None
