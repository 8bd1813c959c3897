"""Notes to measure with: new ones, put together from the sentences of real ones, the same for the same seed.

No paragraph comes twice, so that nobody gains by finding a text that was embedded before.
"""

import os
import random
import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

from ingest import sentences
from ingest.chunk import Chunk, Place

CORPUS = Path(__file__).resolve().parent.parent / "corpus"
QUESTIONS = (
    "How does FSDP differ from DDP?",
    "What does an AI architect do?",
    "What is a KV cache and how large does it grow?",
    "When should a model be quantized to int8?",
    "How does byte pair encoding split a word?",
    "Which probes does a model server on Kubernetes need?",
    "What is the difference between a feature store and a data warehouse?",
    "How is retrieval evaluated in a RAG system?",
    "What does ZeRO stage 3 shard?",
    "How do I keep personal data out of a prompt?",
    "What belongs in a model registry?",
    "How does continuous batching raise throughput?",
    "Why does training diverge with a high learning rate?",
    "Which certification covers generative AI on a cloud?",
    "How can prompt injection be contained?",
    "What is the latency budget of an inference gateway?",
)


def sources() -> list[Path]:
    """Return the Markdown notes that sentences are taken from: ours, or those that STUDY_EVALDATA names."""
    named = os.environ.get("STUDY_EVALDATA")
    return sorted(Path(named).glob("*/corpus/**/*.md")) if named else sorted(CORPUS.rglob("*.md"))


@cache
def _material() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return sentences of prose, and headings."""
    prose, headings = [], []
    for path in sources():
        for block in re.split(r"\n\s*\n", path.read_text(encoding="utf-8", errors="replace")):
            if heading := re.fullmatch(r"#{1,6} +(.{3,60})", block.strip()):
                headings.append(heading[1])
            elif len(block) > 80 and block.lstrip()[:1].isalpha():
                found = (piece.strip() for piece in sentences.split(" ".join(block.split())))
                prose += [piece for piece in found if 20 < len(piece) < 400]
    return tuple(prose), tuple(headings)


def paragraph(dice: random.Random, characters: int) -> str:
    """Return new prose of about this length."""
    prose, _ = _material()
    found: list[str] = []
    while sum(map(len, found)) < characters:
        found.append(dice.choice(prose))
    return " ".join(found)


def note(dice: random.Random, characters: int) -> str:
    """Return a new note in Markdown: a title, and sections of paragraphs and lists."""
    _, headings = _material()
    parts = [f"# {dice.choice(headings)}"]
    length = dice.uniform(0.5, 1.5) * characters
    while sum(map(len, parts)) < length:
        if dice.random() < 0.4:
            parts.append(f"## {dice.choice(headings)}")
        if dice.random() < 0.2:
            parts.append("\n".join(f"- {paragraph(dice, 40)}" for _ in range(4)))
        else:
            parts.append(paragraph(dice, int(dice.uniform(150, min(500, length)))))
    return "\n\n".join(parts) + "\n"


def write(folder: Path, files: int, characters: int, *, seed: int) -> None:
    """Write so many new notes of about this length, in ten courses."""
    dice = random.Random(seed)
    for number in range(files):
        path = folder / f"course-{number % 10}" / f"note-{number:04}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(note(dice, characters), encoding="utf-8")


def chunks(count: int, *, seed: int, characters: int = 600) -> Iterator[Chunk]:
    """Yield so many new chunks as the chunker would make them, twenty to a note."""
    dice = random.Random(seed)
    for number in range(count):
        text = paragraph(dice, int(dice.uniform(0.5, 1.2) * characters))
        at, ordinal = f"course-{number // 20 % 10}/note-{number // 20:05}.md", number % 20
        start = ordinal * 1000
        places = (Place(start, f"§ part {ordinal}", (f"part {ordinal}",)),)
        yield Chunk(at, f"{number // 20:032x}", ordinal, start, start + len(text), text, "A note", places)


def turns(questions: Sequence[str], count: int) -> list[str]:
    """Return so many questions, over and over."""
    return [questions[i % len(questions)] for i in range(count)]
