from pathlib import Path
from typing import Any

import pytest

from ingest.errors import Unreadable
from ingest.read import Document
from ingest.read.pages import MOST_PAGES, Pages
from tests.readings import headings, kinds, told

LONG = "This line is as long as the lines of the page are, and goes on to the next"


def assembled(*texts: str, **changes: Any) -> Document:
    """Return the document of these pages."""
    found = Pages(count=len(texts), texts=dict(enumerate(texts, start=1)), **changes)
    return found.document(Path("notes.pdf"))


def test_each_block_is_found_on_its_page() -> None:
    document = assembled("One.", "", "Three.\n\nAnd more.")
    assert document.text == "One.\n\nThree.\n\nAnd more."
    assert told(document) == [("page 1", "One."), ("page 3", "Three."), ("page 3", "And more.")]


def test_paragraphs_end_at_blank_lines_short_lines_items_and_headings() -> None:
    document = assembled(
        f"{LONG}\nand ends here.\nA second begins, and {LONG}\nand ends.\n• first item\n• second item {LONG}\n"
        f"that goes on\n2. third item\nA Heading\n{LONG}\nto the end."
    )
    assert [words.split("\n")[0][:20] for _, words in told(document)] == [
        "This line is as long",
        "A second begins, and",
        "• first item",
        "• second item This l",
        "2. third item",
        "A Heading",
        "This line is as long",
    ]
    assert told(document)[3][1].endswith("that goes on")


def test_the_rows_of_a_table_stay_together_and_apart_from_the_text() -> None:
    table = "Card Memory (GB) Bandwidth (TB/s)\nA100 80 2.0\nH100 SXM 80 3.35\nH200 141 4.8"
    document = assembled(f"{LONG}\nand ends here.\n{table}\nWhat follows is text.")
    assert kinds(document) == ["text", "table", "text"]
    assert told(document)[1] == ("page 1", table)


def test_short_lines_under_a_caption_are_a_table() -> None:
    table = "Table 2. Compared\nQuestion Slurm Kubernetes\nMade for batch jobs services\nUnit job pod"
    document = assembled(f"{LONG}\nand ends here.\n{table}\n{LONG}\nand ends.")
    assert kinds(document) == ["text", "table", "text"]
    assert told(document)[1] == ("page 1", table)
    assert kinds(assembled(f"Table 2 {LONG[8:]}\n{LONG}\n{LONG}\n{LONG}")) == ["text"]


def test_columns_with_wide_gaps_are_a_table() -> None:
    assert kinds(assembled("Name   Role   Since\nAda   Engineer   May\nBo   Lead   June")) == ["table"]


def test_running_headers_and_page_numbers_are_left_out() -> None:
    pages = [f"Sharding\nPage {n} has a sentence on {'abcde'[n - 1]}.\n{n} / 5" for n in range(1, 6)]
    assert [words for _, words in told(assembled(*pages))] == [
        "Sharding",
        "Page 1 has a sentence on a.",
        "Page 2 has a sentence on b.",
        "Page 3 has a sentence on c.",
        "Page 4 has a sentence on d.",
        "Page 5 has a sentence on e.",
    ]


def test_a_header_of_left_pages_and_a_number_that_starts_elsewhere_are_left_out() -> None:
    pages = [f"{'Left' if n % 2 else 'Right'} {n + 10}\nThis is sentence {'abcdef'[n]}." for n in range(6)]
    assert [words for _, words in told(assembled(*pages))] == [
        *("This is sentence a.", "This is sentence b.", "This is sentence c."),
        *("This is sentence d.", "This is sentence e.", "This is sentence f."),
    ]


def test_the_header_of_a_chapter_is_left_out_after_its_first_page() -> None:
    heads = ["", "Sharding 8", "Sharding 9", "", "Serving 11", "Serving 12"]
    pages = [f"{head}\nThis is sentence {'abcdef'[n]}.\n{n + 7}" for n, head in enumerate(heads)]
    assert "8" not in assembled(*pages).text.replace("Sharding 8", "")
    assert assembled(*pages).text.count("Sharding") == 1
    assert assembled(*pages).text.count("Serving") == 1


def test_a_title_that_is_also_the_header_stands_once() -> None:
    pages = [f"Sharding\nPage {n} of 3\nThis is sentence {'abc'[n - 1]}." for n in (1, 2, 3)]
    pages[0] = "Sharding\nPage 1 of 3\nSharding\nThis is sentence a."
    assert assembled(*pages).text == "Sharding\nThis is sentence a.\n\nThis is sentence b.\n\nThis is sentence c."


