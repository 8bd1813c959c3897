from pathlib import Path

import pytest

from ingest.errors import Unreadable
from ingest.read import Document
from ingest.read import read as read_file
from ingest.read.html import read
from tests.readings import damaged, headings, kinds, refusal, survives, told

PAGE = """<!DOCTYPE html>
<html><head><title>Sharding explained | A Site</title><script>var x = "never";</script></head>
<body>
  <header><a href="/">A Site</a></header>
  <nav><ul><li><a href="/a">Home</a></li></ul></nav>
  <div class="cookie-banner">We value your privacy. <button>Accept</button></div>
  <main>
    <h1>Sharding <em>explained</em></h1>
    <p>FSDP shards <b>parameters</b>,
       gradients and states.<br>ZeRO does too.</p>
    <h2>Stages <a href="#stages">¶</a></h2>
    <ul><li>Stage 1<ul><li>optimizer states</li></ul></li><li>Stage 2</li></ul>
    <ol start="3"><li>three</li><li><p>four</p><p>more</p></li></ol>
    <h3>Code</h3>
    <pre><code>for rank in range(8):
    reduce(rank)
</code></pre>
    <h2>Figures</h2>
    <table><thead><tr><th>Stage</th><th>Bytes</th></tr></thead>
      <tbody><tr><td>1</td><td>4 + 12/<i>n</i></td></tr></tbody></table>
    <dl><dt>Rank</dt><dd>A process.</dd></dl>
    <div class="share-buttons">Tell a friend</div>
  </main>
  <aside>Related posts</aside>
  <footer>© A Site</footer>
</body></html>"""


def page(body: str, name: str = "page.html") -> Document:
    return read(Path(name), f"<!DOCTYPE html><html><body>{body}</body></html>".encode())


def words(document: Document) -> list[str]:
    return [text for _, text in told(document)]


def test_a_page_is_read_by_its_headings_without_its_boilerplate() -> None:
    document = read(Path("page.html"), PAGE.encode())

    assert document.title == "Sharding explained"
    assert told(document) == [
        ("§ Sharding explained", "FSDP shards parameters, gradients and states.\nZeRO does too."),
        ("§ Stages", "- Stage 1\n  - optimizer states\n- Stage 2"),
        ("§ Stages", "3. three\n4. four\n  more"),
        ("§ Code", "for rank in range(8):\n    reduce(rank)"),
        ("§ Figures", "| Stage | Bytes |\n| --- | --- |\n| 1 | 4 + 12/n |"),
        ("§ Figures", "- Rank\n  A process."),
    ]
    assert kinds(document) == ["text", "list", "list", "code", "table", "list"]
    assert headings(document)[:4] == [(), ("Stages",), ("Stages",), ("Stages", "Code")]


def test_the_title_stands_in_where_no_heading_does() -> None:
    document = read(Path("a.html"), b"<title> An old\n page </title><p>One.<p>Two.")

    assert document.title == "An old page"
    assert told(document) == [("paragraph 1", "One."), ("paragraph 2", "Two.")]


def test_a_page_whose_main_part_holds_little_is_read_whole() -> None:
    lecture = "<p>The lecture itself stands outside of it, for some reason. </p>" * 9

    assert len(words(page(f"<main><p>A picture.</p></main><div>{lecture}</div><nav>Home</nav>"))) == 10


def test_rules_that_would_take_most_of_a_page_away_are_not_believed() -> None:
    lecture = "<p>A lecture about web design.</p>" * 9

    assert len(words(page(f'<div class="modal menu">{lecture}</div><p>End.</p>'))) == 10
    assert len(words(page(f"<header>{lecture}</header><p>End.</p>"))) == 10


def test_an_article_keeps_its_own_header_and_its_notes() -> None:
    document = page(
        "<article><header><h1>Warps</h1><p>By Ana.</p></header><p>A warp has 32 threads, on every GPU.</p>"
        '<aside class="note">On AMD it is 64.</aside><aside>Buy now</aside></article><p>Read more</p>'
    )

    assert words(document) == ["By Ana.", "A warp has 32 threads, on every GPU.", "On AMD it is 64."]


def test_a_section_is_not_boilerplate_because_its_heading_names_it_so() -> None:
    document = page(
        '<main><section id="related-work"><h2>Related work</h2><p>ZeRO.</p></section>'
        '<div class="section" id="navigation"><h2>Navigation</h2><p>Of robots.</p></div></main>'
    )

    assert told(document) == [("§ Related work", "ZeRO."), ("§ Navigation", "Of robots.")]


def test_what_holds_the_main_part_is_no_boilerplate_whatever_its_class() -> None:
    document = page(
        '<div class="wy-nav-side">Contents</div><div class="wy-nav-content"><div role="main"><p>Sharding, in short.</p>'
        '<a class="headerlink" href="#x">¶</a></div><div role="navigation">Next page</div></div>'
    )

    assert words(document) == ["Sharding, in short."]


