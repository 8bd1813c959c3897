"""Ray runs here with two cores, on 127.0.0.1; what it makes is compared with the local engine, point for point."""

import importlib.util
import json
import os
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ingest.embed import Embedder
from ingest.index import Entry, payload_of
from ingest.ledger import Note
from ingest.parse import Here, Parsed
from ingest.report import Report
from ingest.settings import IngestSettings
from ingest.shelf import Shelf
from ingest.spread import EngineUnavailable, Ray, _started
from ingest.sync import sync
from ingest.walk import walk
from tests.conftest import ROOT
from tests.fakes import HashedEmbedder

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray warns of what it calls itself, and leaves sockets to its end
    # Not imported: it reads the variables that `_started` sets when it is.
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="the extra `ray` is not installed"),
]

WORDS = (
    "FSDP shards parameters gradients optimizer states across ranks while DDP keeps a replica on each and reduces "
    "them after the backward pass attention scales with the square of the sequence π 訓練 naïve café"
).split()


def sentence(dice: random.Random, count: int) -> str:
    return " ".join(dice.choices(WORDS, k=count)).capitalize() + "."


def note(dice: random.Random, number: int) -> tuple[str, bytes]:
    """Return the name and the bytes of a note in one of eight formats."""
    said = [sentence(dice, dice.randrange(5, 60)) for _ in range(dice.randrange(1, 30))]
    paragraphs = "\n\n".join(said)
    forms = [
        ("md", f"# Note {number}\n\n{paragraphs}\n\n## More\n\n| a | b |\n|---|---|\n| {number} | 2 |\n"),
        ("txt", paragraphs),
        ("py", f'"""{said[0]}"""\n\n\ndef note_{number}() -> int:\n    return {number}\n'),
        ("csv", "question,answer\n" + "".join(f"{number},{line}\n" for line in said)),
        ("html", f"<main><h1>Note {number}</h1>" + "".join(f"<p>{line}</p>" for line in said) + "</main>"),
        ("vtt", f"WEBVTT\n\n00:00.000 --> 00:09.000\n{said[0]}\n"),
        ("ipynb", json.dumps({"cells": [{"cell_type": "markdown", "source": said}], "nbformat": 4, "metadata": {}})),
        ("txt", "" if number % 3 else "\0\1\2" * 40),  # empty, or no text at all
    ]
    suffix, text = forms[number % len(forms)]
    return f"course-{number % 5}/note-{number}.{suffix}", text.encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two hundred notes."""
    dice = random.Random(7)
    for number in range(200):
        name, data = note(dice, number)
        path = tmp_path / "notes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A Ray that all tests of this file share."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setenv("PYTHONPATH", str(ROOT))
        with _started(2) as ray:
            yield ray


def shelf_of(folder: Path, embedder: Embedder) -> Shelf:
    return Shelf(IngestSettings(home=folder / "home", notes=folder / "notes"), embedder=embedder)


def points(made: Sequence[Parsed], embedder: Embedder) -> dict[str, tuple[dict[str, Any], Any]]:
    """Return payload and vector by id, as sync would write them: what has no vector yet is embedded."""
    chunks = [one for parsed in made for one in parsed.chunks or ()]
    vectors = {key: vector for parsed in made for key, vector in parsed.vectors.items()}
    rest = {one.key: one.words for one in chunks if one.key not in vectors}
    vectors |= dict(zip(rest, embedder.encode_documents(list(rest.values())), strict=True))
    entries = [Entry(one, one.words, vectors[one.key]) for one in chunks]
    return {entry.chunk.id: (payload_of(entry), entry.vector) for entry in entries}


def rows(made: Sequence[Parsed]) -> list[tuple[Note, str]]:
    return [(replace(parsed.note, read_ns=0), parsed.text) for parsed in made]


def test_two_hundred_files_come_to_the_same_points_as_here(folder: Path, cluster: Any, models: Path) -> None:
    (folder / "home").mkdir()
    (folder / "home" / "models").symlink_to(models)
    shelf = Shelf(IngestSettings(home=folder / "home", notes=folder / "notes"))
    files = walk(shelf.notes).files
    here = list(Here().parse(shelf, files, {}, again=False))
    there = list(Ray().parse(shelf, files, {}, again=False))

    assert len(here) == 200
    assert rows(there) == rows(here)
    assert {parsed.note.state for parsed in here} == {"indexed", "empty", "failed"}
    ours, theirs = points(here, shelf.embedder), points(there, shelf.embedder)
    assert len(ours) > 500
    assert all(one.key in parsed.vectors for parsed in there for one in parsed.chunks or ())
    assert {id_: payload for id_, (payload, _) in theirs.items()} == {
        id_: payload for id_, (payload, _) in ours.items()
    }
    assert max(float(np.abs(np.subtract(ours[id_][1], theirs[id_][1])).max()) for id_ in ours) < 1e-6


def test_what_the_last_generation_has_is_neither_parsed_nor_embedded_again(folder: Path, cluster: Any) -> None:
    shelf = shelf_of(folder, HashedEmbedder())
    paragraphs = [f"Paragraph {number}. " + "It has words of its own. " * 12 for number in range(4)]
    edited, copied = shelf.notes / "edited.md", shelf.notes / "copied.md"
    edited.write_text("\n\n".join(paragraphs))
    sync(shelf)
    known = shelf.ledger.notes()
    edited.write_text("\n\n".join([*paragraphs[:3], "Another end. " * 20]))
    copied.write_bytes((shelf.notes / "course-0" / "note-0.md").read_bytes())

    files = walk(shelf.notes).files
    here = list(Here().parse(shelf, files, known, again=False))
    there = list(Ray(load=HashedEmbedder).parse(shelf, files, known, again=False))
    assert rows(there) == rows(here)
    parsed_again = [parsed.note.path for parsed in there if parsed.chunks]
    assert parsed_again == ["copied.md", "edited.md"]
    made = {parsed.note.path: parsed.vectors for parsed in there if parsed.vectors}
    assert list(made) == ["edited.md"]
    chunks = next(parsed.chunks for parsed in there if parsed.note.path == "edited.md") or ()
    new = [one for one in chunks if "Another end" in one.text]
    assert list(made["edited.md"]) == [one.key for one in new]
    assert len(chunks) > len(new) > 0


def test_an_error_of_ours_on_a_worker_is_told_in_its_own_words(folder: Path, cluster: Any) -> None:
    other = HashedEmbedder()
    other.model = replace(other.model, sha256="1" * 64)
    shelf = shelf_of(folder, other)
    with pytest.raises(EngineUnavailable, match=r"^a machine of the cluster has another model of the name hashed"):
        list(Ray(load=HashedEmbedder).parse(shelf, walk(shelf.notes).files[:3], {}, again=False))


def synced(folder: Path, home: str, engine: Ray | None) -> tuple[dict[str, Any], dict[str, Note], Report]:
    """Return every point, every row and the report of a sync."""
    shelf = Shelf(IngestSettings(home=folder / home, notes=folder / "notes"), embedder=HashedEmbedder())
    report = sync(shelf, engine=engine)
    with closing(shelf):
        chunks = {one.id: (one, list(vector)) for one, vector in shelf.view().scroll()}
        return chunks, {path: replace(note, read_ns=0) for path, note in shelf.ledger.notes().items()}, report


def test_a_sync_by_ray_leaves_the_same_index_and_the_same_ledger(folder: Path, cluster: Any) -> None:
    here, there = synced(folder, "here", None), synced(folder, "there", Ray(load=HashedEmbedder))
    assert there[:2] == here[:2]
    assert len(here[0]) > 500
    assert there[2].by_state == here[2].by_state
    assert there[2].written == len(there[0])


def test_an_actor_that_dies_loses_nothing(folder: Path, cluster: Any) -> None:
    died = folder / "died"

    def dies_once() -> Embedder:
        with suppress(FileExistsError):
            died.touch(exist_ok=False)
            os._exit(1)  # as if it had been killed
        return HashedEmbedder()

    here, there = synced(folder, "here", None), synced(folder, "there", Ray(load=dies_once))
    assert died.exists()
    assert there[:2] == here[:2]


def test_where_embedding_fails_the_index_stays_as_it_was(folder: Path, cluster: Any) -> None:
    class Fails(HashedEmbedder):
        def encode_documents(self, texts: Sequence[str]) -> Any:
            raise MemoryError("no room")

    shelf = shelf_of(folder, HashedEmbedder())
    sync(shelf, within=["course-0"])
    (folder / "notes" / "new.md").write_text("A new note.")
    with pytest.raises(EngineUnavailable, match=r"^Ray failed .*; the index stays as it was; run: ask ingest$"):
        sync(shelf, engine=Ray(load=Fails))
    assert shelf.ledger.generation == 1
    assert shelf.ledger.runs(1)[0].error.startswith("Ray failed")
    assert sync(shelf, engine=Ray(load=HashedEmbedder)).generation == 2


def test_where_ray_is_not_installed_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    told = r"^Ray is not installed; run: .*python.* -m pip install 'ray\[data\]"
    with pytest.raises(EngineUnavailable, match=told), _started(1):
        pass


def test_the_ray_that_is_started_here_listens_on_this_machine_alone(cluster: Any) -> None:
    assert [name for name in cluster.cluster_resources() if name.startswith("node:1")] == ["node:127.0.0.1"]
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_no_file_needs_no_ray(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    assert list(Ray().parse(shelf_of(tmp_path, HashedEmbedder()), [], {}, again=False)) == []


def test_a_cluster_that_is_not_there_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("Note.")
    shelf = shelf_of(tmp_path, HashedEmbedder())
    with pytest.raises(EngineUnavailable, match=r"no Ray cluster answers at 127\.0\.0\.1:9"):
        list(Ray(load=HashedEmbedder).parse(shelf, walk(shelf.notes).files, {}, again=False))
