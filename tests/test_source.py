"""A note opens at the place that a reading names, whatever its format calls a place."""

from pathlib import PurePath

import pytest

from assistant.settings import AssistantSettings
from ingest.shelf import Shelf
from ui.web.source import note_html


@pytest.fixture
def shelf(corpus_settings: AssistantSettings) -> Shelf:
    return Shelf(corpus_settings)


def test_a_note_of_any_format_opens_at_each_of_its_places(shelf: Shelf) -> None:
    last = {PurePath(chunk.path).suffix: (chunk.path, chunk.places[-1].locator) for chunk, _ in shelf.view().scroll()}
    assert {".md", ".pdf", ".pptx", ".vtt", ".ipynb", ".docx", ".html"} <= set(last)
    closed = [place for place in last.values() if '<mark id="quote">' not in note_html(shelf, *place)]
    assert closed == []


def test_a_lecture_opens_at_the_minute(shelf: Shelf) -> None:
    shown = note_html(shelf, "foundations/lecture-gpu-architecture.vtt", "00:02:33")
    before, _, after = shown.partition('<mark id="quote">')
    assert len(before) > 1000
    text = shelf.ledger.text(shelf.ledger.note("foundations/lecture-gpu-architecture.vtt").version)  # type: ignore[union-attr]
    assert text is not None
    assert after.split("</mark>")[0][:40] in text


def test_a_place_that_is_gone_opens_the_note_at_the_top(shelf: Shelf) -> None:
    shown = note_html(shelf, "foundations/machine-learning.md", "§ Gone")
    assert "<mark" not in shown
    assert "Machine learning" in shown
