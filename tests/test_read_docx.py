from io import BytesIO
from itertools import chain
from pathlib import Path

import docx
from docx.document import Document as Word
from docx.enum.style import WD_STYLE_TYPE

from ingest.read.docx import read
from tests.readings import damaged, damaged_parts, headings, kinds, refusal, survives, told, unzipped, zipped

NAME = Path("lecture.docx")
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def saved(word: Word) -> bytes:
    buffer = BytesIO()
    word.save(buffer)
    return buffer.getvalue()


def bare(body: str, **parts: str) -> bytes:
    """Return the smallest Word file around this body."""
    return zipped({"word/document.xml": f"<w:document {W}><w:body>{body}</w:body></w:document>", **parts})


def lecture() -> bytes:
    word = docx.Document()
    word.add_heading("Distributed training", 0)
    word.add_paragraph("Two ways to use many GPUs.")
    word.add_heading("Sharding", 1)
    word.add_paragraph("FSDP shards parameters.")
    word.add_heading("Stages", 2)
    word.add_paragraph("Optimizer states", style="List Number")
    word.add_paragraph("Gradients", style="List Number")
    word.add_heading("Figures", 1)
    table = word.add_table(rows=2, cols=2)
    table.cell(0, 0).text, table.cell(0, 1).text = "Stage", "Memory"
    table.cell(1, 0).text, table.cell(1, 1).text = "1", "4 bytes\nper parameter"
    return saved(word)


def test_headings_lists_and_tables_are_found_below_their_heading() -> None:
    document = read(NAME, lecture())

    assert document.title == "Distributed training"
    assert told(document) == [
        ("§ Distributed training", "Two ways to use many GPUs."),
        ("§ Sharding", "FSDP shards parameters."),
        ("§ Stages", "1. Optimizer states\n2. Gradients"),
        ("§ Figures", "| Stage | Memory |\n| --- | --- |\n| 1 | 4 bytes per parameter |"),
    ]
    assert kinds(document) == ["text", "text", "list", "table"]
    assert headings(document) == [(), ("Sharding",), ("Sharding", "Stages"), ("Figures",)]
    assert document.lost == ()


def test_before_the_first_heading_a_block_is_found_by_its_paragraph() -> None:
    word = docx.Document()
    for text in ("First.", "", "Second.", "Third."):
        word.add_paragraph(text)

    assert told(read(NAME, saved(word))) == [
        ("paragraph 1", "First."),
        ("paragraph 2", "Second."),
        ("paragraph 3", "Third."),
    ]


def test_a_nested_list_keeps_its_levels_and_starts_to_count_anew() -> None:
    item = (
        '<w:p><w:pPr><w:numPr><w:ilvl w:val="{}"/><w:numId w:val="7"/></w:numPr></w:pPr><w:r><w:t>{}</w:t></w:r></w:p>'
    )
    levels = "".join(f'<w:lvl w:ilvl="{level}"><w:numFmt w:val="decimal"/></w:lvl>' for level in range(2))
    numbering = (
        f'<w:numbering {W}><w:abstractNum w:abstractNumId="1">{levels}</w:abstractNum>'
        '<w:num w:numId="7"><w:abstractNumId w:val="1"/></w:num></w:numbering>'
    )
    body = "".join(item.format(*row) for row in [(0, "a"), (1, "b"), (1, "c"), (0, "d"), (1, "e")])
    rels = '<Relationships><Relationship Id="r1" Type="x/numbering" Target="numbering.xml"/></Relationships>'
    data = bare(body, **{"word/numbering.xml": numbering, "word/_rels/document.xml.rels": rels})

    assert told(read(NAME, data)) == [("paragraph 1", "1. a\n  1. b\n  2. c\n2. d\n  1. e")]


def test_a_localized_heading_style_is_known_by_its_name_its_outline_level_or_its_id() -> None:
    styles = (
        f'<w:styles {W}><w:style w:styleId="berschrift1"><w:name w:val="heading 1"/></w:style>'
        '<w:style w:styleId="Kapitel"><w:name w:val="Kapitel"/><w:basedOn w:val="berschrift1"/></w:style>'
        '<w:style w:styleId="Abschnitt"><w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style></w:styles>'
    )
    paragraph = '<w:p><w:pPr><w:pStyle w:val="{}"/></w:pPr><w:r><w:t>{}</w:t></w:r></w:p>'
    rows = [
        ("berschrift1", "A"),
        ("", "a"),
        ("Kapitel", "B"),
        ("Abschnitt", "C"),
        ("", "c"),
        ("Titre2", "D"),
        ("", "d"),
    ]
    body = "".join(paragraph.format(*row) for row in rows)
    rels = '<Relationships><Relationship Id="r1" Type="x/styles" Target="/word/styles.xml"/></Relationships>'
    data = bare(body, **{"word/styles.xml": styles, "word/_rels/document.xml.rels": rels})

    assert headings(read(NAME, data)) == [("A",), ("B", "C"), ("B", "D")]


