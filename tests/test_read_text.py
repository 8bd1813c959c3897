from pathlib import Path

import pytest

from ingest.read.text import decode, read
from tests.readings import damaged, refusal, survives, told

NAME = Path("a.txt")
FRENCH = "Les élèves étudient à Orléans, où le cœur de l’été est doré."


def test_paragraphs_are_blocks_found_by_their_first_line() -> None:
    document = read(NAME, b"one\ntwo\n\n\n  three  \n\t\nfour")
    assert told(document) == [("line 1", "one\ntwo"), ("line 5", "three"), ("line 7", "four")]
    assert (document.title, document.remark) == ("", "")


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_newlines_of_every_system_are_one(newline: str) -> None:
    assert read(NAME, f"a{newline}{newline}b{newline}".encode()).text == "a\n\nb\n"


@pytest.mark.parametrize(
    ("data", "text", "remark"),
    [
        (FRENCH.encode(), FRENCH, ""),
        (FRENCH.encode("utf-8-sig"), FRENCH, ""),
        (FRENCH.encode("utf-16"), FRENCH, ""),
        (FRENCH.encode("utf-16-le"), FRENCH, ""),
        (FRENCH.encode("utf-16-be"), FRENCH, ""),
        (FRENCH.encode("utf-32"), FRENCH, ""),
        (FRENCH.encode("windows-1252"), FRENCH, "not UTF-8 (byte 4), read as windows-1252"),
        (b"plain text\x00 with one NUL", "plain text\ufffd with one NUL", ""),
        ("日本語のノート".encode(), "日本語のノート", ""),
        (
            "naïve 🦓 ".encode() * 9 + b"\xff",
            "naïve 🦓 " * 9 + "\ufffd",
            "damaged utf-8 (byte 108): 1 characters replaced",
        ),
    ],
)
def test_the_encoding_is_told_from_the_bytes(data: bytes, text: str, remark: str) -> None:
    assert decode(data) == (text, remark)


def test_an_old_encoding_is_read_with_a_remark() -> None:
    russian = "Нейронная сеть состоит из слоёв, и каждый слой умножает вход на матрицу весов. " * 5
    text, remark = decode(russian.encode("windows-1251"))
    assert text == russian
    assert remark == "not UTF-8 (byte 0), read as cp1251"


@pytest.mark.parametrize(
    "data", [bytes(range(256)) * 40, b"\x7fELF\x02\x01\x01" + bytes(200), b"\x89PNG\r\n\x1a\n" + bytes(range(32)) * 9]
)
def test_binary_data_is_refused(data: bytes) -> None:
    assert refusal(read, "a.txt", data) == ("failed", "binary data, not text")


def test_white_space_alone_has_no_block() -> None:
    assert read(NAME, b" \n\t\n\n").blocks == ()


def test_offsets_count_code_points() -> None:
    document = read(NAME, "🦓🦓\n\né".encode())
    assert [(block.start, block.end) for block in document.blocks] == [(0, 2), (4, 5)]


def test_damaged_bytes_are_read_soundly_or_refused_in_one_line() -> None:
    assert survives(read, "a.txt", damaged(FRENCH.encode() * 20, times=300, seed=1)) > 200
