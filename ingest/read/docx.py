"""Word (.docx, .docm): headings, paragraphs, lists, tables, notes and text boxes, from the file's own XML.

    <w:p><w:pPr><w:pStyle w:val="berschrift1"/></w:pPr><w:r><w:t>Sharding</w:t></w:r></w:p>

What was deleted with changes tracked is dropped and what was inserted is kept; headers, footers, comments and
the table of contents are dropped. Before the first heading a block is found by its paragraph, empty ones not
counted.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import Unreadable
from ingest.read import Document
from ingest.read.archive import Archive
from ingest.read.compose import SYMBOL, WINGDINGS, Draft, one_line, raised, table_text
from ingest.read.markup import Element, attribute, local, whole
from ingest.read.maths import formula

_HEADING = re.compile(
    r"(?:heading|titre|überschrift|berschrift|título|ttulo|titolo|kop|rubrik|overskrift|otsikko|nagłówek|nagwek"
    r"|nadpis|заголовок|标题|見出し)\s*([1-9])"
)
"""Style names, lower case. Word drops umlauts from the id of a localized style, whose name is 'heading 1'."""
_CODE = re.compile(r"code|preformatted|listing")
_CONTENTS = re.compile(r"toc\s*(?:\d|heading)|table of contents")
_TITLES = {"title", "titel", "titre", "título", "ttulo", "titolo"}
_DROPPED = {
    "pPr", "rPr", "sectPr", "del", "moveFrom", "instrText", "delText", "delInstrText", "rt", "Fallback",
}  # fmt: skip


@dataclass(frozen=True)
class _Style:
    """What a style says of a paragraph; inherited from the style it is based on."""

    name: str
    level: int = 0
    """Of the heading, 1 to 9; 0 is no heading."""
    list_id: str = ""
    list_level: int = 0


def read(path: Path, data: bytes) -> Document:
    """Read a Word document; each block knows its heading."""
    archive = Archive(data, "a Word document")
    main = archive.main("word/document.xml")
    root = archive.xml(main, "document")
    body = root.find("{*}body")
    if body is None:
        reason = archive.lost[-1] if archive.lost else f"not a Word document: its main part is <{local(root)}>"
        raise Unreadable("failed", reason)
    reading = _Reading(archive, main)
    reading.body(body)
    reading.draft.lost += archive.lost
    return reading.draft.document(title=archive.title())


class _Reading:
    """One document on its way into a draft."""

    def __init__(self, archive: Archive, main: str) -> None:
        parts = {to.kind: to.target for to in archive.related(main).values()}
        self.draft = Draft()
        self._styles = _styles(archive.xml(parts.get("styles", ""), "styles"))
        self._formats = _formats(archive.xml(parts.get("numbering", ""), "numbering"))
        self._notes = {
            (kind, attribute(note, "id")): note
            for kind in ("footnote", "endnote")
            for note in archive.xml(parts.get(f"{kind}s", ""), f"{kind}s")
        }
        self._numbers: Counter[tuple[str, int]] = Counter()
        self._paragraphs = 0
        self._group: list[str] = []
        """Lines of the list or listing that is being read."""
        self._group_kind = ""
        self._place = ""
        self._cited: list[str] = []
        """Footnotes that wait for the end of the block that cites them."""
        self._count = 0
        self._boxes: list[Element] = []

    def body(self, container: Element) -> None:
        """Read all paragraphs and tables of the body, a text box or a cell."""
        for element in _flow(container):
            if local(element) == "p":
                self._paragraph(element)
            elif local(element) == "tbl":
                self._table(element)
            elif local(element) == "altChunk":
                self.draft.lost.append("an embedded file: a part in another format is not read")
        self._close()

    def _paragraph(self, paragraph: Element) -> None:
        earlier, self._cited = self._cited, []
        text = "".join(self._words(paragraph)).rstrip()
        cited, self._cited = self._cited, earlier
        boxes, self._boxes = self._boxes, []
        if text.strip():
            self._paragraphs += 1
            self._put(text, paragraph.find("{*}pPr"))
        self._cited += cited
        if not self._group:
            self._close()
        for box in boxes:
            self.body(box)

    def _put(self, text: str, properties: Element | None) -> None:
        style = self._style(properties)
        item = self._item(properties, style)
        if _CONTENTS.match(style.name):
            return
        if style.name in _TITLES or style.level:
            self._close()
            if style.name in _TITLES and not self.draft.title:
                self.draft.title = one_line(text)
            self.draft.head(style.level, text)
        elif item or _CODE.search(style.name):
            kind = "list" if item else "code"
            if kind != self._group_kind:
                self._close()
                self._group_kind, self._place = kind, self._here()
            self._group.append(item + text.strip().replace("\n", " ") if item else text)
        else:
            self._close()
            self.draft.add(text, place=self._here())

    def _here(self) -> str:
        return "" if self.draft.headed else f"paragraph {self._paragraphs}"

    def _close(self) -> None:
        """End the list or listing, and lay the footnotes that were cited."""
        if self._group:
            self.draft.add("\n".join(self._group), self._group_kind, self._place)
        self._group, self._group_kind = [], ""
        cited, self._cited = self._cited, []
        for note in cited:
            self.draft.add(note, place=self._here())

    def _style(self, properties: Element | None) -> _Style:
        if properties is None:
            return _Style("")
        name = attribute(properties.find("{*}pStyle"), "val")
        style = self._styles.get(name) or _named(name)
        outline = attribute(properties.find("{*}outlineLvl"), "val")
        if outline.isdecimal():
            return _Style(style.name, (whole(outline, 9) + 1) % 10, style.list_id, style.list_level)
        return style

    def _item(self, properties: Element | None, style: _Style) -> str:
        """Return what stands before a list item, '' for a paragraph that is none."""
        if properties is None or style.level:
            return ""
        list_id = attribute(properties.find("{*}numPr/{*}numId"), "val") or style.list_id
        if list_id in ("", "0"):
            return ""
        level = min(whole(attribute(properties.find("{*}numPr/{*}ilvl"), "val"), style.list_level), 8)
        for deeper in range(level + 1, 9):
            del self._numbers[list_id, deeper]
        self._numbers[list_id, level] += 1
        form = self._formats.get((list_id, level), "bullet")
        return "  " * level + ("- " if form in ("bullet", "none") else f"{self._numbers[list_id, level]}. ")

    def _words(self, element: Element) -> Iterator[str]:
        """Yield the text under an element; text boxes and notes met on the way are set aside."""
        for child in element:
            match local(child):
                case "t":
                    yield child.text or ""
                case "tab" | "ptab":
                    yield "\t"
                case "br" | "cr":
                    yield "\n"
                case "sym":
                    yield _symbol(child)
                case "noBreakHyphen":
                    yield "-"
                case "oMath":
                    yield formula(child)
                case "footnoteReference" | "endnoteReference":
                    yield self._cite(local(child).removesuffix("Reference"), attribute(child, "id"))
                case "txbxContent":
                    self._boxes.append(child)
                case "r" if attribute(child.find("{*}rPr/{*}vertAlign"), "val") == "superscript":
                    yield raised("".join(self._words(child)))
                case name if name and name not in _DROPPED:
                    yield from self._words(child)

    def _cite(self, kind: str, key: str) -> str:
        note = self._notes.pop((kind, key), None)
        if note is None:
            return ""
        self._count += 1
        mark = f"[{self._count}]"
        self._cited.append(f"{mark} {one_line(self._all_words(note))}")
        return mark

    def _all_words(self, container: Element) -> str:
        """Return the text of all paragraphs under an element, nested tables included, a line each."""
        return "\n".join("".join(self._words(paragraph)) for paragraph in _paragraphs(container))

    def _table(self, table: Element) -> None:
        rows = [row for row in _flow(table) if local(row) == "tr" and row.find("{*}trPr/{*}del") is None]
        cells = [[cell for cell in _flow(row) if local(cell) == "tc"] for row in rows]
        self._close()
        if max(map(len, cells), default=0) < 2:  # a frame around text, not a table
            for cell in (cell for row in cells for cell in row):
                self.body(cell)
            return
        self._paragraphs += sum(1 for _ in _paragraphs(table))
        self.draft.add(table_text([self._row(row) for row in cells]), "table", self._here())
        self._close()
        boxes, self._boxes = self._boxes, []
        for box in boxes:
            self.body(box)

    def _row(self, cells: list[Element]) -> list[str]:
        texts = []
        for cell in cells:
            span = whole(attribute(cell.find("{*}tcPr/{*}gridSpan"), "val"), 1)
            texts += [self._all_words(cell).strip(), *[""] * (min(span, 63) - 1)]
        return texts


def _flow(container: Element) -> Iterator[Element]:
    """Yield the children of a body, table or row, looking through the wrappers that Word puts around them."""
    for child in container:
        if local(child) in ("sdt", "sdtContent", "customXml", "smartTag", "ins", "moveTo"):
            yield from _flow(child)
        elif local(child) == "AlternateContent":
            yield from _flow(child[0] if len(child) else child)
        else:
            yield child


def _paragraphs(container: Element) -> Iterator[Element]:
    """Yield all paragraphs under an element, those in text boxes excepted: their paragraph brings them."""
    for child in _flow(container):
        if local(child) == "p":
            yield child
        else:
            yield from _paragraphs(child)


def _symbol(element: Element) -> str:
    """Return a character of a symbol font."""
    font = {"Symbol": SYMBOL, "Wingdings": WINGDINGS}.get(attribute(element, "font"), {})
    code = attribute(element, "char")
    return font.get(int(code, 16), "") if re.fullmatch("[0-9A-Fa-f]{4}", code) else ""


def _named(name: str) -> _Style:
    """Return what a style's name alone tells."""
    name = name.lower()
    heading = _HEADING.fullmatch(name)
    return _Style(name, int(heading[1]) if heading else 0)


