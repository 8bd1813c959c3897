"""What the readers' tests share: a document told block by block, and files that were damaged on purpose."""

import random
import zipfile
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path

import pytest

from ingest.errors import Unreadable
from ingest.read import Document

Read = Callable[[Path, bytes], Document]
STATES = {"empty", "encrypted", "failed", "skipped", "no text layer"}


def told(document: Document) -> list[tuple[str, str]]:
    """Return (locator, words) of each block, after checking that the offsets are sound."""
    end = 0
    for block in document.blocks:
        assert end <= block.start < block.end <= len(document.text)
        words = document.text[block.start : block.end]
        assert words.strip("\n") == words
        assert words.rstrip() == words
        assert block.kind in {"text", "list", "table", "code", "meta"}
        assert block.locator
        end = block.end
    document.text.encode()  # fails on a lone surrogate
    assert not set(document.text) & {"\0", "\r"}
    return [(block.locator, document.text[block.start : block.end]) for block in document.blocks]


def kinds(document: Document) -> list[str]:
    """Return the kind of each block."""
    return [block.kind for block in document.blocks]


def headings(document: Document) -> list[tuple[str, ...]]:
    """Return the headings above each block."""
    return [block.heading for block in document.blocks]


def refusal(read: Read, name: str, data: bytes) -> tuple[str, str]:
    """Return the state and the reason with which a file is refused."""
    with pytest.raises(Unreadable) as caught:
        read(Path(name), data)
    assert "\n" not in caught.value.reason
    return caught.value.state, caught.value.reason


def zipped(parts: Mapping[str, str | bytes]) -> bytes:
    """Return a zip archive of these parts."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def unzipped(data: bytes) -> dict[str, bytes]:
    """Return the parts of a zip archive."""
    with zipfile.ZipFile(BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def damaged(data: bytes, *, times: int, seed: int) -> Iterator[bytes]:
    """Yield `data` with bytes changed, cut out, doubled or inserted at random."""
    dice = random.Random(seed)
    for _ in range(times):
        mutant = bytearray(data)
        for _ in range(dice.randint(1, 8)):
            at = dice.randrange(len(mutant) + 1)
            length = dice.randint(0, 40)
            match dice.randrange(5):
                case 0:
                    mutant[at : at + length] = dice.randbytes(length)
                case 1:
                    del mutant[at : at + length]
                case 2:
                    mutant[at:at] = mutant[at : at + length] * dice.randint(1, 50)
                case 3:
                    mutant[at:at] = dice.choice(
                        [b"\0", b"\xff\xfe", b"<", b"&", b'"', b"\xed\xa0\x80", b"]]>", b"\n\n"]
                    )
                case 4 if dice.random() < 0.1:
                    del mutant[at:]
        yield bytes(mutant)


def survives(read: Read, name: str, files: Iterator[bytes]) -> int:
    """Read every file; return how many gave a sound document. All others must be refused with a reason."""
    sound = 0
    for data in files:
        try:
            told(read(Path(name), data))
            sound += 1
        except Unreadable as error:
            _expect_clear(error)
    return sound


def damaged_parts(data: bytes, *, times: int, seed: int) -> Iterator[bytes]:
    """Yield a zip archive `times` times, each time with one of its text parts damaged and its checksum right."""
    parts = unzipped(data)
    dice = random.Random(seed)
    names = [name for name in parts if name.endswith((".xml", ".rels", ".xhtml", ".opf", ".ncx"))]
    for number in range(times):
        name = dice.choice(names)
        mutant = next(damaged(parts[name], times=1, seed=seed * times + number))
        yield zipped({**parts, name: mutant})


def _expect_clear(error: Unreadable) -> None:
    assert error.state in STATES
    assert error.reason
    assert "\n" not in error.reason
