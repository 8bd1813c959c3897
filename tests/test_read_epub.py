from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from types import MappingProxyType

from ingest.read.epub import read
from tests.readings import damaged, damaged_parts, headings, refusal, survives, told, zipped

NAME = Path("book.epub")
CONTAINER = '<container><rootfiles><rootfile full-path="OEBPS/content.opf"/></rootfiles></container>'
NCX = '<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/>'
FONTS = "http://www.idpf.org/2008/embedding"
AES = "http://www.w3.org/2001/04/xmlenc#aes256-cbc"


def chapter(body: str) -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml">'
        f'<head><title/><script src="x.js"/></head><body>{body}</body></html>'
    )


def book(
    chapters: dict[str, str],
    contents: Mapping[str, str] = MappingProxyType({}),
    parts: Mapping[str, str | bytes] = MappingProxyType({}),
) -> bytes:
    """Return an EPUB 2 book of these chapters, by file name, and of this table of contents."""
    points = "".join(
        f'<navPoint><navLabel><text>{title}</text></navLabel><content src="{name}"/></navPoint>'
        for name, title in contents.items()
    )
    items = "".join(f'<item id="{name}" href="{name.replace(" ", "%20")}"/>' for name in chapters)
    spine = "".join(f'<itemref idref="{name}"/>' for name in chapters)
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": CONTAINER,
            "OEBPS/content.opf": '<package xmlns="http://www.idpf.org/2007/opf"><metadata '
            'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Sharding in Practice</dc:title></metadata>'
            f"<manifest>{NCX}{items}</manifest>"
            f"<spine>{spine}</spine></package>",
            "OEBPS/toc.ncx": f'<!DOCTYPE ncx PUBLIC "x" "x.dtd"><ncx><navMap>{points}</navMap></ncx>',
            **{f"OEBPS/{name}": chapter(body) for name, body in chapters.items()},
            **parts,
        }
    )


def test_chapters_are_read_in_the_order_of_the_spine_below_their_title() -> None:
    data = book(
        {
            "cover.xhtml": '<img src="cover.jpg"/>',
            "z first.xhtml": "<p>Why shard</p><p>Memory&nbsp;ends.</p><nav>Kept, it is a book.</nav>",
            "a second.xhtml": "<h1>How to shard</h1><p>By rank.</p><h2>Stages</h2><ul><li>One</li></ul>",
        },
        {"cover.xhtml": "Cover", "z%20first.xhtml#start": "1 Why shard", "a%20second.xhtml": "How to shard"},
    )
    document = read(NAME, data)

    assert document.title == "Sharding in Practice"
    assert told(document) == [
        ("chapter 1", "Why shard"),
        ("chapter 1", "Memory ends."),
        ("chapter 1", "Kept, it is a book."),
        ("chapter 2", "By rank."),
        ("chapter 2", "- One"),
    ]
    assert headings(document) == [
        ("1 Why shard",),
        ("1 Why shard",),
        ("1 Why shard",),
        ("How to shard",),
        ("How to shard", "Stages"),
    ]
    assert document.lost == ()


def test_the_contents_of_epub_3_name_the_chapters_and_are_not_read() -> None:
    navigation = '<nav><ol><li><a href="c1.xhtml"><span>One</span></a></li></ol></nav>'
    package = (
        '<package><manifest><item id="n" href="nav.xhtml" properties="nav"/>'
        '<item id="c" href="c1.xhtml"/></manifest>'
        '<spine><itemref idref="n"/><itemref idref="c"/></spine></package>'
    )
    data = book(
        {"c1.xhtml": "<p>Text.</p>"},
        parts={"OEBPS/content.opf": package, "OEBPS/nav.xhtml": chapter(navigation)},
    )
    document = read(NAME, data)

    assert told(document) == [("chapter 1", "Text.")]
    assert headings(document) == [("One",)]


def test_a_missing_chapter_loses_that_chapter() -> None:
    parts = {"OEBPS/b.xhtml": b"\0\1\2\3" * 1000}
    data = book({"a.xhtml": "<p>A.</p>", "b.xhtml": "", "c.xhtml": "<p>C.</p>"}, parts=parts)
    document = read(NAME, data)

    assert told(document) == [("chapter 1", "A."), ("chapter 3", "C.")]
    assert document.lost == ("chapter 2: binary data, not text",)


def test_a_chapter_that_is_listed_twice_is_read_once() -> None:
    package = (
        '<package><manifest><item id="c" href="c.xhtml"/></manifest>'
        "<spine>" + '<itemref idref="c"/>' * 1000 + "</spine></package>"
    )

    assert told(read(NAME, book({"c.xhtml": "<p>C.</p>"}, parts={"OEBPS/content.opf": package}))) == [
        ("chapter 1", "C.")
    ]


def test_a_locked_book_is_encrypted_and_scrambled_fonts_are_not() -> None:
    def encryption(cipher: str, part: str) -> str:
        return (
            f'<encryption><EncryptedData><EncryptionMethod Algorithm="{cipher}"/>'
            f'<CipherData><CipherReference URI="{part}"/></CipherData></EncryptedData></encryption>'
        )

    chapters = {"c1.xhtml": "<p>Text.</p>"}
    locked = book(chapters, parts={"META-INF/encryption.xml": encryption(AES, "OEBPS/c1.xhtml")})
    fonts = book(chapters, parts={"META-INF/encryption.xml": encryption(FONTS, "OEBPS/font.otf")})

    assert refusal(read, "a.epub", locked) == ("encrypted", "the book is locked by its seller (DRM)")
    assert told(read(NAME, fonts)) == [("chapter 1", "Text.")]


def test_an_archive_that_is_no_book_is_refused() -> None:
    assert refusal(read, "a.epub", zipped({"a.txt": "x"})) == (
        "failed",
        "not an EPUB book: it lists no chapters",
    )


def test_whatever_is_damaged_the_result_is_a_document_or_a_reason() -> None:
    data = book({"a.xhtml": "<h1>A</h1><p>Text.</p>" * 5, "b.xhtml": "<p>B.</p>"}, {"a.xhtml": "A", "b.xhtml": "B"})
    mutants = chain(damaged(data, times=100, seed=6), damaged_parts(data, times=100, seed=7))

    assert survives(read, "book.epub", mutants) > 50
