import os
import random
import re
import time
from pathlib import Path

import fpdf
import pytest

from ingest.errors import Unreadable
from ingest.read import Document
from ingest.read.child import OCR
from ingest.read.pdf import pages, read
from ingest.read.worker import Workers
from tests import pdfs
from tests.readings import STATES, headings, kinds, refusal, told

ROOT = Path(__file__).resolve().parent.parent
FIRST = "The first page has a line that is long enough to be judged."
SECOND = "The second page has another line, just as long as the first."
THIRD = "The third page ends the file with a line of the same length."
THREE = pdfs.document(*map(pdfs.line, (FIRST, SECOND, THIRD)))


def written(*texts: str) -> bytes:
    """Return a file made by fpdf2 with a page for each text, in paragraphs."""
    file = fpdf.FPDF()
    file.set_font("Helvetica", size=11)
    for text in texts:
        file.add_page()
        file.multi_cell(0, 6, text, align="L")
    return bytes(file.output())


def by(data: bytes) -> list[str]:
    """Return which library gave each page's text."""
    return [part["by"] for part in pages(data) if part.get("last")]


def parsed(data: bytes) -> Document:
    """Return a file's document, read in this process."""
    return read(Path("notes.pdf"), data)


def test_what_stands_on_a_page_is_found_there() -> None:
    document = parsed(THREE)
    assert document.text == f"{FIRST}\n\n{SECOND}\n\n{THIRD}"
    assert told(document) == [("page 1", FIRST), ("page 2", SECOND), ("page 3", THIRD)]
    assert (document.lost, document.remark, document.title) == ((), "", "")
    assert by(THREE) == ["pypdf", "pypdf", "pypdf"]


def test_a_long_text_becomes_paragraphs_with_its_broken_words_whole() -> None:
    text = "A paragraph that is wrapped over the lines of the page by the program that made it. " * 3
    document = parsed(
        written(f"{text}\n\nThe second is distri-\nbuted over two lines, as state-of-the-\nart ones are.")
    )
    assert [words[:20] for _, words in told(document)] == ["A paragraph that is ", "The second is distri"]
    assert told(document)[1][1] == "The second is distributed\nover two lines, as state-of-the-art\nones are."


def test_a_table_is_kept_together() -> None:
    file = fpdf.FPDF()
    file.set_font("Helvetica", size=11)
    file.add_page()
    file.multi_cell(0, 6, "Before the table there is a sentence that takes up most of the width of the page here.")
    rows = [("Card", "Memory (GB)", "TB/s"), ("A100", "80", "2.0"), ("H100", "80", "3.35"), ("H200", "141", "4.8")]
    with file.table() as table:
        for row in rows:
            table.row(row)
    document = parsed(bytes(file.output()))
    assert kinds(document) == ["text", "table"]
    assert told(document)[1][1] == "Card Memory (GB) TB/s\nA100 80 2.0\nH100 80 3.35\nH200 141 4.8"


def test_columns_are_read_one_after_the_other() -> None:
    file = fpdf.FPDF()
    file.set_font("Helvetica", size=11)
    file.add_page()
    with file.text_columns(ncols=2, gutter=8, text_align="L") as columns:
        columns.write(text=" ".join(f"word{number}" for number in range(900)))
    numbers = [int(number) for number in re.findall(r"word(\d+)", parsed(bytes(file.output())).text)]
    assert numbers == list(range(900))


def test_bookmarks_and_metadata_give_headings_and_title() -> None:
    data = pdfs.rewritten(THREE, title="A Course in Sharding", outline=[("Basics", 0), ("Practice", 2)])
    document = parsed(data)
    assert document.title == "A Course in Sharding"
    assert headings(document) == [("Basics",), ("Basics",), ("Practice",)]


