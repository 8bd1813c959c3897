import random
import struct
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from ingest.errors import Unreadable
from ingest.read import docx, epub, pptx
from ingest.read.archive import Archive, resolve
from tests.readings import Read, refusal, survives, zipped

READERS = {"a.docx": docx.read, "a.pptx": pptx.read, "a.epub": epub.read}
MIB = 1 << 20


def refused(data: bytes) -> tuple[str, str]:
    with pytest.raises(Unreadable) as caught:
        Archive(data, "a Word document")
    return caught.value.state, caught.value.reason


def test_a_bomb_is_refused_before_it_is_expanded() -> None:
    bomb = zipped({f"word/{number}.xml": b" " * (32 * MIB) for number in range(3)})

    assert refused(bomb) == ("failed", f"a decompression bomb: {len(bomb)} bytes would become {96 * MIB}")


def test_a_bomb_of_overlapping_entries_is_refused() -> None:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("kernel", b" " * (8 * MIB))
        archive.filelist += [archive.filelist[0]] * 200  # all of them are the same bytes

    assert refused(buffer.getvalue())[1].startswith("a decompression bomb: ")


def test_a_part_that_is_too_large_or_lies_about_its_size_is_not_read() -> None:
    noise = random.Random(0).randbytes(MIB)  # so that all of it together is no bomb
    large = Archive(zipped({"word/document.xml": b" " * (65 * MIB), "picture.png": noise}), "x")
    data = bytearray(zipped({"a.xml": b"<a/>" * 1000}))
    at = data.rindex(b"PK\x01\x02") + 24
    data[at : at + 4] = (10).to_bytes(4, "little")

    for archive, name in ((large, "word/document.xml"), (Archive(bytes(data), "x"), "a.xml")):
        with pytest.raises(Unreadable, match=r"would take 65 MiB|is damaged"):
            archive.read(name)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 99])
def test_a_part_that_is_compressed_as_no_office_file_is_counts_as_damaged(method: int) -> None:
    data = bytearray(zipped({"word/document.xml": "<a/>"}))
    at = data.rindex(b"PK\x01\x02") + 10
    data[at : at + 2] = method.to_bytes(2, "little")

    with pytest.raises(Unreadable, match=r"^word/document\.xml is damaged$"):
        Archive(bytes(data), "x").read("word/document.xml")


def test_a_part_that_is_said_to_lie_beyond_any_file_is_damaged() -> None:
    data = zipped({"a.xml": "<a/>"})
    at, far = data.rindex(b"PK\x01\x02"), struct.pack("<HHQ", 1, 8, 1 << 63)  # its place, in 64 bits
    entry, end = bytearray(data[at : at + 51]), bytearray(data[at + 51 :])
    entry[30:32], entry[42:46] = len(far).to_bytes(2, "little"), b"\xff" * 4
    end[12:16] = (len(entry) + len(far)).to_bytes(4, "little")

    with pytest.raises(Unreadable, match=r"^a\.xml is damaged$"):
        Archive(data[:at] + entry + far + end, "x").read("a.xml")


def test_a_directory_that_is_damaged_anywhere_ends_in_a_document_or_a_reason() -> None:
    data = zipped({"word/document.xml": "<document><body><p><r><t>Words.</t></r></p></body></document>"})
    directory, dice = data.index(b"PK\x01\x02"), random.Random(34)

    def flipped() -> bytes:
        mutant = bytearray(data)
        for _ in range(dice.randint(1, 4)):
            mutant[dice.randrange(directory, len(data))] = dice.choice((0, 1, 12, 14, 255, dice.randrange(256)))
        return bytes(mutant)

    assert survives(docx.read, "a.docx", (flipped() for _ in range(2000))) > 100


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "word\\..\\..\\x", "C:\\x.xml", "a/../../b"])
def test_a_path_that_leaves_the_archive_is_refused(name: str) -> None:
    state, reason = refused(zipped({"word/document.xml": "<a/>", name: "x"}))

    assert state == "failed"
    assert reason.startswith("a path that leaves the archive: ")


def test_too_many_entries_are_refused() -> None:
    assert refused(zipped({str(number): "" for number in range(20_001)})) == (
        "failed",
        "20001 files in one archive; 20000 are the most that are read",
    )


@pytest.mark.parametrize("name", READERS)
def test_every_format_names_the_state_of_what_it_cannot_read(name: str) -> None:
    read: Read = READERS[name]
    ole = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
    encrypted = bytearray(zipped({"word/document.xml": "<a/>"}))
    encrypted[encrypted.rindex(b"PK\x01\x02") + 8] |= 1
    password = ("encrypted", "protected by a password; save a copy without one")

    assert refusal(read, name, ole + "EncryptedPackage".encode("utf-16-le")) == password
    assert refusal(read, name, bytes(encrypted)) == password
    assert refusal(read, name, ole)[1].endswith(
        ", but a binary Office file from before 2007; save it in the new format"
    )
    assert refusal(read, name, zipped({"word/document.xml": "<a/>"})[:-30])[1].endswith("is cut off or damaged")
    assert refusal(read, name, zipped({}))[0] == "failed"
    assert refusal(read, name, b"{\\rtf1}")[1].endswith("but rich text (.rtf); give it the right suffix")
    assert refusal(read, name, b"nothing")[1].endswith(": no zip archive")


def test_names_are_found_whatever_their_case_and_slashes() -> None:
    archive = Archive(zipped({"Word\\Document.XML": "<a/>"}), "x")

    assert archive.read("word/document.xml") == b"<a/>"


def test_targets_are_resolved_from_the_part_that_names_them() -> None:
    assert resolve("ppt/slides/slide1.xml", "../notesSlides/notes%201.xml#x") == "ppt/notesSlides/notes 1.xml"
    assert resolve("ppt/slides/slide1.xml", "/ppt/a.xml") == "ppt/a.xml"
    assert resolve("", "word/document.xml") == "word/document.xml"
    assert resolve("a.xml", "../../../etc/passwd") == "etc/passwd"


def test_only_the_suffix_decides_and_the_name_is_not_opened() -> None:
    assert refusal(docx.read, "/nowhere/at/all.docx", b"x") == ("failed", "not a Word document: no zip archive")
    assert not Path("/nowhere").exists()
