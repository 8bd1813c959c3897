"""EPUB (.epub): the chapters of a book in reading order, each read as a web page without boilerplate rules.

    META-INF/container.xml → OEBPS/content.opf: <spine><itemref idref="c1"/>…</spine> → OEBPS/c1.xhtml

A chapter is found by its place among the parts of the book that hold text, the title page included; its
title, from the table of contents, stands above it.
"""

from pathlib import Path

from ingest.errors import Unreadable
from ingest.read import Document
from ingest.read.archive import Archive, resolve
from ingest.read.compose import Draft, one_line
from ingest.read.html import decoded, flow, page
from ingest.read.markup import Element, attribute

_FONT_CIPHERS = ("http://www.idpf.org/2008/embedding", "http://ns.adobe.com/pdf/enc#RC")


def read(path: Path, data: bytes) -> Document:
    """Read a book; each block is found by its chapter."""
    archive = Archive(data, "an EPUB book")
    name, package = _package(archive)
    manifest = {attribute(item, "id"): item for item in package.iterfind("{*}manifest/{*}item")}
    spine = [
        manifest[attribute(entry, "idref")]
        for entry in package.iterfind("{*}spine/{*}itemref")
        if attribute(entry, "idref") in manifest
    ]
    parts = dict.fromkeys(
        resolve(name, attribute(item, "href")) for item in spine if "nav" not in attribute(item, "properties").split()
    )
    locked = _locked(archive)
    if parts and locked.issuperset(parts):
        raise Unreadable("encrypted", "the book is locked by its seller (DRM)")
    names = _contents(archive, name, list(manifest.values()))
    draft = Draft(title=one_line(package.findtext("{*}metadata/{*}title") or ""))
    chapter = 1
    for part in parts:
        draft.place = f"chapter {chapter}"
        laid = draft.length, len(draft.lost)
        try:
            if part in locked:
                raise Unreadable("encrypted", "locked by its seller (DRM)")
            _chapter(archive.read(part), names.get(part, ""), draft)
        except Unreadable as error:
            draft.lost.append(f"{draft.place}: {error.reason}")
        chapter += laid != (draft.length, len(draft.lost))
    draft.lost += archive.lost
    return draft.document()


def _package(archive: Archive) -> tuple[str, Element]:
    """Return the book's list of parts, and its name."""
    container = archive.xml("META-INF/container.xml", "container")
    pointer = container.find("{*}rootfiles/{*}rootfile")
    name = attribute(pointer, "full-path") or next((name for name in archive.names if name.endswith(".opf")), "")
    package = archive.xml(name, "package")
    if package.find("{*}spine") is None:
        raise Unreadable("failed", "not an EPUB book: it lists no chapters")
    return name, package


def _locked(archive: Archive) -> set[str]:
    """Return the parts that are encrypted; fonts, which are only scrambled, excepted."""
    if "meta-inf/encryption.xml" not in archive.names:
        return set()
    root = archive.xml("META-INF/encryption.xml", "encryption")
    return {
        resolve("", attribute(reference, "URI"))
        for entry in root.iter("{*}EncryptedData")
        if attribute(entry.find("{*}EncryptionMethod"), "Algorithm") not in _FONT_CIPHERS
        for reference in entry.iter("{*}CipherReference")
    }


def _contents(archive: Archive, name: str, manifest: list[Element]) -> dict[str, str]:
    """Return the chapters' titles by their part, from the table of contents of EPUB 3 or of EPUB 2."""
    names: dict[str, str] = {}
    for item in manifest:
        part = resolve(name, attribute(item, "href"))
        if "nav" in attribute(item, "properties").split():
            links = archive.xml(part, "table of contents").iter("{*}a")
            entries = [(attribute(link, "href"), "".join(link.itertext())) for link in links]
        elif attribute(item, "media-type") == "application/x-dtbncx+xml":
            entries = [
                (attribute(point.find("{*}content"), "src"), point.findtext("{*}navLabel/{*}text") or "")
                for point in archive.xml(part, "table of contents").iter("{*}navPoint")
            ]
        else:
            continue
        for target, title in entries:
            names.setdefault(resolve(part, target), one_line(title))
    return names


def _chapter(data: bytes, title: str, draft: Draft) -> None:
    root, wrong = page(decoded(data)[0])
    body = next(root.iter("{*}body"), root)
    first = next((one_line("".join(found.itertext())) for found in body.iter("{*}h1", "{*}h2", "{*}h3")), "")
    draft.leave()
    if title and first.casefold() != title.casefold() and "".join(body.itertext()).strip():
        draft.head(0, title)
    flow(body, draft)
    if wrong:
        draft.lost.append(f"{draft.place}: {wrong}")
