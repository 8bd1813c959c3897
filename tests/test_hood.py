"""What is drawn under the hood of an answer when the notes are not what they were."""

from pathlib import Path

import pytest

from ingest.shelf import Shelf
from ingest.sync import sync
from tests.fakes import HashedEmbedder
from tests.served import settings_in
from ui.web.hood import map_html


@pytest.mark.parametrize(
    ("notes", "told"),
    [
        ({"empty.md": ""}, "The notes that it came from are gone"),
        ({"zebra.md": "# Zebras\n\nA zebra has stripes.\n"}, '<circle class="dot"'),
    ],
)
def test_a_map_is_drawn_of_whatever_notes_are_left(tmp_path: Path, notes: dict[str, str], told: str) -> None:
    settings = settings_in(tmp_path)
    shelf = Shelf(settings, embedder=HashedEmbedder(dim=64))
    sync(shelf)
    for path in settings.notes.rglob("*.md"):
        path.unlink()
    for name, text in notes.items():
        (settings.notes / name).write_text(text)
    sync(shelf, remove_many=True)
    assert told in map_html({"candidates": []}, "stripes", shelf.embedder, shelf.view(), True)