@pytest.mark.parametrize("damage", [b"\xff" * 20, b"\0\0", bytes(range(60))[::-1]])
def test_one_bad_page_of_five_loses_only_that_page(damage: bytes) -> None:
    lines = [f"Page {number} holds this sentence, which nobody will damage." for number in range(1, 6)]
    data = bytearray(pdfs.document(*(pdfs.deflated(pdfs.line(line)) for line in lines)))
    at = [match.end() for match in re.finditer(rb"stream\n(?=x)", data)][2]
    data[at : at + len(damage)] = damage
    document = parsed(bytes(data))
    assert told(document) == [(f"page {number}", lines[number - 1]) for number in (1, 2, 4, 5)]
    assert [lost.split(": ")[:2] for lost in document.lost] == [["page 3", "damaged"]]


def test_a_page_that_is_missing_in_the_file_is_lost_and_the_next_keep_their_numbers() -> None:
    data = THREE.replace(b"/Kids[5 0 R 7 0 R 9 0 R]", b"/Kids[5 0 R 3 0 R 9 0 R]")
    document = parsed(data)
    assert told(document) == [("page 1", FIRST), ("page 3", THIRD)]
    assert document.lost == ("page 2: damaged: Failed to load page.",)
    assert by(data) == ["pypdf", "", "pypdf"]


def test_a_page_that_pypdf_can_not_parse_is_read_by_pdfium() -> None:
    data = pdfs.document(pdfs.line(FIRST), pdfs.line(SECOND) + b" ]", pdfs.line(THIRD))
    assert [words for _, words in told(parsed(data))] == [FIRST, SECOND, THIRD]
    assert by(data) == ["pypdf", "PDFium", "pypdf"]


def test_a_page_that_pypdf_reads_badly_is_read_by_pdfium() -> None:
    data = pdfs.document(pdfs.line(FIRST), pdfs.line(SECOND).replace(b"/F 12", b"/Missing 12"), pdfs.line(THIRD))
    assert [words for _, words in told(parsed(data))] == [FIRST, SECOND, THIRD]
    assert by(data)[:2] == ["pypdf", "PDFium"]


def test_a_file_that_pypdf_can_not_open_is_read_by_pdfium() -> None:
    data = THREE[: THREE.rindex(b"startxref")]
    assert [words for _, words in told(parsed(data))] == [FIRST, SECOND, THIRD]
    assert set(by(data)) == {"PDFium"}


def test_an_empty_password_is_tried() -> None:
    assert [words for _, words in told(parsed(pdfs.rewritten(THREE, password="")))] == [FIRST, SECOND, THIRD]


def test_a_password_is_asked_for() -> None:
    assert refusal(read, "a.pdf", pdfs.rewritten(THREE, password="secret")) == ("encrypted", "needs a password")


def test_scanned_pages_have_no_text_layer() -> None:
    assert refusal(read, "a.pdf", pdfs.document(pdfs.scan(), pdfs.scan())) == (
        "no text layer",
        "scanned pages without text; with tesseract installed, STUDY_OCR=1 reads them",
    )
    document = parsed(pdfs.document(pdfs.line(FIRST), pdfs.scan(), pdfs.line(THIRD)))
    assert document.lost == ("page 2: no text layer",)
    assert told(document) == [("page 1", FIRST), ("page 3", THIRD)]


def test_blank_pages_are_not_lost() -> None:
    assert refusal(read, "a.pdf", pdfs.document(b"", b"q Q")) == ("empty", "2 pages without any text")
    document = parsed(pdfs.document(b"", pdfs.line(SECOND), b"0 0 100 1 re f"))
    assert told(document) == [("page 2", SECOND)]
    assert document.lost == ()


def test_letters_without_meaning_are_not_text() -> None:
    font = (
        b"<</Type/Font/Subtype/Type0/BaseFont/X/Encoding/Identity-H/DescendantFonts[<</Type/Font/Subtype/CIDFontType2"
        b"/BaseFont/X/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>>>]>>"
    )
    data = pdfs.document(b"BT /F 12 Tf 50 700 Td <000300040005000600070008> Tj ET").replace(pdfs.HELVETICA, font)
    assert refusal(read, "a.pdf", data) == (
        "failed",
        "no page of 1 could be read; page 1: its fonts do not say which letters they draw",
    )


