"""A citation → the place in the note that it leads to: the text around the quote, and the page where there is one."""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ingest.chunk import chunk_id
from ingest.ledger import Note
from ingest.shelf import Shelf
from ui.web.draw import page_picture
from ui.web.render import escaped, remark

_BACK = '<button type="button" class="button back" data-do="back">Back</button>'
AROUND = 1500
"""Code points of the note that are shown on either side of a quote."""


def source_html(shelf: Shelf, citation: Mapping[str, Any], passages: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return the panel of one citation.

    Args:
        shelf: The notes.
        citation: As in `Answer.as_json`, or a passage of it.
        passages: Those of the answer: what stands in for the text of a note that has changed since.
    """
    path, start, end = str(citation["path"]), int(citation["start"]), int(citation["end"])
    passage = next(
        (one for one in passages if one["path"] == path and one["start"] <= start and end <= one["end"]), citation
    )
    quote = str(citation.get("quote") or passage["text"])
    now = shelf.ledger.note(path)
    text = shelf.ledger.text(str(passage.get("version", "")))
    parts = [_head(citation)]
    if now is None:
        parts.append(remark("This note is gone since; what stands here was kept with the answer."))
    elif now.version != passage.get("version"):
        parts.append(remark("This note has changed since the answer; this is what it said then."))
    elif page := re.fullmatch(r"page (\d+)", str(citation["locator"])):
        parts.append(_page(shelf, path, int(page[1]), quote))
    if text is not None and text[start:end] == quote:
        parts.append(_around(text, start, end))
    else:
        text = str(passage.get("text", quote))
        at = text.find(quote)
        parts.append(_around(text, max(at, 0), max(at, 0) + len(quote) if at >= 0 else 0))
    return f'<section class="source" aria-label="Source">{"".join(parts)}</section>'


def note_html(shelf: Shelf, path: str, place: str = "") -> str:
    """Return a whole note to read: its stored text, as citations count it.

    Args:
        shelf: The notes.
        path: Which note.
        place: Where to begin, as a locator tells it ('§ Sharding', 'page 3', '00:12:31'); empty: at the top.
    """
    note = shelf.ledger.note(path)
    text = shelf.ledger.text(note.version) if note and note.version else None
    if note is None or text is None:
        why = f"{note.state}: {note.reason}" if note else "it is not there"
        return f'<section class="source">{remark(f"{path} can’t be shown ({why}).")}</section>'
    page = re.fullmatch(r"page (\d+)", place)
    picture = _page(shelf, path, int(page[1]), "") if page else ""
    start, end = _passage(shelf, note, place) if place else (0, 0)
    marked = f'<mark id="quote">{escaped(text[start:end])}</mark>' if end > start else ""
    body = f'<div class="text" tabindex="0">{escaped(text[:start])}{marked}{escaped(text[end:])}</div>'
    where = f"<span> · {escaped(place)}</span>" if place else ""
    head = f"<header>{_BACK}<h3>{escaped(path)}{where}</h3></header>"
    return f'<section class="source" aria-label="Note">{head}{picture}{body}</section>'


def _head(citation: Mapping[str, Any]) -> str:
    heading = escaped(str(citation.get("heading") or ""))
    under = f'<p class="heading">{heading}</p>' if heading else ""
    number = f'<span class="chip">{citation["n"]}</span> ' if citation.get("n") else ""
    title = f"{escaped(str(citation['path']))}<span> · {escaped(str(citation['locator']))}</span>"
    return f"<header>{_BACK}<h3>{number}{title}</h3>{under}</header>"


def _passage(shelf: Shelf, note: Note, place: str) -> tuple[int, int]:
    """Return first and past code point of the note's first passage at a place; (0, 0) where it has none there."""
    chunks = shelf.view().fetch([chunk_id(note.path, note.version, n) for n in range(note.chunks)])
    for chunk in sorted(chunks, key=lambda one: one.start):
        for n, there in enumerate(chunk.places):
            if there.locator == place:
                end = chunk.places[n + 1].start if n + 1 < len(chunk.places) else chunk.end
                return max(there.start, chunk.start), end
    return 0, 0


def _page(shelf: Shelf, path: str, page: int, quote: str) -> str:
    file = (shelf.notes / path).resolve()
    if file.suffix.lower() != ".pdf" or not file.is_relative_to(shelf.notes):
        return ""
    picture = page_picture(file, page, quote)
    if picture is None:
        return remark("The page can’t be drawn; its text follows.")
    data = base64.b64encode(picture.webp).decode()
    marked = "" if not quote else ", the quote marked" if picture.found else "; the quote could not be located on it"
    return (
        f'<img class="page" src="data:image/webp;base64,{data}" width="{picture.width}" height="{picture.height}" '
        f'alt="Page {page} of {escaped(path)}{marked}">'
    )


def _around(text: str, start: int, end: int) -> str:
    first, last = max(0, start - AROUND), min(len(text), end + AROUND)
    before = text[first:start]
    if first:
        before = "…" + before[before.find("\n") + 1 :] if "\n" in before else "…" + before
    after = text[end:last] + ("…" if last < len(text) else "")
    marked = f'<mark id="quote">{escaped(text[start:end])}</mark>' if end > start else ""
    # No character between the tags: the text is shown with its own spaces and line breaks.
    return f'<div class="text" tabindex="0">{escaped(before)}{marked}{escaped(after)}</div>'
