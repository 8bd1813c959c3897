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
from ingest import embed
from ingest.chunk import chunk
from ingest.embed import LEAST_COSINE
from ingest.read import read
from ingest.shelf import SPECIAL_TOKENS, Shelf
from ingest.sync import RACY_NS

if TYPE_CHECKING:
    from ingest.embed import Vectors

SLICES = 4
"""Parts in which two encoders take turns."""


def amx() -> bool:
    """Return whether the processor multiplies matrices of bfloat16 in hardware tiles."""
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


# ---------------------------------------------------------------------------------------- a folder, three times


def syncing(place: Place) -> Iterator[Row]:
    """Sync a folder of small notes: first, again, and after an edit; each time in a new process."""
    settings = place.settings("sync")
    shutil.rmtree(settings.notes, ignore_errors=True)
    bench_notes.write(settings.notes, place.sizes.files, place.sizes.file_characters, seed=3)
    time.sleep(RACY_NS / 1e9 + 0.1)  # the last file was not written just now
    texts, tokens = apart(chunk_texts, place)
    (place.folder / "texts.json").write_text(json.dumps(texts))
    environment, storage = place.environment("sync"), place.folder / "theirs-sync"
    embedding = [sys.executable, "-m", "eval.bench_sync", str(settings.home), str(place.folder / "texts.json")]

    def ours_first() -> Took:
        place.forget("sync")
        return took([ASK, "ingest", "--json"], environment, place.folder)

    def theirs_first() -> Took:
        shutil.rmtree(storage, ignore_errors=True)
        storage.mkdir()
        return theirs()

    def theirs() -> Took:
        command = [*THEIRS, "sync", str(settings.notes), str(storage), str(tokens)]
        return took(command, environment, place.folder)

    def ours() -> Took:
        return took([ASK, "ingest", "--json"], environment, place.folder)

    first, alone, their_first = in_turns(
        max(1, place.sizes.runs - 1),
        ours_first,
        lambda: took(embedding, environment, place.folder),
        theirs_first,
    )
    chunks, their_chunks = json.loads(first[-1].output)["chunks"], json.loads(their_first[-1].output)["chunks"]
    what = f"first sync of {place.sizes.files} Markdown files ({chunks:,} chunks; theirs {their_chunks:,})"
    ratio = 1 / times_faster([run.seconds for run in first], [run.seconds for run in alone])
    cpu = 1 / times_faster([run.cpu for run in first], [run.cpu for run in alone])
    yield Row(
        f"{what}, beside embedding its chunks alone",
        told(first),
        told(alone),
        f"{ratio:.2f} (CPU {cpu:.2f})",
        "≤ 1.05",
        ratio <= 1.05,
    )
    yield process_row(f"{what}, whole process", first, their_first, 3 if amx() else 1)

    before = _state(settings.home)
    again, their_again = in_turns(place.sizes.runs, ours, theirs)
    yield process_row(f"second sync, nothing changed, {place.sizes.files} files", again, their_again, 50)
    reports = [json.loads(run.output) for run in again]
    embedded, written = (sum(report[what] for report in reports) for what in ("embedded", "written"))
    untouched = _state(settings.home) == before
    yield Row(
        "the same: work done",
        f"{embedded} embedded, {written} written, index {'un' if untouched else ''}touched",
        "",
        "",
        "0 embeddings, 0 writes",
        untouched and not embedded and not written,
    )

    edits = iter(sorted(settings.notes.rglob("*.md")))
    after, their_after = [], []
    for _ in range(place.sizes.runs):
        with next(edits).open("a", encoding="utf-8") as file:
            file.write("\nThe exam asks for the number of shards.\n")
        after.append(ours())
        their_after.append(theirs())
    yield process_row(f"sync after one edit among {place.sizes.files} files", after, their_after, 10)


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


def embed_alone(home: str, texts: str) -> None:
    """Embed a JSON list of texts."""
    embed.load(Path(home)).encode_documents(json.loads(Path(texts).read_text()))


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
    texts = [one.words for one in bench_notes.chunks(place.sizes.embedded, seed=4, characters=900)]
    size = -(-len(texts) // SLICES)
    slices = [texts[first : first + size] for first in range(0, len(texts), size)]
    found: tuple[list[Vectors], list[Vectors]] = ([], [])

    def ours() -> float:
        return timed(lambda: found[0].append(embedder.encode_documents(slices[len(found[0]) - 1])))

    def theirs() -> float:
        part = slices[len(found[1]) - 1]
        return timed(
            lambda: found[1].append(transformer.encode(part, normalize_embeddings=True, show_progress_bar=False))
        )

    times = in_turns(len(slices) + 1, ours, theirs)  # the first is for warming up: it takes the last slice
    cosines = (np.concatenate(found[0]) * np.concatenate(found[1])).sum(axis=1)
    return times[0][1:], times[1][1:], float(cosines.min())


# ------------------------------------------------------------------------------------------------ what gets lost


def truncation(place: Place) -> Iterator[Row]:
    """Count the tokens that the model never reads, since a chunk is longer than it takes."""
    (ours, our_tokens), (theirs, their_tokens) = apart(lost_tokens, place)
    yield Row(
        f"tokens lost to truncation, {len(bench_notes.sources())} real Markdown notes",
        f"{ours:.2%} of {our_tokens:,}",
        f"its default splitter: {theirs:.0%} of {their_tokens:,}",
        "",
        "≤ 1 %",
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
    embed_alone(*sys.argv[1:])
