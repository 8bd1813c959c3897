"""PowerPoint (.pptx, .pptm): slides in the order of the show, hidden ones too, from the file's own XML.

    <p:sp>…<p:ph type="title"/>…<p:txBody><a:p><a:r><a:t>Sharding</a:t></a:r></a:p></p:txBody></p:sp>

A slide's title is its heading; frames, tables, charts and diagrams follow from the top left to the bottom
right, then the speaker's notes. Dates, footers and slide numbers are dropped.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import TypeAlias

from ingest.errors import Unreadable
from ingest.read import Document
from ingest.read.archive import Archive, Relation
from ingest.read.compose import WINGDINGS, Draft, one_line, raised, table_text
from ingest.read.markup import Element, attribute, local, nothing, whole
from ingest.read.maths import formula

_SHAPES = {"sp", "grpSp", "graphicFrame", "cxnSp"}
_DROPPED = {"dt", "ftr", "hdr", "sldNum", "sldImg"}
_ROW = 180_000
"""How far apart, in EMU (0.5 cm), the tops of two shapes may be that stand side by side."""
_HOLDER = "*/{*}nvPr/{*}ph"
_Corner: TypeAlias = tuple[int, int]
"""Left and top, in EMU."""
_BELOW = (1 << 40, 1 << 40)
"""Where a shape without a position stands."""
_SLIDE = re.compile(r"ppt/slides/slide(\d{1,6})\.xml")


def read(path: Path, data: bytes) -> Document:
    """Read a presentation; each block is found by its slide."""
    archive = Archive(data, "a PowerPoint presentation")
    slides = _slides(archive)
    if not slides:
        raise Unreadable("failed", "not a PowerPoint presentation: no slide in it")
    draft = Draft()
    layout = cache(partial(_layout, archive))
    for number, part in enumerate(slides, 1):
        draft.place = f"slide {number}"
        _Slide(archive, part, draft, layout).read(archive.xml(part, draft.place))
    draft.lost += archive.lost
    return draft.document(title=archive.title() or draft.first)


def _slides(archive: Archive) -> list[str]:
    """Return the names of the slides in order; by their numbers where the presentation does not tell."""
    main = archive.main("ppt/presentation.xml")
    root = archive.xml(main, "list of slides")
    related = archive.related(main)
    listed = [_relation(entry, related) for entry in root.iterfind("{*}sldIdLst/{*}sldId")]
    slides = [to.target for to in listed if to]
    found = [(int(match[1]), name) for name in archive.names if (match := _SLIDE.fullmatch(name))]
    return list(dict.fromkeys(slides)) or [name for _, name in sorted(found)]


def _relation(element: Element, related: dict[str, Relation], name: str = "id") -> Relation | None:
    """Return what an element points to; a slide has an `id` of its own beside the relationship's `r:id`."""
    values = [value for key, value in element.attrib.items() if key.endswith(f"}}{name}")]
    return related.get(values[0]) if values else None


class _Slide:
    """One slide on its way into a draft."""

    def __init__(self, archive: Archive, part: str, draft: Draft, layout: Callable[[str], dict[str, _Corner]]) -> None:
        self._archive = archive
        self._draft = draft
        self._related = archive.related(part)
        self._layout = layout

    def read(self, root: Element) -> None:
        """Lay the slide's title, its shapes and its notes."""
        shapes = list(self._ordered(root.find("{*}cSld/{*}spTree")))
        self._draft.leave()
        titles = [shape for shape in shapes if _placeholder(shape)[0] in ("title", "ctrTitle")]
        for shape in titles:
            name = one_line("\n".join(line for _, line in _lines(shape)))
            if _placeholder(shape)[0] == "ctrTitle":
                self._draft.title = self._draft.title or name
            self._draft.head(1, name)
        for shape in shapes:
            if shape not in titles:
                self._shape(shape)
        self._notes()

    def _ordered(self, tree: Element | None) -> Iterator[Element]:
        """Yield the shapes of a tree, groups opened, as one reads: rows from the top, each from the left."""
        shapes = [] if tree is None else [(self._corner(shape), shape) for shape in _shapes(tree)]
        shapes.sort(key=lambda placed: placed[0][1])
        row: list[tuple[_Corner, Element]] = []
        rows = [row]
        for placed in shapes:
            if row and placed[0][1] - row[0][0][1] > _ROW:
                row = []
                rows.append(row)
            row.append(placed)
        for row in rows:
            for _, shape in sorted(row, key=lambda placed: placed[0][0]):
                if local(shape) == "grpSp":
                    yield from self._ordered(shape)
                else:
                    yield shape

    def _corner(self, shape: Element) -> _Corner:
        """Return the corner of a shape; a placeholder's own, or the one that the layout gives it."""
        own = _offset(shape)
        if own is None and shape.find(_HOLDER) is not None:
            layout = next((to.target for to in self._related.values() if to.kind == "slideLayout"), "")
            kind, index = _placeholder(shape)
            own = self._layout(layout).get(index or kind)
        return own or _BELOW

    def _shape(self, shape: Element) -> None:
        kind, index = _placeholder(shape)
        table = shape.find("{*}graphic/{*}graphicData/{*}tbl")
        if kind in _DROPPED:
            return
        if table is not None:
            self._draft.add(table_text([_row(row) for row in table.iterfind("{*}tr")]), "table")
        elif local(shape) == "graphicFrame":
            self._graphic(shape)
        else:
            lines = list(_lines(shape))
            listed = len(lines) > 1 and (kind in ("body", "obj") or bool(index and not kind))
            if listed or any(bullet for bullet, _ in lines):
                self._draft.add("\n".join(f"{bullet or '- '}{line}" for bullet, line in lines), "list")
            else:
                self._draft.add("\n".join(line for _, line in lines))

    def _graphic(self, frame: Element) -> None:
        """Lay a chart or a diagram, which is a part of its own."""
        for pointer in frame.iter("{*}chart", "{*}relIds"):
            name = "id" if local(pointer) == "chart" else "dm"
            to = _relation(pointer, self._related, name)
            root = self._archive.xml(to.target, f"{to.kind} on {self._draft.place}") if to else nothing()
            if name == "id":
                _chart(root, self._draft)
            else:
                points = ["".join(_words(point)) for point in root.iter("{*}pt")]
                self._draft.add("\n".join(f"- {one_line(point)}" for point in points if point.strip()), "list")

    def _notes(self) -> None:
        part = next((to.target for to in self._related.values() if to.kind == "notesSlide"), "")
        for shape in self._archive.xml(part, f"notes of {self._draft.place}").iter("{*}sp"):
            if _placeholder(shape)[0] == "body":
                lines = "\n".join(line for _, line in _lines(shape))
                self._draft.add(f"Notes: {lines}" if lines.strip() else "")


