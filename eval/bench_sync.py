"""How fast a folder becomes an index, what embedding alone takes of that, and how much text gets lost.

python -m eval.bench_sync HOME TEXTS    embed a JSON list of texts, with the model prepared in HOME
"""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from eval import bench_notes
from eval.bench_measure import (
    ASK,
    THEIRS,
    Place,
    Row,
    Took,
    apart,
    in_turns,
    process_row,
    seconds,
    timed,
    times_faster,
    told,
    took,
)
from eval.command import one_line, parser_of
from ingest import embed
from ingest.chunk import chunk
from ingest.embed import LEAST_COSINE
from ingest.read import read
from ingest.shelf import SPECIAL_TOKENS, Shelf
from ingest.sync import RACY_NS

if TYPE_CHECKING:
    from ingest.encode import Vectors

SLICES = 4
"""Parts in which two encoders take turns."""


def amx() -> bool:
    """Return whether the processor multiplies matrices of bfloat16 in hardware tiles."""
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


# ---------------------------------------------------------------------------------------- a folder, three times


class _Folder:
    """A folder of new notes, and the ways to sync it; each runs in a new process."""

    def __init__(self, place: Place) -> None:
        self._place, self.files = place, place.sizes.files
        settings = place.settings("sync")
        self.home, self.notes = settings.home, settings.notes
        shutil.rmtree(self.notes, ignore_errors=True)
        bench_notes.write(self.notes, self.files, place.sizes.file_characters, seed=3)
        time.sleep(RACY_NS / 1e9 + 0.1)  # so that no file looks as if it were being written
        texts, self._tokens = apart(chunk_texts, place)
        self._texts = place.folder / "texts.json"
        self._texts.write_text(json.dumps(texts), encoding="utf-8")
        self._storage = place.folder / "theirs-sync"

    def _took(self, *command: str) -> Took:
        return took(command, self._place.environment("sync"), self._place.folder)

    def ours(self) -> Took:
        return self._took(ASK, "ingest", "--json")

    def ours_first(self) -> Took:
        self._place.forget("sync")
        return self.ours()

    def alone(self) -> Took:
        return self._took(sys.executable, "-m", "eval.bench_sync", str(self.home), str(self._texts))

    def theirs(self) -> Took:
        return self._took(*THEIRS, "sync", str(self.notes), str(self._storage), str(self._tokens))

    def theirs_first(self) -> Took:
        shutil.rmtree(self._storage, ignore_errors=True)
        self._storage.mkdir()
        return self.theirs()


def syncing(place: Place) -> Iterator[Row]:
    """Sync a folder of notes: first, again, and after an edit."""
    folder = _Folder(place)
    yield from first_sync(folder, place.sizes.runs)
    yield from second_sync(folder, place.sizes.runs)
    yield edited_sync(folder, place.sizes.runs)


def first_sync(folder: _Folder, runs: int) -> Iterator[Row]:
    """Sync a folder that was never synced."""
    ours, alone = in_turns(1, folder.ours_first, folder.alone)
    theirs = folder.theirs_first()  # takes minutes, so once must do, between two of ours
    for run, embedding in zip(*in_turns(runs - 1, folder.ours_first, folder.alone), strict=True):
        ours.append(run)
        alone.append(embedding)
    chunks, their_chunks = (json.loads(run.output)["chunks"] for run in (ours[0], theirs))
    what = f"first sync of {folder.files} Markdown files ({chunks:,} chunks; theirs {their_chunks:,})"
    ratio = 1 / times_faster([run.seconds for run in ours], [run.seconds for run in alone])
    cpu = 1 / times_faster([run.cpu for run in ours], [run.cpu for run in alone])
    target = f"{ratio:.2f} (CPU {cpu:.2f})"
    yield Row(f"{what}, beside embedding its chunks alone", told(ours), told(alone), target, "≤ 1.05", ratio <= 1.05)
    yield process_row(f"{what}, whole process", ours, [theirs] * runs, 3 if amx() else 1)


def second_sync(folder: _Folder, runs: int) -> Iterator[Row]:
    """Sync a folder in which nothing changed."""
    before = _state(folder.home)
    ours, theirs = in_turns(runs, folder.ours, folder.theirs)
    yield process_row(f"second sync, nothing changed, {folder.files} files, whole process", ours, theirs, 50)
    reports = [json.loads(run.output) for run in ours]
    embedded, written = (sum(report[what] for report in reports) for what in ("embedded", "written"))
    untouched = _state(folder.home) == before
    yield Row(
        "the same: work done",
        f"{embedded} embedded, {written} written, index {'un' if untouched else ''}touched",
        "",
        "",
        "0 embeddings, 0 writes",
        untouched and not embedded and not written,
    )


def edited_sync(folder: _Folder, runs: int) -> Row:
    """Sync a folder in which one file was edited."""
    ours, theirs = [], []
    for _, path in zip(range(runs), sorted(folder.notes.rglob("*.md")), strict=False):
        with path.open("a", encoding="utf-8") as file:
            file.write("\nThe exam asks for the number of shards.\n")
        ours.append(folder.ours())
        theirs.append(folder.theirs())
    return process_row(f"sync after one edit among {folder.files} files, whole process", ours, theirs, 10)