def test_a_table_that_lays_out_a_page_is_read_as_a_page() -> None:
    document = page(
        "<table><tr><td><h1>Old</h1></td><td><table><tr><td>a</td><td>b</td></tr></table></td></tr></table>"
    )

    assert told(document) == [("§ Old", "| a | b |")]


def test_spanning_and_nested_cells_stay_in_their_row() -> None:
    document = page(
        '<table><tr><td colspan="2">wide</td><td>c|d</td></tr><tr><td><p>x</p><ul><li>y</li></ul></td></tr></table>'
    )

    assert words(document) == ["| wide |  | c\\|d |\n| --- | --- | --- |\n| x y |"]


def test_formulas_and_exponents_stay_readable() -> None:
    document = page(
        "<p>Adam needs 10<sup>6</sup> steps<sup>th</sup>, "
        "<math><semantics><mi>x</mi>"
        '<annotation encoding="application/x-tex">\\hat x</annotation></semantics></math>'
        '<span class="katex-html">xxx</span> or '
        "<math><mfrac><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><msqrt><mi>n</mi></msqrt></mfrac></math>.</p>"
        '<p><script type="math/tex">e = mc^2</script></p>'
    )

    assert words(document) == ["Adam needs 10^6 stepsth, $\\hat x$ or (a+b)/(√n).", "$e = mc^2$"]


def test_the_encoding_is_taken_from_the_mark_or_the_page_itself() -> None:
    text = "<p>Grüße, naïve Gradienten</p>"

    def said(data: bytes) -> str:
        return words(read(Path("a.htm"), data))[0]

    assert said(b"\xef\xbb\xbf" + text.encode()) == "Grüße, naïve Gradienten"
    assert said(text.encode("utf-16")) == "Grüße, naïve Gradienten"
    assert said(b'<meta charset="iso-8859-1">' + text.encode("cp1252")) == "Grüße, naïve Gradienten"
    koi8 = '<meta http-equiv="Content-Type" content="text/html; charset=koi8-r"><p>Градиент</p>'
    assert said(koi8.encode("koi8-r")) == "Градиент"


def test_a_wrongly_declared_encoding_is_remarked_and_costs_one_character() -> None:
    document = read(Path("a.html"), b'<meta charset="utf-8"><p>na\xefve')

    assert words(document) == ["na\ufffdve"]
    assert document.remark == "declared as utf-8, but not from byte 27 on"


def test_a_declared_codec_that_is_no_encoding_is_not_run() -> None:
    assert words(read(Path("a.html"), b'<meta charset="zip"><p>plain</p>')) == ["plain"]


def test_xhtml_is_read_as_xml_and_its_entities_as_characters() -> None:
    document = read(
        Path("a.xhtml"),
        b'<?xml version="1.0" encoding="UTF-8"?><!DOCTYPE html>'
        b'<html xmlns="http://www.w3.org/1999/xhtml"><head><title/><script src="a.js"/></head>'
        b"<body><h1>A</h1><p>1&nbsp;GB &lt; 2&nbsp;GB &amp; so on</p></body></html>",
    )

    assert told(document) == [("§ A", "1 GB < 2 GB & so on")]


def test_neither_entities_nor_files_are_brought_in() -> None:
    document = read(
        Path("a.xhtml"),
        b'<?xml version="1.0"?>'
        b'<!DOCTYPE html [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c SYSTEM "/etc/passwd">]>'
        b'<html xmlns="http://www.w3.org/1999/xhtml"><body><p>start &b; &c; end</p></body></html>',
    )

    assert "lollol" not in document.text
    assert "root:" not in document.text
    assert "end" in document.text


def test_numbered_characters_that_are_no_text_are_replaced() -> None:
    document = page("<p>a&#0;b&#xD800;c\0d</p>")

    document.text.encode()
    assert "\0" not in document.text
    assert words(document)[0].startswith("a")


def test_nesting_without_end_neither_crashes_nor_takes_long() -> None:
    document = page("<p>before</p>" + "<div>" * 200_000 + "<p>deep")

    assert words(document) == ["before"]
    assert document.lost == ("page: its elements are nested more than 2048 deep; read as far as it goes",)


def test_a_page_whose_text_lies_too_deep_is_not_called_empty() -> None:
    with pytest.raises(Unreadable, match=r"no text could be read of it; page: its elements are nested more than 2048"):
        read_file(Path("a.html"), b"<div>" * 200_000 + b"<p>deep")


def test_nested_lists_and_formulas_without_end_do_not_crash() -> None:
    told(page("<ul><li>x" * 1900))
    told(page("<math>" + "<msup><mi>x</mi>" * 1900))


def test_a_page_of_one_huge_line_is_one_block() -> None:
    assert len(told(page("<p>" + "word " * 1_000_000))) == 1


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4, b"\0" * 4096])
def test_binary_data_is_refused(data: bytes) -> None:
    assert refusal(read, "a.html", data) == ("failed", "binary data, not text")


def test_whatever_is_damaged_the_result_is_a_document_or_a_reason() -> None:
    assert survives(read, "page.html", damaged(PAGE.encode(), times=200, seed=5)) > 150