def test_headings_that_count_but_not_the_pages_stay() -> None:
    pages = ["Exercise 4\nDo this.", "Exercise 7\nDo that.", "Exercise 8\nDo more.", "Exercise 15\nDo it all."]
    assert assembled(*pages).text == "\n\n".join(pages)


def test_pages_of_nothing_but_a_running_line_keep_it() -> None:
    assert told(assembled("Page 1", "Page 2", "Page 3")) == [
        ("page 1", "Page 1"),
        ("page 2", "Page 2"),
        ("page 3", "Page 3"),
    ]


def test_bookmarks_are_headings_from_the_line_where_they_stand() -> None:
    document = assembled(
        "Preface text.\n\n1. Sharding\n\nShards are parts.",
        "More on shards.\n\n1.1 Optimizer states\n\nThese are large.",
        "Another page.",
        outline=[(0, "Sharding", 1), (1, "Optimizer states", 2), (0, "Not on its page", 3)],
    )
    assert list(zip(headings(document), (words for _, words in told(document)), strict=True)) == [
        ((), "Preface text."),
        (("Sharding",), "1. Sharding"),
        (("Sharding",), "Shards are parts."),
        (("Sharding",), "More on shards."),
        (("Sharding", "Optimizer states"), "1.1 Optimizer states"),
        (("Sharding", "Optimizer states"), "These are large."),
        (("Not on its page",), "Another page."),
    ]


@pytest.mark.parametrize(
    ("said", "text", "title"),
    [
        ("Sharding in Practice", "First line\nand text.", "Sharding in Practice"),
        ("  Sharding \n in Practice ", "text.", "Sharding in Practice"),
        ("untitled", "text.", ""),
        ("Untitled 1", "Sharding\nText follows.", "Sharding"),
        ("notes", "Sharding\nText follows.", "Sharding"),
        ("draft-3.docx", "Sharding\nText follows.", "Sharding"),
        ("Microsoft Word - draft", "Sharding\nText follows.", "Sharding"),
        ("thesis_final_v2", "Sharding\nText follows.", "Sharding"),
        ("123", "Sharding\nText follows.", "Sharding"),
        ("", "This is a sentence.\nAnother.", ""),
        ("", "the middle of a sentence\nthat goes on", ""),
        ("", "12 3 4\nNumbers", ""),
        ("", "See https://example.com\nMore", ""),
        ("", "分片数据并行\n正文。", "分片数据并行"),
    ],
)
def test_the_title_is_what_the_metadata_or_the_first_line_says(said: str, text: str, title: str) -> None:
    assert assembled(text, title=said).title == title


def test_lost_pages_are_named_in_order() -> None:
    document = assembled("One.", "", "", lost={3: "no text layer", 2: "damaged: bad stream"})
    assert document.lost == ("page 2: damaged: bad stream", "page 3: no text layer")


@pytest.mark.parametrize(
    ("lost", "state", "reason"),
    [
        ({}, "empty", "2 pages without any text"),
        (
            {1: "no text layer"},
            "no text layer",
            "scanned pages without text; with tesseract installed, STUDY_OCR=1 reads them",
        ),
        (
            {2: "no text layer, and OCR: nothing found"},
            "no text layer",
            "scanned pages without text, and OCR: nothing found",
        ),
        ({1: "damaged: x", 2: "y"}, "failed", "no page of 2 could be read; page 1: damaged: x"),
    ],
)
def test_a_file_without_text_says_why(lost: dict[int, str], state: str, reason: str) -> None:
    with pytest.raises(Unreadable) as caught:
        assembled("", "  ", lost=lost)
    assert (caught.value.state, caught.value.reason) == (state, reason)


def test_a_file_can_not_make_more_pages_or_blocks_than_can_be_carried() -> None:
    found = Pages()
    found.add({"count": 10**12, "title": ""})
    assert found.count == MOST_PAGES
    found.add({"page": 1, "text": "a\n\n" * 200_000, "by": "pypdf", "lost": "", "notice": "", "last": True})
    document = found.document(Path("a.pdf"))
    assert len(document.blocks) == 1
    assert document.lost == ("999999980000 pages: only the first 20000 of a file are read",)


def test_parts_that_make_no_sense_are_refused() -> None:
    for part in ({}, {"page": "x"}, {"count": "many", "title": ""}, {"outline": [1]}, {"outline": [[0, "a"]]}):
        with pytest.raises((KeyError, TypeError, ValueError)):
            Pages().add(part)