def _styles(root: Element) -> dict[str, _Style]:
    """Return the paragraph styles by their id."""
    found = {attribute(style, "styleId"): style for style in root.iter("{*}style")}
    styles: dict[str, _Style] = {}

    def resolve(key: str, depth: int) -> _Style:
        if key in styles or key not in found or depth > 20:  # styles that are based on each other
            return styles.get(key, _Style(""))
        above = resolve(attribute(found[key].find("{*}basedOn"), "val"), depth + 1)
        own = _named(attribute(found[key].find("{*}name"), "val") or key)
        outline = attribute(found[key].find("{*}pPr/{*}outlineLvl"), "val")
        level = own.level or ((whole(outline, 9) + 1) % 10 if outline else above.level)
        numbering = found[key].find("{*}pPr/{*}numPr")
        list_id = "" if numbering is None else attribute(numbering.find("{*}numId"), "val")
        list_level = 0 if numbering is None else whole(attribute(numbering.find("{*}ilvl"), "val"), 0)
        styles[key] = _Style(own.name, level, list_id or above.list_id, list_level or above.list_level)
        return styles[key]

    for key in found:
        resolve(key, 0)
    return styles


def _formats(root: Element) -> dict[tuple[str, int], str]:
    """Return the number format of each list and level: 'bullet', 'decimal', 'lowerLetter' …"""
    abstract = {
        attribute(scheme, "abstractNumId"): {
            whole(attribute(level, "ilvl"), 0): attribute(level.find("{*}numFmt"), "val")
            for level in scheme.iterfind("{*}lvl")
        }
        for scheme in root.iterfind("{*}abstractNum")
    }
    return {
        (attribute(entry, "numId"), level): form
        for entry in root.iterfind("{*}num")
        for level, form in abstract.get(attribute(entry.find("{*}abstractNumId"), "val"), {}).items()
    }
