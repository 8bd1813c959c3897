"""A page of a PDF → a picture with a quote marked on it.

Drawing runs PDFium over a file that anybody may have made, so it runs in a process of its own, with limits; this
module is both sides: `page_picture` asks, `python -m ui.web.draw` draws.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from io import BytesIO
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

SECONDS = 8
"""Longest time for a page."""
MEMORY = 1 << 30
WIDTH = 1000
"""Of the picture, in pixels."""
_MOST_HEIGHT = 4000


class Picture(NamedTuple):
    """A drawn page."""

    webp: bytes
    width: int
    height: int
    found: bool
    """Whether the quote was found on the page, and is marked."""


class Box(NamedTuple):
    """A rectangle in points, from the lower left corner."""

    left: float
    bottom: float
    right: float
    top: float


def page_picture(path: Path, page: int, quote: str) -> Picture | None:
    """Return page `page` (from 1) of a PDF with `quote` marked; None where it can't be drawn."""
    request = json.dumps({"path": str(path), "page": page, "quote": quote})
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "ui.web.draw"],
            input=request.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
            check=True,
            cwd=Path(__file__).resolve().parents[2],
        )
        head, _, body = done.stdout.partition(b"\n")
        width, height, found = json.loads(head)
    except (subprocess.SubprocessError, OSError, ValueError):
        return None
    return Picture(body, int(width), int(height), bool(found))


def letters(text: str) -> tuple[str, list[int]]:
    """Return the letters and digits of a text in lower case, and where each stood: what two readers agree on."""
    kept = [(lower, at) for at, letter in enumerate(text) for lower in letter.casefold() if lower.isalnum()]
    return "".join(lower for lower, _ in kept), [at for _, at in kept]


def find(quote: str, page_text: str) -> list[int]:
    """Return the places of a quote's letters in a page's text; none where it is not there.

    Where the readers disagree about a word in it, its longest run of words that is there counts, if that is half.
    """
    haystack, places = letters(page_text)
    words = [letters(word)[0] for word in quote.split()]
    ends = list(accumulate(map(len, words)))
    whole = "".join(words)
    best: tuple[int, int] = (0, 0)
    first = 0
    while first < len(words) and len(whole) - (ends[first - 1] if first else 0) > best[1]:
        start = ends[first - 1] if first else 0
        low, high = first, len(words)  # how many words from `first` on are found together
        while low < high:
            middle = (low + high + 1) // 2
            if whole[start : ends[middle - 1]] in haystack:
                low = middle
            else:
                high = middle - 1
        length = (ends[low - 1] if low > first else start) - start
        if length > best[1]:
            best = (haystack.index(whole[start : start + length]), length)
        first += 1
    at, length = best
    return places[at : at + length] if length and 2 * length >= len(whole) else []


def lines(boxes: Sequence[Box]) -> list[Box]:
    """Return one box per line from those of its letters."""
    found: list[Box] = []
    for box in boxes:
        last = found[-1] if found else None
        if last and box.bottom < last.top and box.top > last.bottom and box.left >= last.left - 1:
            found[-1] = Box(last.left, min(last.bottom, box.bottom), max(last.right, box.right), max(last.top, box.top))
        else:
            found.append(box)
    return found


def _draw(path: str, page_number: int, quote: str) -> tuple[bytes, int, int, bool]:
    import pypdfium2
    from PIL import ImageDraw

    page = pypdfium2.PdfDocument(path)[page_number - 1]
    width, height = page.get_size()
    scale = min(WIDTH / width, _MOST_HEIGHT / height)
    text_page = page.get_textpage()
    text = text_page.get_text_range()
    # PDFium counts UTF-16 code units, Python code points.
    units = [0, *accumulate(2 if ord(letter) > 0xFFFF else 1 for letter in text)]
    boxes = lines([Box(*text_page.get_charbox(units[at])) for at in find(quote, text)])
    picture = page.render(scale=scale).to_pil().convert("RGB")
    marker = ImageDraw.Draw(picture, "RGBA")
    for box in boxes:
        corners = (box.left, height - box.top, box.right, height - box.bottom)
        left, top, right, bottom = (side * scale for side in corners)
        marker.rectangle((left - 2, top - 2, right + 2, bottom + 2), fill=(255, 214, 0, 90), outline=(180, 120, 0, 200))
    stream = BytesIO()
    picture.save(stream, "WEBP", quality=82)
    return stream.getvalue(), picture.width, picture.height, bool(boxes)


def main() -> None:
    """Answer one request: JSON on stdin; a line of JSON and the picture on stdout."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    limit = MEMORY if hard == resource.RLIM_INFINITY else min(MEMORY, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    request: dict[str, Any] = json.load(sys.stdin)
    picture, width, height, found = _draw(request["path"], request["page"], request["quote"])
    sys.stdout.buffer.write(json.dumps([width, height, found]).encode() + b"\n" + picture)


if __name__ == "__main__":
    main()
