"""What a log or an output says, whatever it is written in."""

import codecs
import random

import pytest

from paramedic.text.decoding import decode

LINES = {
    "utf-8": "2026-11-29 10:00 FEHLER: Verbindungen erschöpft, 200 von 200\n",
    "cp1252": "2026-11-29 10:00 FEHLER: Überlauf, Verbindungen für Größe erschöpft\n",
    "cp1250": "2026-11-29 10:00 CHYBA: vyčerpáno připojení, příliš žluťoučký kůň\n",
    "cp1251": "2026-11-29 10:00 ОШИБКА: пул соединений исчерпан, занято 200 из 200\n",
    "koi8_r": "2026-11-29 10:00 ОШИБКА: пул соединений исчерпан, занято 200 из 200\n",
    "cp1253": "2026-11-29 10:00 ΣΦΑΛΜΑ: εξαντλήθηκαν οι συνδέσεις\n",
    "cp1256": "2026-11-29 10:00 خطأ: تم استنفاد تجمع الاتصالات\n",
    "shift_jis": "2026-11-29 10:00 エラー: 接続プールが枯渇しました 200/200\n",
    "euc_jp": "2026-11-29 10:00 エラー: 接続プールが枯渇しました 200/200\n",
    "gb18030": "2026-11-29 10:00 错误：连接池已用尽，两百个连接全部被占用\n",
    "big5": "2026-11-29 10:00 錯誤：連線集區已用盡，兩百個連線全部使用中\n",
    "cp949": "2026-11-29 10:00 오류: 연결 풀이 고갈되었습니다 200/200\n",
}
WIDE = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig")


@pytest.mark.parametrize("encoding", LINES)
def test_a_national_encoding_is_found_wherever_the_text_is_cut(encoding: str) -> None:
    line = LINES[encoding]
    whole = ("plain words before it\n" * 20 + line * 300).encode(encoding)
    assert decode(whole).endswith(line * 300)
    for offset in range(5000, 5004):
        shown = decode(whole[offset:], offset=offset)
        assert shown == line * shown.count("\n")
        assert len(shown) > 5000


@pytest.mark.parametrize("encoding", LINES)
def test_one_long_line_that_is_cut_inside_a_character_is_read(encoding: str) -> None:
    words = LINES[encoding].strip() + " "
    whole = (words * 400).encode(encoding)
    for offset in range(5000, 5004):
        shown = decode(whole[offset:-1], offset=offset)
        assert words * 50 in shown


@pytest.mark.parametrize("encoding", WIDE)
@pytest.mark.parametrize("words", ["utf-8", "cp1251", "gb18030"])
def test_wide_text_is_found_by_its_mark_or_its_nuls(encoding: str, words: str) -> None:
    line = LINES[words]
    whole = (line * 300).encode(encoding)
    assert decode(whole) == line * 300
    for offset in range(5000, 5004):
        shown = decode(whole[offset:], offset=offset, head=whole[:4])
        assert shown == line * shown.count("\n")
        assert len(shown) > 3000


def test_each_line_has_its_own_encoding() -> None:
    mixed = [LINES["utf-8"].encode(), LINES["cp1251"].encode("cp1251"), b"plain\n"] * 5
    assert decode(b"".join(mixed)) == (LINES["utf-8"] + LINES["cp1251"] + "plain\n") * 5


def test_lines_added_to_a_file_with_a_mark_in_another_encoding_are_read_as_they_are() -> None:
    assert decode(b"plain words\n" * 9, offset=40, head=codecs.BOM_UTF16_LE + b"a\0") == "plain words\n" * 8


@pytest.mark.parametrize("encoding", ["utf-8", "cp1251", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("offset", [0, 64])
def test_a_hole_of_nuls_before_the_text_is_no_text(encoding: str, offset: int) -> None:
    lines = LINES["cp1251"] * 2
    assert decode(bytes(16_000) + lines.encode(encoding), offset=offset) == lines


def test_a_hole_between_two_lines_leaves_two_lines() -> None:
    assert decode(b"before" + bytes(4096) + b"after\n") == "before\nafter\n"
    assert decode(b"before\n" + bytes(4096) + b"after\n" + bytes(4096)) == "before\nafter\n"
    assert decode(b"cut off" + bytes(4096) + b"after\nlast\n", offset=7) == "after\nlast\n"
    assert decode(bytes(4096)) == ""


def test_what_is_no_text_is_escaped_and_no_encoding_is_made_up_for_it() -> None:
    assert decode(b"abc\0def\0g\n") == "abc\0def\0g\n"
    assert decode("häuser\n".encode() * 3 + b"\xff\xfe\n") == "häuser\n" * 3 + "\\xff\\xfe\n"
    noise = random.Random(7).randbytes(4000).replace(b"\0", b"").replace(b"\n", b"")
    assert decode(noise).count("\\x") > 1000