def _layout(archive: Archive, part: str) -> dict[str, _Corner]:
    """Return where a layout, or its master, puts its placeholders; by their index, or their type."""
    related = archive.related(part) if part else {}
    master = next((to.target for to in related.values() if to.kind == "slideMaster"), "")
    above = {_placeholder(shape)[0]: _offset(shape) for shape in archive.xml(master, "slide master").iter("{*}sp")}
    corners = {}
    for shape in archive.xml(part, "slide layout").iter("{*}sp"):
        kind, index = _placeholder(shape)
        general = "title" if kind == "ctrTitle" else kind
        corner = _offset(shape) or above.get(general) or above.get("body")
        if corner:
            corners[index or kind] = corner
    return corners


def _shapes(tree: Element) -> Iterator[Element]:
    for child in tree:
        if local(child) in _SHAPES:
            yield child
        elif local(child) == "AlternateContent":
            yield from (shape for shape in (child[0] if len(child) else ()) if local(shape) in _SHAPES)


def _placeholder(shape: Element) -> tuple[str, str]:
    """Return a placeholder's type and index, both '' for a shape that is none."""
    holder = shape.find(_HOLDER)
    return attribute(holder, "type"), attribute(holder, "idx")


def _offset(shape: Element) -> _Corner | None:
    offset = next(
        (found for path in ("*/{*}xfrm/{*}off", "{*}xfrm/{*}off") if (found := shape.find(path)) is not None),
        None,
    )
    try:
        return None if offset is None else (int(attribute(offset, "x")), int(attribute(offset, "y")))
    except ValueError:
        return None


def _lines(shape: Element) -> Iterator[tuple[str, str]]:
    """Yield the paragraphs of a shape that hold text: a list item's mark, or '', and the text."""
    for paragraph in shape.iterfind("{*}txBody/{*}p"):
        text = "".join(_words(paragraph)).strip()
        properties = paragraph.find("{*}pPr")
        level = attribute(properties, "lvl")
        marked = properties is not None and any(local(mark) in ("buChar", "buAutoNum") for mark in properties)
        if text:
            depth = int(level) if level in {*"12345678"} else 0
            yield ("  " * depth + "- " if depth or marked else ""), text


def _words(element: Element) -> Iterator[str]:
    for child in element:
        match local(child):
            case "t" if not len(child):  # a diagram has a longer t around its paragraphs
                yield (child.text or "").translate(WINGDINGS)
            case "br":
                yield "\n"
            case "oMath":
                yield formula(child)
            case "r" if attribute(child.find("{*}rPr"), "baseline")[:1] in {*"123456789"}:
                yield raised("".join(_words(child)))
            case name if name and name not in ("pPr", "Fallback"):
                yield from _words(child)


def _row(row: Element) -> list[str]:
    return ["".join(_words(cell)) if cell.find("{*}txBody") is None else _cell(cell) for cell in row.iterfind("{*}tc")]


def _cell(cell: Element) -> str:
    return "\n".join(line for _, line in _lines(cell))


def _chart(root: Element, draft: Draft) -> None:
    """Lay a chart's title, and its figures as a table: a row for each category, a column for each series."""
    title = root.find("{*}chart/{*}title")
    draft.add("" if title is None else one_line("".join(_words(title))))
    series = list(root.iter("{*}ser"))
    names = [" ".join(entry.itertext("{*}v")) for ser in series for entry in ser.iterfind("{*}tx")]
    columns = [_points(ser, "val", "yVal") for ser in series]
    labels = next((found for ser in series if (found := _points(ser, "cat", "xVal"))), {})
    rows = sorted({at for column in [labels, *columns] for at in column})
    draft.add(
        table_text(
            [
                ["", *names],
                *([labels.get(at, ""), *(column.get(at, "") for column in columns)] for at in rows),
            ]
        ),
        "table",
    )


def _points(series: Element, *names: str) -> dict[int, str]:
    """Return the figures or labels that a chart keeps of its sheet, by their place."""
    return {
        at: point.findtext("{*}v") or ""
        for name in names
        for point in series.iterfind(f"{{*}}{name}//{{*}}pt")
        if (at := whole(attribute(point, "idx"), -1)) >= 0
    }