def test_a_number_without_end_is_none() -> None:
    endless = "9" * 5000
    paragraph = '<w:p><w:pPr><w:outlineLvl w:val="{}"/></w:pPr><w:r><w:t>Words.</w:t></w:r></w:p>'

    assert told(read(NAME, bare(paragraph.format(endless)))) == [("paragraph 1", "Words.")]


def test_insertions_are_kept_and_deletions_dropped() -> None:
    data = bare(
        "<w:p><w:r><w:t>Rank 0 </w:t></w:r><w:del><w:r><w:delText>never </w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t>always </w:t></w:r></w:ins><w:moveFrom><w:r><w:t>gone</w:t></w:r></w:moveFrom>"
        "<w:r><w:t>saves.</w:t></w:r></w:p>"
        "<w:sdt><w:sdtContent><w:ins><w:p><w:r><w:t>Inside a control.</w:t></w:r></w:p></w:ins>"
        "</w:sdtContent></w:sdt>"
    )

    assert told(read(NAME, data)) == [
        ("paragraph 1", "Rank 0 always saves."),
        ("paragraph 2", "Inside a control."),
    ]


def test_footnotes_follow_the_paragraph_that_cites_them() -> None:
    notes = (
        f'<w:footnotes {W}><w:footnote w:type="separator" w:id="-1"><w:p/></w:footnote>'
        '<w:footnote w:id="2"><w:p><w:r><w:t>Rajbhandari et al., 2020.</w:t></w:r></w:p></w:footnote>'
        "</w:footnotes>"
    )
    rels = '<Relationships><Relationship Id="r1" Type="x/footnotes" Target="footnotes.xml"/></Relationships>'
    body = (
        '<w:p><w:r><w:t>ZeRO has three stages</w:t></w:r><w:r><w:footnoteReference w:id="2"/></w:r>'
        "<w:r><w:t>.</w:t></w:r></w:p><w:p><w:r><w:t>Next.</w:t></w:r></w:p>"
    )
    data = bare(body, **{"word/footnotes.xml": notes, "word/_rels/document.xml.rels": rels})

    assert told(read(NAME, data)) == [
        ("paragraph 1", "ZeRO has three stages[1]."),
        ("paragraph 1", "[1] Rajbhandari et al., 2020."),
        ("paragraph 2", "Next."),
    ]


def test_a_text_box_is_read_once_and_after_its_paragraph() -> None:
    box = "<w:txbxContent><w:p><w:r><w:t>Remember: shard early.</w:t></w:r></w:p></w:txbxContent>"
    data = bare(
        '<w:p><w:r><w:t>Main text.</w:t></w:r><w:r><mc:AlternateContent xmlns:mc="mc"><mc:Choice>'
        f"<w:drawing>{box}</w:drawing></mc:Choice><mc:Fallback><w:pict>{box}</w:pict></mc:Fallback>"
        "</mc:AlternateContent></w:r></w:p>"
    )

    assert told(read(NAME, data)) == [
        ("paragraph 1", "Main text."),
        ("paragraph 2", "Remember: shard early."),
    ]


def test_headers_footers_comments_and_the_table_of_contents_are_dropped() -> None:
    word = docx.Document()
    word.sections[0].header.paragraphs[0].text = "Course 101"
    word.sections[0].footer.paragraphs[0].text = "Page 1"
    word.styles.add_style("toc 1", WD_STYLE_TYPE.PARAGRAPH)
    word.add_paragraph("Sharding\t3", style="toc 1")
    commented = word.add_paragraph("Kept.")
    word.add_comment(commented.runs, "Too short?")

    assert told(read(NAME, saved(word))) == [("paragraph 2", "Kept.")]


def test_a_frame_of_one_column_is_no_table() -> None:
    word = docx.Document()
    cell = word.add_table(rows=1, cols=1).cell(0, 0)
    cell.text = "A box around two paragraphs."
    cell.add_paragraph("The second.")

    assert told(read(NAME, saved(word))) == [
        ("paragraph 1", "A box around two paragraphs."),
        ("paragraph 2", "The second."),
    ]


def test_merged_and_nested_cells_stay_in_their_row() -> None:
    word = docx.Document()
    table = word.add_table(rows=2, cols=3)
    table.cell(0, 0).merge(table.cell(0, 1)).text = "Both"
    table.cell(0, 2).text = "a|b"
    inner = table.cell(1, 0).add_table(rows=1, cols=2)
    inner.cell(0, 0).text, inner.cell(0, 1).text = "x", "y"

    assert told(read(NAME, saved(word))) == [("paragraph 8", "| Both |  | a\\|b |\n| --- | --- | --- |\n| x y |  |  |")]


