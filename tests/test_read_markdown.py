import time
from pathlib import Path

import pytest

from ingest.read.markdown import read, read_markdown
from tests.readings import damaged, headings, kinds, survives, told

NAME = Path("a.md")


def test_blocks_know_their_headings_and_the_title_is_none_of_them() -> None:
    document = read(NAME, b"# Course\n\nIntro.\n\n## FSDP\n\nShards.\n\n### Cost\n\nMore.\n\n## DDP\n\nCopies.\n")
    assert document.title == "Course"
    assert told(document) == [("§ Course", "Intro."), ("§ FSDP", "Shards."), ("§ Cost", "More."), ("§ DDP", "Copies.")]
    assert headings(document) == [(), ("FSDP",), ("FSDP", "Cost"), ("DDP",)]


def test_lists_tables_code_and_formulas_are_kept_whole() -> None:
    text = (
        "- one\n- two\n\n1. first\n\n   more of it\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n"
        "```python\n# no heading\n\nx = 1\n```\n\n$$\nE = mc^2\n$$\n\n    indented\n\n> quoted\n"
    )
    document = read_markdown(text)
    assert kinds(document) == ["list", "list", "table", "code", "code", "code", "text"]
    assert told(document)[3] == ("line 12", "```python\n# no heading\n\nx = 1\n```")
    assert told(document)[1] == ("line 4", "1. first\n\n   more of it")


@pytest.mark.parametrize(
    ("front", "title"),
    [
        ('title: "Sharded training"\ntags: [a]', "Sharded training"),
        ("title: It's here", "It's here"),
        ("tags: [a]", "Heading"),
        ("title: >\n  folded", "Heading"),
    ],
)
def test_the_title_is_what_the_front_matter_says_else_the_first_heading(front: str, title: str) -> None:
    document = read_markdown(f"---\n{front}\n---\n\n# Heading\n\nText.\n")
    assert document.title == title
    assert kinds(document) == ["meta", "text"]


def test_marks_around_a_heading_s_words_are_no_part_of_its_name() -> None:
    document = read_markdown("# T\n\n## **What** is [`FSDP`](https://x.org) *for*?\n\nText.\n")
    assert headings(document) == [("What is FSDP for?",)]


def test_underlined_headings_are_headings() -> None:
    assert told(read_markdown("Course\n======\n\nPart\n----\n\nText.\n")) == [("§ Part", "Text.")]


def test_what_is_written_stays_as_it_is() -> None:
    text = "See [[wiki link]], [ref] and $a_b$; <b>html</b> &amp; 🦓.\n\n[ref]: https://x.org\n"
    document = read_markdown(text)
    assert document.text == text
    assert told(document) == [
        ("line 1", "See [[wiki link]], [ref] and $a_b$; <b>html</b> &amp; 🦓."),
        ("line 3", "[ref]: https://x.org"),
    ]


def test_a_file_of_headings_alone_is_still_found() -> None:
    assert [words for _, words in told(read_markdown("# Zebras\n\n## Stripes\n"))] == ["# Zebras\n\n## Stripes"]


def test_a_picture_written_into_the_file_is_cut_to_its_type() -> None:
    document = read_markdown(f"Before ![p](data:image/png;base64,{'A' * 5000}) after.\n")
    assert told(document) == [("line 1", "Before ![p](data:image/png;base64,…) after.")]


def test_windows_newlines_do_not_move_lines_or_offsets() -> None:
    document = read(NAME, b"# T\r\n\r\n## S\r\n\r\nText one.\r\n\r\nText two.\r\n")
    assert told(document) == [("§ S", "Text one."), ("§ S", "Text two.")]


@pytest.mark.parametrize("odd", ["\u2028", "\u0085", "\x0b", "\x0c", "\x1c"])
def test_characters_that_some_take_for_newlines_do_not_move_offsets(odd: str) -> None:
    document = read_markdown(f"# T\n\nfirst{odd}still first\n\nsecond\n")
    assert [words for _, words in told(document)] == [f"first{odd}still first", "second"]


@pytest.mark.parametrize(
    "hostile", ["[" * 20_000, "> " * 5_000 + "x", "*a " * 20_000, "- " * 3_000 + "x", "`" * 20_000, "|" * 20_000]
)
def test_text_that_would_choke_a_parser_is_read_in_time(hostile: str) -> None:
    started = time.monotonic()
    told(read_markdown(f"# T\n\n{hostile}\n"))
    assert time.monotonic() - started < 5


def test_damaged_files_are_read_soundly_or_refused_in_one_line() -> None:
    data = (
        "---\ntitle: T\n---\n# H\n\ntext é\n\n- a\n  - b\n\n| a |\n|---|\n| 1 |\n\n```\ncode\n```\n\n$$x$$\n".encode()
        * 3
    )
    assert survives(read, "a.md", damaged(data, times=200, seed=2)) > 100
