"""A page becomes Markdown that keeps what a reader came for."""

import pytest

from ingest.extract import tidy, to_markdown
from tests.site import MARKDOWN, PAGE


def test_a_page_becomes_markdown_with_its_table_links_and_code() -> None:
    title, markdown = to_markdown(PAGE.encode(), charset="utf-8", address="https://docs.example/fsdp.html")
    assert title == "Fully Sharded Data Parallel"
    assert markdown == MARKDOWN.format(root="https://docs.example")


def test_where_code_would_be_lost_our_own_reader_is_taken() -> None:
    hidden = "<div class='hidden' style='display:none'><pre>def kept(): return 1</pre></div>"
    figure = "<figure><div><button>copy</button><div><pre>listing = [1, 2]</pre></div></div></figure>"
    page = f"<main><h1>Drop</h1><p>{'The drop trait runs code on cleanup. ' * 9}</p><h2>Use</h2>{figure}{hidden}</main>"
    _, markdown = to_markdown(page.encode())
    assert "```\nlisting = [1, 2]\n```" in markdown
    assert markdown.startswith("# Drop\n")
    assert "## Use\n" in markdown


@pytest.mark.parametrize(
    ("charset", "data"),
    [
        ("windows-1252", "<p>naïve café – 5 €</p>".encode("cp1252")),
        ("iso-8859-1", "<p>naïve café – 5 €</p>".encode("cp1252")),
        ("shift_jis", "<p>訓練と推論</p>".encode("shift_jis")),
        ("no-such-charset", "<p>naïve</p>".encode()),
        ("punycode", "<p>naïve</p>".encode()),
        ("", '<meta charset="shift_jis"><p>訓練と推論</p>'.encode("shift_jis")),
    ],
)
def test_the_server_says_how_a_page_is_encoded(charset: str, data: bytes) -> None:
    assert to_markdown(data, charset=charset)[1].strip() in ("naïve café – 5 €", "訓練と推論", "naïve")


def test_markdown_is_tidied_outside_code_only() -> None:
    assert tidy("# A[¶](https://a.example#x)\n\nFULL\\_SHARD x<sub>1</sub>\n      goes on\n") == (
        "# A\n\nFULL_SHARD x1 goes on\n"
    )
    code = "```\nFULL\\_SHARD\n      <sup>2</sup>\n```\n"
    assert tidy(code) == code
    assert tidy("- a\n    - b\n      c\n") == "- a\n    - b c\n"
