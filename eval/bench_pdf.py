"""How many words of a PDF are read right, beside pypdf and PDFium alone, on PDFs whose text is known.

Pages are laid out word by word, as TeX and Word do it, so that no space stands between the words; in one column
or two, plain or with what print has and notes lack: ligatures and words broken at the line's end.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

from eval import bench_notes
from eval.bench_measure import Place, Row, apart

STYLES = (
    ("one column", 1, False, False),
    ("two columns", 2, False, False),
    ("ligatures and broken words", 1, True, True),
    ("two columns, ligatures and broken words", 2, True, True),
)
"""Name, columns, ligatures, words broken at the line's end."""
_WORD = re.compile(r"[^\W_]+")
_LIGATURES = (("fi", "\xae"), ("fl", "\xaf"))
"""As Adobe's StandardEncoding has them."""


def pdf_text(place: Place) -> Iterator[Row]:
    """Read the same pages three ways."""
    for name, ours, pypdf, pdfium in apart(shares, place):
        yield Row(
            f"PDF, right words, {place.sizes.pages} pages: {name}",
            f"{ours:.2%}",
            f"pypdf alone {pypdf:.2%}, PDFium alone {pdfium:.2%}",
            f"{ours / pypdf:.3f}" if pypdf else "",
            "as many as pypdf",
            ours >= pypdf,
        )


def shares(place: Place) -> list[tuple[str, float, float, float]]:
    """Return for each style the share of right words: ours, pypdf's, PDFium's."""
    import pypdf
    import pypdfium2

    from ingest.read.pdf import read

    found = []
    for name, columns, ligatures, breaks in STYLES:
        data, words = make(place.sizes.pages, columns=columns, ligatures=ligatures, breaks=breaks, seed=5)
        ours = read(Path("notes.pdf"), data).text
        alone = "\n".join(page.extract_text() for page in pypdf.PdfReader(BytesIO(data)).pages)
        pdfium = "\n".join(page.get_textpage().get_text_bounded() for page in pypdfium2.PdfDocument(data))
        found.append((name, right(ours, words), right(alone, words), right(pdfium, words)))
    return found


def right(text: str, words: Counter[str]) -> float:
    """Return the share of the words that stand in a text, each as often as it should."""
    return (Counter(_WORD.findall(text.lower())) & words).total() / words.total()


def make(pages: int, *, columns: int, ligatures: bool, breaks: bool, seed: int) -> tuple[bytes, Counter[str]]:
    """Return a PDF of so many pages, and the words that stand in it."""
    from fpdf import FPDF

    dice = random.Random(seed)
    pdf = FPDF(format="A4")
    pdf.set_auto_page_break(False)
    words: Counter[str] = Counter()
    size, gap = 10, 8
    width = (pdf.epw - gap * (columns - 1)) / columns
    for _ in range(pages):
        pdf.add_page()
        pdf.set_font("Times", size=size)
        for column in range(columns):
            left = pdf.l_margin + column * (width + gap)
            y = pdf.t_margin
            while y < pdf.eph - 20:
                text = bench_notes.paragraph(dice, 500).encode("ascii", "ignore").decode()
                text = re.sub(r"['`*_\[\]()]", "", text)
                words.update(_WORD.findall(text.lower()))
                y = _paragraph(pdf, text.split(), left, y, width, ligatures, breaks) + size * 0.3
    data = bytes(pdf.output())
    # As long as before, so that the offsets of the cross-reference table stay true.
    return data.replace(b"/Encoding /WinAnsiEncoding", b"/Encoding/StandardEncoding"), words


def _paragraph(
    pdf: object, words: list[str], left: float, y: float, width: float, ligatures: bool, breaks: bool
) -> float:
    """Lay words out one by one; return where the next line begins."""
    from fpdf import FPDF

    assert isinstance(pdf, FPDF)
    x, space, height = left, pdf.get_string_width(" "), pdf.font_size * 1.25

    def put(word: str) -> float:
        shown = word
        for plain, joined in _LIGATURES if ligatures else ():
            shown = shown.replace(plain, joined)
        pdf.text(x, y + height, shown)
        return float(pdf.get_string_width(shown))

    for word in words:
        room = left + width - x
        if pdf.get_string_width(word) > room:
            half = len(word) // 2
            if (
                breaks
                and word.isalpha()
                and word.islower()
                and len(word) > 7
                and pdf.get_string_width(word[:half] + "-") < room
            ):
                put(word[:half] + "-")
                word = word[half:]
            x, y = left, y + height
        x += put(word) + space
    return float(y + height)