def test_code_in_a_code_style_is_one_block() -> None:
    word = docx.Document()
    word.styles.add_style("Source Code", WD_STYLE_TYPE.PARAGRAPH)
    for line in ("for rank in range(8):", "    reduce(rank)"):
        word.add_paragraph(line, style="Source Code")
    document = read(NAME, saved(word))

    assert told(document) == [("paragraph 1", "for rank in range(8):\n    reduce(rank)")]
    assert kinds(document) == ["code"]


def test_formulas_and_exponents_stay_readable() -> None:
    m = 'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math"'
    run = "<m:r><m:t>{}</m:t></m:r>".format
    fraction = f"<m:f><m:fPr/><m:num>{run('q·k')}</m:num><m:den>{run('d')}</m:den></m:f>"
    data = bare(
        f"<w:p><w:r><w:t>Score </w:t></w:r><m:oMath {m}>{run('s=')}{fraction}</m:oMath></w:p>"
        '<w:p><w:r><w:t>10</w:t></w:r><w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr>'
        "<w:t>6</w:t></w:r></w:p>"
    )

    assert told(read(NAME, data)) == [("paragraph 1", "Score s=(q·k)/d"), ("paragraph 2", "10^6")]


def test_symbols_of_symbol_fonts_become_characters() -> None:
    data = bare(
        '<w:p><w:r><w:sym w:font="Symbol" w:char="F061"/><w:sym w:font="Wingdings" w:char="F0E0"/>'
        '<w:sym w:font="Symbol" w:char="F057"/><w:sym w:font="Other" w:char="zz"/><w:t>!</w:t></w:r></w:p>'
    )

    assert told(read(NAME, data)) == [("paragraph 1", "α→Ω!")]


def test_strict_open_xml_reads_alike() -> None:
    parts = unzipped(lecture())
    strict = {
        name: content.replace(
            b"http://schemas.openxmlformats.org/wordprocessingml/2006/main",
            b"http://purl.oclc.org/ooxml/wordprocessingml/main",
        ).replace(
            b"http://schemas.openxmlformats.org/officeDocument/2006/relationships",
            b"http://purl.oclc.org/ooxml/officeDocument/relationships",
        )
        for name, content in parts.items()
    }

    assert strict != parts
    assert read(NAME, zipped(strict)) == read(NAME, lecture())


def test_a_paragraph_in_the_clothes_of_a_heading_is_not_lost() -> None:
    word = docx.Document()
    word.add_heading("Sharding", 1)
    word.add_heading("All of this paragraph was made a heading by mistake. " * 5, 2)
    word.add_heading("An empty section", 1)
    words = [words for _, words in told(read(NAME, saved(word)))]

    assert [text[:30] for text in words] == ["All of this paragraph was made", "An empty section"]


def test_broken_xml_is_read_as_far_as_it_goes() -> None:
    parts: dict[str, str | bytes] = {**unzipped(lecture())}
    document = unzipped(lecture())["word/document.xml"].decode()
    parts["word/document.xml"] = document.partition("Optimizer states")[0]
    result = read(NAME, zipped(parts))

    assert [words for _, words in told(result)] == [
        "Two ways to use many GPUs.",
        "FSDP shards parameters.",
        "Stages",
    ]
    assert len(result.lost) == 1
    assert result.lost[0].startswith("document: malformed XML: ")


def test_a_missing_or_broken_style_sheet_costs_no_text() -> None:
    parts: dict[str, str | bytes] = {**unzipped(lecture())}
    parts["word/styles.xml"] = b"<w:styles"
    del parts["word/numbering.xml"]
    result = read(NAME, zipped(parts))

    assert "FSDP shards parameters." in [words for _, words in told(result)]
    assert [entry.partition(":")[0] for entry in result.lost] == ["styles", "numbering"]


def test_entities_are_not_expanded() -> None:
    bomb = (
        '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>'
    )
    body = f"<w:document {W}><w:body><w:p><w:r><w:t>&b;&c;</w:t></w:r></w:p></w:body></w:document>"

    assert refusal(read, "bomb.docx", zipped({"word/document.xml": bomb + body})) == (
        "failed",
        "document: declares XML entities, which are not read",
    )


def test_another_format_with_this_suffix_is_named() -> None:
    presentation = zipped({"ppt/presentation.xml": "<p:presentation xmlns:p='p'/>"})

    assert refusal(read, "a.docx", b"%PDF-1.7 ...") == (
        "failed",
        "not a Word document, but a PDF (.pdf); give it the right suffix",
    )
    assert refusal(read, "a.docx", b"<!DOCTYPE html><html>") == (
        "failed",
        "not a Word document, but a web page (.html); give it the right suffix",
    )
    assert refusal(read, "a.docx", presentation) == ("failed", "document: word/document.xml is missing")


def test_whatever_is_damaged_the_result_is_a_document_or_a_reason() -> None:
    data = lecture()
    mutants = chain(damaged(data, times=100, seed=1), damaged_parts(data, times=100, seed=2))

    assert survives(read, "lecture.docx", mutants) > 50
