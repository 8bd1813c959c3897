import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.visible import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b2Jcleared", "cleared"),
        ("\x1b]0;a title\x07text", "text"),
        ("\x1b]8;;http://evil.example\x1b\\a link\x1b]8;;\x1b\\", "a link"),
        ("a\x08\x08b\x00c\x7f", "abc"),
        ("safe\revil\r\nend", "safe\nevil\nend"),
        ("\u202egnp.exe", "gnp.exe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("soft\u00adhyphen", "softhyphen"),
        ("hidden \U000e0041\U000e0042", "hidden "),
        ("cafe\u0301", "café"),
        ("日本語, עברית and 🦓 stay", "日本語, עברית and 🦓 stay"),
    ],
)
def test_what_deceives_a_reader_is_taken_out_and_the_rest_stays(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(st.characters(codec="utf-8")))
def test_whatever_comes_no_control_character_is_left(text: str) -> None:
    assert not [c for c in visible(text) if (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160]


def test_what_an_escape_sequence_was_hidden_in_forms_no_new_one() -> None:
    assert visible("\x1b\x1b[31m[31mred") == "[31mred"
    assert "\x1b" not in visible("\x1b\x00[31m")
