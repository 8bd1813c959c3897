"""A page is drawn with its quote marked; what can't be drawn hurts nobody."""

from io import BytesIO
from pathlib import Path

import fpdf
import pytest

from ui.web import draw
from ui.web.draw import Box, find, lines, page_picture


@pytest.fixture(scope="module")
def pdf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = fpdf.FPDF()
    made.set_font("helvetica", size=12)
    for page in ("The first page says little.", "Sharding splits the parameters over all the workers."):
        made.add_page()
        made.multi_cell(60, text=page)
    path = tmp_path_factory.mktemp("pdf") / "a.pdf"
    made.output(str(path))
    return path


def test_a_quote_is_found_whatever_the_line_breaks_and_ligatures() -> None:
    page = "A fi\u0301rst line. The ef-\nfi\u00adcient way\r\nis here."
    assert "".join(page[at] for at in find("efficient  way is", page)) == "efficientwayis"


def test_a_quote_of_which_half_stands_there_is_marked_as_far_as_it_goes() -> None:
    page = "one two three four five"
    assert "".join(page[at] for at in find("two three four SIX", page)) == "twothreefour"


def test_a_quote_that_is_elsewhere_is_not_marked() -> None:
    assert find("something else entirely", "one two three four five") == []
    assert find("", "one") == []


def test_letters_of_a_line_become_one_box() -> None:
    letters = [Box(0, 10, 5, 20), Box(5, 11, 9, 19), Box(9, 9, 12, 20), Box(0, 0, 5, 8)]
    assert lines(letters) == [Box(0, 9, 12, 20), Box(0, 0, 5, 8)]


def test_the_quoted_words_are_marked_on_the_page(pdf: Path) -> None:
    from PIL import Image

    plain, marked = page_picture(pdf, 2, "not on this page"), page_picture(pdf, 2, "splits the parameters over")
    assert plain is not None
    assert marked is not None
    assert (plain.found, marked.found) == (False, True)
    assert marked.width == draw.WIDTH
    yellow = [
        pixel
        for _, pixel in Image.open(BytesIO(marked.webp)).convert("RGB").getcolors(1 << 20) or ()
        if pixel[0] > 230 and pixel[1] > 200 and pixel[2] < 190  # type: ignore[index]
    ]
    assert yellow


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7 nothing", b"\x00" * 1000])
def test_what_is_no_pdf_is_not_drawn(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.pdf").write_bytes(content)
    assert page_picture(tmp_path / "bad.pdf", 1, "x") is None


def test_a_page_that_is_not_there_is_not_drawn(pdf: Path) -> None:
    assert page_picture(pdf, 3, "x") is None


def test_a_page_that_takes_too_long_is_given_up(pdf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draw, "SECONDS", 0.01)
    assert page_picture(pdf, 1, "x") is None
