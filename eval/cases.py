"""Questions with what should be found for them, as JSON lines; unknown fields are ignored.

    {"id": "ml4b-1-2", "question": "What is …?", "answer": "the use of neural networks", "answerable": true,
     "gold_units": ["1-Introduction/1-intro-to-ML"], "gold_sentences": []}

`docs.jsonl` beside it, where there is one, says which unit (a lesson of several files) a file belongs to.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Case:
    """One question."""

    id: str
    question: str
    kind: str
    """open, mcq, tf or multi."""
    answerable: bool
    """Whether the notes answer it."""
    answers: tuple[str, ...]
    """Right answers; any of them will do."""
    gold_units: tuple[str, ...]
    """Units that hold the answer."""
    gold_docs: tuple[str, ...]
    """Files that hold it."""
    gold_sentences: tuple[str, ...]
    """Sentences of the notes that hold it."""


def read_cases(path: Path, *, answerable: bool = True) -> list[Case]:
    """Read a file of cases; `answerable` is what a line that does not say so means."""
    return [_case(line, answerable) for line in _lines(path)]


def read_units(path: Path) -> dict[str, str]:
    """Return the unit of each file, from docs.jsonl; a file that is not named is its own unit."""
    return {line["path"]: line["unit"] for line in _lines(path)} if path.is_file() else {}


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.strip():
                yield json.loads(line)


def _case(line: dict[str, Any], answerable: bool) -> Case:
    answer = line.get("answer") or ""
    return Case(
        id=str(line["id"]),
        question=line["question"],
        kind=line.get("kind", "open"),
        answerable=line.get("answerable", answerable),
        answers=tuple(line.get("answers") or ([answer] if answer else [])),
        gold_units=tuple(line.get("gold_units") or line.get("gold_docs") or ()),
        gold_docs=tuple(line.get("gold_docs") or ()),
        gold_sentences=tuple(line.get("gold_sentences") or ()),
    )
