"""A file that is a zip inside (.docx, .pptx, .epub), checked before anything of it is expanded.

    word/document.xml             the text
    word/_rels/document.xml.rels  <Relationship Id="rId7" Type="…/footnotes" Target="footnotes.xml"/> …

Names are compared in lower case, as Office does.
"""

import re
import zipfile
import zlib
from io import BytesIO
from posixpath import dirname, join, normpath
from typing import NamedTuple
from urllib.parse import unquote

from ingest.errors import Unreadable
from ingest.read.markup import Element, attribute, nothing, xml

_MIB = 1 << 20
_ENTRIES = 20_000
_EXPANDED = 512 * _MIB
"""Most bytes that all entries may hold beyond what the file itself weighs."""
_RATIO = 100
"""Most times that a file may grow, once it holds more than `_SMALL`."""
_SMALL = 64 * _MIB
_PART = 64 * _MIB
"""Most bytes of one part that is read; as a tree it takes ten times as much memory."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How parts may be compressed: Open Packaging Conventions and EPUB allow no other way."""
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, OSError, OverflowError, RuntimeError, ValueError)
"""What zipfile raises over damaged archives."""
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OTHERS = (
    (re.compile(rb"%PDF-"), "a PDF (.pdf)"),
    (re.compile(rb"\{\\rtf"), "rich text (.rtf)"),
    (re.compile(rb"(?i)\s*<(?:!doctype html|html|head|body)"), "a web page (.html)"),
    (re.compile(rb"\s*<\?xml"), "XML"),
)
_MADE_UP = re.compile(r"(?i)powerpoint|^microsoft word|^untitled")


class Relation(NamedTuple):
    """What a part says of another one."""

    kind: str
    """The last word of its type: 'slide', 'footnotes', 'notesSlide'."""
    target: str
    """The other part's name."""


class Archive:
    """The parts of a zip-based file, read one at a time."""

    def __init__(self, data: bytes, what: str) -> None:
        """Open the archive and check what it would expand to.

        Args:
            data: The whole file.
            what: What the file should be, for the reasons given: 'a Word document'.

        Raises:
            Unreadable: It is no archive, is encrypted, or is made to do harm.
        """
        self.lost: list[str] = []
        """Parts that could not be read, with the reason."""
        if data.startswith(_OLE):
            raise _ole(data, what)
        try:
            self._zip = zipfile.ZipFile(BytesIO(data))
            entries = self._zip.infolist()
        except _DAMAGED as error:
            raise Unreadable("failed", _mistaken(data, what)) from error
        _check(entries, len(data))
        self._entries = {_plain(entry.filename): entry for entry in entries}

    @property
    def names(self) -> list[str]:
        """Every part's name, in lower case, in the order of the archive."""
        return list(self._entries)

    def read(self, name: str) -> bytes:
        """Return one part's bytes; names are compared without regard to case.

        Raises:
            Unreadable: The part is missing, too large, or damaged.
        """
        entry = self._entries.get(_plain(name))
        if entry is None:
            raise Unreadable("failed", f"{_shown(name)} is missing")
        if entry.file_size > _PART:
            raise Unreadable("failed", f"{_shown(name)} would take {entry.file_size // _MIB} MiB")
        try:
            if entry.compress_type not in _METHODS:
                raise zipfile.BadZipFile
            return self._zip.read(entry)
        except _DAMAGED as error:
            raise Unreadable("failed", f"{_shown(name)} is damaged") from error

    def xml(self, name: str, label: str) -> Element:
        """Return the root of an XML part, `nothing()` where it can't be read.

        Args:
            name: The part; '' where there is none, which is no loss.
            label: What `lost` calls it if it can't be read, or not to its end: 'slide 3'.
        """
        try:
            root, wrong = xml(self.read(name)) if name else (nothing(), "")
        except Unreadable as error:
            root, wrong = nothing(), error.reason
        if wrong:
            self.lost.append(f"{label}: {wrong}" + ("; read as far as it goes" if len(root) else ""))
        return root

    def related(self, name: str) -> dict[str, Relation]:
        """Return what a part of an Office file points to, by relationship id; '' is the file itself."""
        folder, _, base = name.rpartition("/")
        rels = join(folder, "_rels", f"{base}.rels")
        known = _plain(rels) in self._entries
        root = self.xml(rels if known else "", f"relationships of {_shown(name) or 'the file'}")
        return {
            attribute(entry, "Id"): Relation(
                attribute(entry, "Type").rpartition("/")[2], resolve(name, attribute(entry, "Target"))
            )
            for entry in root.iter("{*}Relationship")
            if attribute(entry, "TargetMode") != "External"
        }

    def main(self, usual: str) -> str:
        """Return the name of an Office file's main part; `usual` where the file does not tell."""
        return next((to.target for to in self.related("").values() if to.kind == "officeDocument"), usual)

    def title(self) -> str:
        """Return the title among an Office file's properties; '' for none, or one that Office made up."""
        name = "docprops/core.xml" if "docprops/core.xml" in self._entries else ""
        title = self.xml(name, "document properties").findtext("{*}title") or ""
        return "" if _MADE_UP.search(title) else title


def resolve(base: str, target: str) -> str:
    """Return the name of the part that `target`, as written in the part `base`, leads to."""
    return normpath(join("/", dirname(base), unquote(target.partition("#")[0]))).lstrip("/")


def _plain(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").lower()


def _shown(name: str) -> str:
    return re.sub(r"[^\x20-\x7e]", "?", name)[:80]


def _check(entries: list[zipfile.ZipInfo], size: int) -> None:
    expanded = sum(entry.file_size for entry in entries)
    if len(entries) > _ENTRIES:
        raise Unreadable("failed", f"{len(entries)} files in one archive; {_ENTRIES} are the most that are read")
    if expanded - size > _EXPANDED or (expanded > _SMALL and expanded > _RATIO * size):
        raise Unreadable("failed", f"a decompression bomb: {size} bytes would become {expanded}")
    for entry in entries:
        name = entry.filename.replace("\\", "/")
        if name.startswith("/") or ".." in name.split("/") or re.match(r"[A-Za-z]:", name):
            raise Unreadable("failed", f"a path that leaves the archive: {_shown(name)}")
    if any(entry.flag_bits & 1 for entry in entries):
        raise Unreadable("encrypted", "protected by a password; save a copy without one")


def _ole(data: bytes, what: str) -> Unreadable:
    """Tell an encrypted Office file from one of the binary formats before 2007: both are OLE containers."""
    if "EncryptedPackage".encode("utf-16-le") in data:
        return Unreadable("encrypted", "protected by a password; save a copy without one")
    return Unreadable("failed", f"not {what}, but a binary Office file from before 2007; save it in the new format")


def _mistaken(data: bytes, what: str) -> str:
    if data.startswith(b"PK"):
        return f"not {what}: the archive is cut off or damaged"
    other = next((name for pattern, name in _OTHERS if pattern.match(data[:1024])), "")
    return f"not {what}, but {other}; give it the right suffix" if other else f"not {what}: no zip archive"
