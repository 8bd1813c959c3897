from io import BytesIO
from itertools import chain
from pathlib import Path

import pptx
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.presentation import Presentation
from pptx.slide import Slide
from pptx.util import Cm

from ingest.read.pptx import read
from tests.readings import damaged, damaged_parts, headings, kinds, refusal, survives, told, unzipped, zipped

NAME = Path("slides.pptx")
TITLE, BULLETS, TITLE_ONLY, BLANK = 0, 1, 5, 6


def saved(deck: Presentation) -> bytes:
    buffer = BytesIO()
    deck.save(buffer)
    return buffer.getvalue()


def add(deck: Presentation, layout: int, *texts: str) -> Slide:
    """Add a slide and fill its placeholders."""
    slide = deck.slides.add_slide(deck.slide_layouts[layout])
    for placeholder, text in zip(slide.placeholders, texts, strict=False):
        placeholder.text = text
    return slide


def box(slide: Slide, left: float, top: float, text: str) -> None:
    slide.shapes.add_textbox(Cm(left), Cm(top), Cm(5), Cm(1)).text_frame.text = text


def lecture() -> bytes:
    deck = pptx.Presentation()
    add(deck, TITLE, "Serving", "What a token costs")
    slide = add(deck, BULLETS, "Two phases", "Prefill is limited by compute\nDecode by bandwidth")
    slide.notes_slide.notes_text_frame.text = "That is why batching pays."
    table = add(deck, TITLE_ONLY, "Levers").shapes.add_table(2, 2, Cm(1), Cm(5), Cm(10), Cm(2)).table
    for at, text in enumerate(["Lever", "Price", "FP8", "Accuracy"]):
        table.cell(at // 2, at % 2).text = text
    return saved(deck)


def test_a_part_whose_number_has_no_end_is_no_slide() -> None:
    words = "<sld><cSld><spTree><sp><txBody><p><t>Words.</t></p></txBody></sp></spTree></cSld></sld>"
    parts = {"ppt/slides/slide1.xml": words, f"ppt/slides/slide{'9' * 5000}.xml": words}

    assert told(read(NAME, zipped(parts))) == [("slide 1", "Words.")]


def test_blocks_are_found_by_their_slide_below_its_title() -> None:
    document = read(NAME, lecture())

    assert document.title == "Serving"
    assert told(document) == [
        ("slide 1", "What a token costs"),
        ("slide 2", "- Prefill is limited by compute\n- Decode by bandwidth"),
        ("slide 2", "Notes: That is why batching pays."),
        ("slide 3", "| Lever | Price |\n| --- | --- |\n| FP8 | Accuracy |"),
    ]
    assert kinds(document) == ["text", "list", "text", "table"]
    assert headings(document) == [(), ("Two phases",), ("Two phases",), ("Levers",)]
    assert document.text.startswith("Serving\n\nWhat a token costs\n\nTwo phases\n\n- Prefill")


def test_shapes_are_read_from_the_top_left_groups_and_slanted_rows_included() -> None:
    deck = pptx.Presentation()
    slide = add(deck, BLANK)
    box(slide, 10, 10, "bottom")
    box(slide, 10, 2.1, "right")
    group = slide.shapes.add_group_shape()
    for left, text in ((6, "middle, right"), (5, "middle, left")):
        group.shapes.add_textbox(Cm(left), Cm(5), Cm(1), Cm(1)).text_frame.text = text
    box(slide, 1, 2.3, "left")

    assert [text for _, text in told(read(NAME, saved(deck)))] == [
        "left",
        "right",
        "middle, left",
        "middle, right",
        "bottom",
    ]


def test_a_placeholder_stands_where_its_layout_puts_it() -> None:
    deck = pptx.Presentation()
    slide = add(deck, BULLETS, "Title", "In the placeholder")
    box(slide, 1, 0.1, "Above it")
    box(slide, 1, 18, "Below it")

    assert [text for _, text in told(read(NAME, saved(deck)))] == [
        "Above it",
        "In the placeholder",
        "Below it",
    ]


def test_levels_of_bullets_are_kept() -> None:
    deck = pptx.Presentation()
    slide = add(deck, BULLETS, "Memory", "Weights\n16 GB in bf16\nCache")
    slide.placeholders[1].text_frame.paragraphs[1].level = 1

    assert told(read(NAME, saved(deck))) == [("slide 1", "- Weights\n  - 16 GB in bf16\n- Cache")]


def test_a_slide_of_nothing_but_a_title_and_a_hidden_slide_can_be_found() -> None:
    deck = pptx.Presentation()
    add(deck, TITLE_ONLY, "Part 2: training")
    add(deck, BULLETS, "Spare", "Only if there is time").element.set("show", "0")

    assert told(read(NAME, saved(deck))) == [
        ("slide 1", "Part 2: training"),
        ("slide 2", "Only if there is time"),
    ]


def test_the_figures_of_a_chart_become_a_table() -> None:
    deck = pptx.Presentation()
    slide = add(deck, BLANK)
    data = CategoryChartData()
    data.categories = ["A100", "H100"]
    data.add_series("SMs", (108, 132))
    kind = XL_CHART_TYPE.COLUMN_CLUSTERED
    chart = slide.shapes.add_chart(kind, Cm(1), Cm(1), Cm(10), Cm(8), data).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "Processors"

    assert told(read(NAME, saved(deck))) == [
        ("slide 1", "Processors"),
        ("slide 1", "|  | SMs |\n| --- | --- |\n| A100 | 108 |\n| H100 | 132 |"),
    ]


def test_the_words_of_a_diagram_become_a_list() -> None:
    deck = pptx.Presentation()
    add(deck, TITLE_ONLY, "Pipeline")
    parts: dict[str, str | bytes] = {**unzipped(saved(deck))}
    frame = (
        '<p:graphicFrame><a:graphic><a:graphicData><dgm:relIds xmlns:dgm="dgm" r:dm="rId99"/></a:graphicData>'
        "</a:graphic></p:graphicFrame></p:spTree>"
    )
    slide, rels = "ppt/slides/slide1.xml", "ppt/slides/_rels/slide1.xml.rels"
    parts[slide] = unzipped(saved(deck))[slide].decode().replace("</p:spTree>", frame)
    relation = '<Relationship Id="rId99" Type="x/diagramData" Target="../diagrams/data1.xml"/></Relationships>'
    parts[rels] = unzipped(saved(deck))[rels].decode().replace("</Relationships>", relation)
    point = "<d:pt><d:t><a:p><a:r><a:t>{}</a:t></a:r></a:p></d:t></d:pt>".format
    parts["ppt/diagrams/data1.xml"] = (
        f"<d:dataModel xmlns:d='d' xmlns:a='a'><d:ptLst>{point('Read')}<d:pt/>{point('Chunk')}</d:ptLst></d:dataModel>"
    )

    assert told(read(NAME, zipped(parts))) == [("slide 1", "- Read\n- Chunk")]


def test_arrows_of_a_symbol_font_become_characters() -> None:
    deck = pptx.Presentation()
    box(add(deck, BLANK), 1, 1, "prefill \uf0e0 decode")

    assert told(read(NAME, saved(deck))) == [("slide 1", "prefill → decode")]


def test_exponents_stay_readable() -> None:
    deck = pptx.Presentation()
    slide = add(deck, BLANK)
    box(slide, 1, 1, "about 10")
    run = slide.shapes[0].text_frame.paragraphs[0].add_run()
    run.text = "12"
    run.font._element.set("baseline", "30000")

    assert told(read(NAME, saved(deck))) == [("slide 1", "about 10^12")]


def test_dates_footers_and_slide_numbers_are_dropped() -> None:
    deck = pptx.Presentation()
    slide = add(deck, BULLETS, "Title", "Words")
    for kind in ("dt", "ftr", "sldNum"):
        box(slide, 1, 1, kind)
        slide.shapes[-1].element.nvSpPr.nvPr.get_or_add_ph().set("type", kind)

    assert told(read(NAME, saved(deck))) == [("slide 1", "Words")]


def test_a_broken_slide_loses_only_what_follows_the_break() -> None:
    parts: dict[str, str | bytes] = {**unzipped(lecture())}
    parts["ppt/slides/slide2.xml"] = b"<p:sld>\0\0 nothing of this can be read"
    del parts["ppt/slides/slide1.xml"]
    document = read(NAME, zipped(parts))

    assert told(document) == [
        ("slide 2", "Notes: That is why batching pays."),
        ("slide 3", "| Lever | Price |\n| --- | --- |\n| FP8 | Accuracy |"),
    ]
    assert document.lost[0] == "slide 1: ppt/slides/slide1.xml is missing"
    assert document.lost[1].startswith("slide 2: malformed XML: ")
    assert len(document.lost) == 2


def test_slides_are_found_by_their_number_where_the_presentation_is_broken() -> None:
    parts: dict[str, str | bytes] = {**unzipped(lecture())}
    parts["ppt/presentation.xml"] = b"no xml"
    document = read(NAME, zipped(parts))

    assert [place for place, _ in told(document)] == ["slide 1", "slide 2", "slide 2", "slide 3"]
    assert document.lost[0].startswith("list of slides: malformed XML: ")


def test_a_word_document_is_no_presentation() -> None:
    assert refusal(read, "a.pptx", zipped({"word/document.xml": "<w:document xmlns:w='w'/>"})) == (
        "failed",
        "not a PowerPoint presentation: no slide in it",
    )


def test_whatever_is_damaged_the_result_is_a_document_or_a_reason() -> None:
    data = lecture()
    mutants = chain(damaged(data, times=100, seed=3), damaged_parts(data, times=100, seed=4))

    assert survives(read, "slides.pptx", mutants) > 50
