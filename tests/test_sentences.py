import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.sentences import spans, split


def cut(text: str) -> list[str]:
    return [text[start:end] for start, end in spans(text)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It works. It is fast!", ["It works.", "It is fast!"]),
        ("Use e.g. 3.14 GB. Then go.", ["Use e.g. 3.14 GB.", "Then go."]),
        ("See https://a.b/c.d for more. Done.", ["See https://a.b/c.d for more.", "Done."]),
        ("Call `model.eval()` first. Then test.", ["Call `model.eval()` first.", "Then test."]),
        ("Smith et al. (2020) say so. Fig. 3 shows it.", ["Smith et al. (2020) say so.", "Fig. 3 shows it."]),
        ("The U.S. Army uses it. Yes.", ["The U.S. Army uses it.", "Yes."]),
        ("J. Doe wrote it. He did.", ["J. Doe wrote it.", "He did."]),
        ("- one item. And more\n- two", ["one item.", "And more", "two"]),
        ("1. First\n2. Second", ["First", "Second"]),
        ("# Title\nText here.", ["Title", "Text here."]),
        ("| a | b |\n|---|---|\n| c. D | d |", ["| a | b |", "| c. D | d |"]),
        ("One line\nwraps here. Next.", ["One line\nwraps here.", "Next."]),
        ("First.\n\nsecond paragraph", ["First.", "second paragraph"]),
        ("你好。世界！", ["你好。", "世界！"]),
        ('He said "No." Then he left.', ['He said "No."', "Then he left."]),
        ("Really? Yes.", ["Really?", "Yes."]),
        ("--- \n ... ", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(text: str, found: list[str]) -> None:
    assert cut(text) == found


@given(st.text())
def test_spans_are_in_order_and_hold_a_letter_or_digit_each(text: str) -> None:
    last = 0
    for start, end in spans(text):
        assert last <= start < end <= len(text)
        assert any(letter.isalnum() for letter in text[start:end])
        last = end


@given(st.text())
def test_splitting_loses_nothing(text: str) -> None:
    assert "".join(split(text)) == text


@pytest.mark.parametrize("part", [". ", "[", "a.", " ", "| ", "- ", "\n", "e.g. ", "A. B", "***"])
def test_a_megabyte_of_anything_is_cut_in_seconds(part: str) -> None:
    started = time.monotonic()
    spans(part * (1_000_000 // len(part)))
    assert time.monotonic() - started < 20