def _state(home: Path) -> list[tuple[str, int, int]]:
    """Return name, size and time of each file of the index; the ledger's run is no part of it."""
    files = (path for path in home.glob("index-*/gen-*/**/*") if path.is_file())
    return sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files)


def chunk_texts(place: Place) -> tuple[list[str], int]:
    """Return what is embedded of the notes, and the size of a chunk in tokens."""
    shelf = Shelf(place.settings("sync"))
    texts = []
    for path in sorted(shelf.notes.rglob("*.md")):
        found = chunk(
            read(path, path.read_bytes()),
            path=path.name,
            version="0",
            count_tokens=shelf.embedder.count_tokens,
            most_tokens=shelf.chunk_tokens,
        )
        texts += [one.words for one in found]
    return texts, shelf.chunk_tokens


def embed_alone(home: Path, texts: Path) -> None:
    """Embed a JSON list of texts."""
    embed.load(home).encode_documents(json.loads(texts.read_text()))


# ------------------------------------------------------------------------------------------------- the embedding


def embedding(place: Place) -> Iterator[Row]:
    """Embed the same chunks by our document encoder and by sentence-transformers."""
    ours, theirs, cosine = apart(encode_both, place)
    per_slice = place.sizes.embedded / SLICES
    ratio = times_faster(ours, theirs)
    least = 3 if amx() else 1
    yield Row(
        "embedding beside torch fp32, on one core",
        _rate(ours, per_slice),
        _rate(theirs, per_slice),
        f"{ratio:.1f}",
        f"≥ {least} times faster" if least > 1 else "never slower (3 times faster with AMX)",
        ratio >= least,
    )
    yield Row(
        f"least cosine between the two, {place.sizes.embedded:,} chunks",
        f"{cosine:.5f}",
        "1",
        "",
        f"≥ {LEAST_COSINE}",
        cosine >= LEAST_COSINE,
    )


def _rate(taken: Sequence[float], chunks: float) -> str:
    return f"{chunks / median(taken):.0f} chunks/s ({seconds(taken)} for {chunks:.0f})"


def encode_both(place: Place) -> tuple[list[float], list[float], float]:
    """Return seconds per slice of ours and theirs, and the least cosine.

    On one core, where the system can arrange that: threads that wait for each other lose far more than their
    share on a machine that has other work.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    from sentence_transformers import SentenceTransformer

    embedder = Shelf(place.settings("embedding")).embedder
    transformer = SentenceTransformer(embedder.model.source, device="cpu")
    texts = [one.words for one in bench_notes.chunks(place.sizes.embedded, seed=4)]
    size = -(-len(texts) // SLICES)
    slices = [texts[:16], *(texts[first : first + size] for first in range(0, len(texts), size))]
    ours: list[Vectors] = []
    theirs: list[Vectors] = []

    def encode() -> float:
        return timed(lambda: ours.append(embedder.encode_documents(slices[len(ours)])))

    def their_encode() -> float:
        part = slices[len(theirs)]
        return timed(
            lambda: theirs.append(transformer.encode(part, normalize_embeddings=True, show_progress_bar=False))
        )

    times = in_turns(len(slices), encode, their_encode)
    cosines = (np.concatenate(ours) * np.concatenate(theirs)).sum(axis=1)
    return times[0][1:], times[1][1:], float(cosines.min())  # the first slice was for warming up


# ------------------------------------------------------------------------------------------------ what gets lost


def truncation(place: Place) -> Iterator[Row]:
    """Count the tokens that the model never reads, since a chunk is longer than it takes."""
    (ours, our_tokens), (theirs, their_tokens) = apart(lost_tokens, place)
    yield Row(
        f"tokens lost to truncation, {len(bench_notes.sources())} real Markdown notes",
        f"{ours:.2%} of {our_tokens:,}",
        f"its default splitter: {theirs:.0%} of {their_tokens:,}",
        "",
        "≤ 1%",
        ours <= 0.01,
    )


def lost_tokens(place: Place) -> tuple[tuple[float, int], tuple[float, int]]:
    """Return the share of tokens lost and how many there were, of our chunks and of llama-index's by default."""
    from llama_index.core import Document
    from llama_index.core.node_parser import SentenceSplitter
    from llama_index.core.schema import MetadataMode

    shelf = Shelf(place.settings("truncation"))
    count, room = shelf.embedder.count_tokens, shelf.embedder.model.max_tokens - SPECIAL_TOKENS
    ours: list[int] = []
    theirs: list[int] = []
    splitter = SentenceSplitter()
    for path in bench_notes.sources():
        document = read(path, path.read_bytes())
        chunks = chunk(document, path=path.name, version="0", count_tokens=count, most_tokens=shelf.chunk_tokens)
        ours += count([one.words for one in chunks])
        nodes = splitter.get_nodes_from_documents([Document(text=document.text)])
        theirs += count([node.get_content(MetadataMode.EMBED) for node in nodes])
    return lost_share(ours, room), lost_share(theirs, room)


def lost_share(sizes: Sequence[int], room: int) -> tuple[float, int]:
    """Return the share of tokens beyond the first `room` of each chunk, and how many tokens there are."""
    return sum(max(0, size - room) for size in sizes) / max(1, sum(sizes)), sum(sizes)


if __name__ == "__main__":
    parser = parser_of("bench_sync", __doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("texts", type=Path)
    with one_line():
        embed_alone(**vars(parser.parse_args()))