@pytest.mark.parametrize(
    "data",
    [
        THREE[: len(THREE) // 2],
        b"%PDF-1.7\n" + random.Random(1).randbytes(5000),
        b"%PDF-1.7\n",
        b"not a PDF at all",
        pdfs.pdf([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 1/Kids[2 0 R]>>"]),
        pdfs.pdf([b"<</Type/Catalog/Pages 2 0 R>>", b"<</Type/Pages/Count 0/Kids[]>>"]),
    ],
    ids=["half", "noise", "header", "text", "page tree in a circle", "no pages"],
)
def test_a_file_that_is_no_pdf_is_refused_in_one_line(data: bytes) -> None:
    state, reason = refusal(read, "a.pdf", data)
    assert state == "failed"
    assert "damaged" in reason


def test_what_refers_to_itself_ends() -> None:
    form = b"/Type/XObject/Subtype/Form/BBox[0 0 595 842]/Resources<</XObject<</X 6 0 R>>/Font<</F 3 0 R>>>>"
    data = pdfs.document(
        b"/X Do",
        resources=b"<</XObject<</X 6 0 R>>>>",
        more=[pdfs.stream(b"/X Do " + pdfs.line(FIRST), form)],
    )
    assert FIRST in parsed(data).text
    previous = THREE.rindex(b"xref\n0")
    circle = THREE.replace(b"/Root 1 0 R", b"/Root 1 0 R/Prev %d" % previous)
    assert [words for _, words in told(parsed(circle))] == [FIRST, SECOND, THIRD]


def test_a_page_count_that_lies_is_not_believed() -> None:
    data = pdfs.document(pdfs.line(FIRST)).replace(b"/Count 1", b"/Count 2000000000")
    assert told(parsed(data)) == [("page 1", FIRST)]


def test_a_page_shown_a_hundred_thousand_times_is_bounded() -> None:
    data = pdfs.document(pdfs.line(FIRST)).replace(b"[5 0 R]", b"[%s]" % (b"5 0 R " * 100_000))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ingest.read.pdf.MOST_PAGES", 50)
        document = parsed(data[: data.rindex(b"xref\n0")] + b"trailer\n<</Root 1 0 R>>\nstartxref\n0\n%%EOF\n")
    assert len(document.blocks) == 50
    assert document.lost == ("80000 pages: only the first 20000 of a file are read",)


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    broken = THREE.replace(b"/Parent 2 0 R", b"/Parent 9 0 R").replace(b"startxref\n", b"startxref\n7")
    assert parsed(broken).text
    assert capfd.readouterr() == ("", "")


def tesseract(folder: Path, script: str) -> None:
    """Put a tesseract into a folder that knows one picture."""
    program = folder / "tesseract"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


READS = """
[ "$(head -c 16 | tr '\\n' ' ')" = "P5 2480 3509 255" ] && [ "$*" = "stdin stdout -l fra" ] || exit 1
cat > /dev/null
echo "What tesseract sees on the ﬁrst page."
"""


def test_scans_are_read_by_ocr_where_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tesseract(tmp_path, READS)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    data = pdfs.document(pdfs.scan(), pdfs.line(SECOND))
    assert parsed(data).lost == ("page 1: no text layer",)
    monkeypatch.setenv(OCR, "fra")
    document = parsed(data)
    assert told(document) == [("page 1", "What tesseract sees on the first page."), ("page 2", SECOND)]
    assert (document.lost, document.remark) == ((), "1 of 2 pages read by OCR")


@pytest.mark.parametrize(
    ("script", "reason"),
    [("echo no fra.traineddata >&2; exit 1", "no fra.traineddata"), ("cat > /dev/null", "nothing found")],
)
def test_ocr_that_fails_says_why(script: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tesseract(tmp_path, script)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv(OCR, "fra")
    state = "no text layer"
    assert refusal(read, "a.pdf", pdfs.document(pdfs.scan())) == (
        state,
        f"scanned pages without text, and OCR: {reason}",
    )


def test_three_hundred_pages_take_seconds() -> None:
    words = "Sharding keeps one part of the parameters on every card and gathers a layer when it is needed. "
    data = written(*(f"Chapter {number}. {words * 12}" for number in range(300)))
    started = time.process_time()
    document = parsed(data)
    assert time.process_time() - started < 15
    assert document.blocks[-1].locator == "page 300"
    assert len({block.locator for block in document.blocks}) == 300


ORACLE = '''
"""What a try per page with pypdf keeps."""
import logging
from io import BytesIO
import pypdf
from ingest.errors import Unreadable

logging.disable()


def pages(data, *, done, plain, alone):
    try:
        reader = pypdf.PdfReader(BytesIO(data))
        count = len(reader.pages)
    except Exception as error:  # a mutated file makes pypdf raise anything
        raise Unreadable("failed", repr(error))
    yield {"count": count, "title": ""}
    for page in range(done + 1, count + 1):
        try:
            text = reader.pages[page - 1].extract_text()
            letters = "".join(filter(str.isalnum, text))
        except Exception:  # so does a page of one
            letters = ""
        lost = "" if letters else "lost"
        yield {"page": page, "text": letters, "by": "", "lost": lost, "notice": "", "last": True}
'''


def mutant(data: bytes, dice: random.Random) -> bytes:
    """Return a file with bytes changed, cut out, doubled, inserted, or with other numbers in it."""
    changed = bytearray(data)
    at = dice.randrange(len(data))
    match dice.randrange(6):
        case 0:
            for _ in range(dice.choice([1, 3, 10, 50])):
                changed[dice.randrange(len(data))] = dice.randrange(256)
        case 1:
            del changed[at:]
        case 2:
            del changed[at : at + dice.randrange(2000)]
        case 3:
            changed[at:at] = dice.randbytes(dice.randrange(500))
        case 4:
            changed[at:at] = changed[dice.randrange(len(data)) :][:500]
        case 5:
            for number in dice.choices(list(re.finditer(rb"\d+", data)), k=5):
                other = dice.choice([0, 1, 2, 99, 2**31, len(data)])
                changed[number.start() : number.end()] = b"%d" % other
    return bytes(changed)


def kept_pages(workers: Workers, data: bytes) -> int:
    """Return how many pages of a file gave text."""
    try:
        locators = {locator for locator, _ in told(workers.read(Path("mutant.pdf"), data))}
    except Unreadable as error:
        state, locators = error.state, set()
    else:
        state = "indexed"
    assert state in STATES | {"indexed"}
    return len(locators)


@pytest.mark.slow
def test_of_two_hundred_damaged_files_none_loses_a_page_that_a_try_per_page_keeps(tmp_path: Path) -> None:
    dice = random.Random(20)
    (tmp_path / "oracle").mkdir()
    (tmp_path / "oracle" / "pdf.py").write_text(ORACLE)
    good = [path.read_bytes() for path in sorted((ROOT / "corpus").rglob("*.pdf"))[:2]]
    good += [THREE, pdfs.rewritten(THREE, password=""), written("One page. " * 50, "Another page. " * 50)]
    good += [pdfs.document(pdfs.deflated(pdfs.line(FIRST)), pdfs.scan(), pdfs.deflated(pdfs.line(THIRD)))]
    kept = 0
    environ = {"PYTHONPATH": str(tmp_path)}
    with Workers(1) as workers, Workers(1, package="oracle", environ=environ) as oracle:
        for _ in range(200):
            data = mutant(dice.choice(good), dice)
            started = time.monotonic()
            ours = kept_pages(workers, data)
            assert time.monotonic() - started < 20
            theirs = kept_pages(oracle, data)
            assert ours >= theirs
            kept += theirs
    assert kept > 200
