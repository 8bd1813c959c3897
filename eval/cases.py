"""Questions with what should be found for them, as JSON lines; unknown fields are ignored.

    {"id": "ml4b-1-2", "question": "What is …?", "answer": "the use of neural networks", "answerable": true,
     "gold_units": ["1-Introduction/1-intro-to-ML"], "gold_sentences": [], "kind": "mcq", "tags": ["single fact"],
     "options": [{"text": "the use of neural networks", "correct": true}, {"text": "…", "correct": false}]}

`docs.jsonl` beside it, where there is one, says which unit (a lesson of several files) a file belongs to, and
`ood_queries.jsonl` has questions that these notes don't answer. A gold sentence may also be given with its note:
`"gold_passages": [{"path": "a.md", "quote": "…"}]`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ingest.errors import StudyError


class Option(NamedTuple):
    """One of the answers to choose from."""

    text: str
    correct: bool


class Quote(NamedTuple):
    """A stretch of a note that holds the answer."""

    path: str
    quote: str


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
    gold_passages: tuple[Quote, ...] = ()
    """The same, each with its note."""
    options: tuple[Option, ...] = ()
    """To choose from; empty for an open question."""
    tags: tuple[str, ...] = ()
    """What kind of question it is, for scores by kind."""
    asked_before: tuple[str, ...] = ()
    """Earlier questions of the conversation, oldest first, where it is a follow-up."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """By what its scores are told apart: its tags, or else its kind."""
        return self.tags or (self.kind,)


class BadCases(StudyError):
    """A file of cases can't be used."""


def read_cases(path: Path, *, answerable: bool = True) -> list[Case]:
    """Read a file of cases; `answerable` is what a line that does not say so means.

    Raises:
        BadCases: It is not there, or a line of it is no case.
    """
    found = []
    for number, line in enumerate(_lines(path), start=1):
        try:
            found.append(_case(line, answerable))
        except (LookupError, TypeError, AttributeError) as error:
            raise BadCases(
                f"{path}: case {number} lacks or misspells something ({error!r}); see eval/cases.py"
            ) from None
    return found


def read_units(path: Path) -> dict[str, str]:
    """Return the unit of each file, from docs.jsonl; a file that is not named is its own unit."""
    return {line["path"]: line["unit"] for line in _lines(path)} if path.is_file() else {}


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError):
        raise BadCases(f"there is no file of cases at {path}; name one: --cases FILE") from None
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as error:
                raise BadCases(f"{path}, line {number}: not JSON ({error})") from None


def _case(line: dict[str, Any], answerable: bool) -> Case:
    answer = line.get("answer") or ""
    passages = tuple(Quote(one["path"], one["quote"]) for one in line.get("gold_passages") or ())
    docs = tuple(line.get("gold_docs") or dict.fromkeys(passage.path for passage in passages))
    return Case(
        id=str(line["id"]),
        question=line["question"],
        kind=line.get("kind", "open"),
        answerable=line.get("answerable", answerable),
        answers=tuple(line.get("answers") or ([answer] if answer else [])),
        gold_units=tuple(line.get("gold_units") or docs),
        gold_docs=docs,
        gold_sentences=tuple(line.get("gold_sentences") or ()),
        gold_passages=passages,
        options=tuple(Option(one["text"], bool(one["correct"])) for one in line.get("options") or ()),
        tags=tuple(line.get("tags") or ()),
        asked_before=tuple(line.get("history") or ()),
    )
