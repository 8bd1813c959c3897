"""Questions with what should be found for them, as JSON lines; unknown fields are ignored.

    {"id": "ml4b-1-2", "question": "What is …?", "answer": "the use of neural networks", "answerable": true,
     "gold_units": ["1-Introduction/1-intro-to-ML"], "gold_sentences": [], "kind": "mcq", "tags": ["single fact"],
     "options": [{"text": "the use of neural networks", "correct": true}, {"text": "…", "correct": false}]}

`docs.jsonl` beside it, where there is one, says which unit (a lesson of several files) a file belongs to, and
`ood_queries.jsonl` has questions that these notes don't answer. A gold sentence may also be given with its note:
`"gold_passages": [{"path": "a.md", "quote": "…"}]`.
"""

import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ingest.errors import StudyError

OTHERS, UNITS = "ood_queries.jsonl", "docs.jsonl"
"""Beside a file of cases: questions of other subjects, and the units of files."""


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
    """A file of cases, or what was accepted for them, can't be used."""


def read_cases(path: Path, *, answerable: bool = True) -> list[Case]:
    """Read a file of cases; `answerable` is what a line that does not say so means.

    Raises:
        BadCases: It is not there, a line of it is no case, or two cases have one id.
    """
    if not path.is_file():
        raise BadCases(f"there is no file of cases at {path}; name one: --cases FILE")
    found: dict[str, Case] = {}
    for number, line in read_lines(path):
        try:
            case = _case(line, answerable)
        except (LookupError, TypeError) as error:
            told = f"lacks {error}" if isinstance(error, KeyError) else str(error)
            raise BadCases(f"{path}, line {number}: {told}; the form of a case: eval/cases.py") from None
        if case.id in found:
            raise BadCases(f"{path}, line {number}: a second case with the id {case.id}; each needs one of its own")
        found[case.id] = case
    return list(found.values())


def read_others(cases: Path) -> list[Case]:
    """Return the questions of other subjects that lie beside a file of cases, if any do.

    Raises:
        BadCases: As `read_cases` does.
    """
    path = cases.with_name(OTHERS)
    return read_cases(path, answerable=False) if path.is_file() else []


def read_units(path: Path) -> dict[str, str]:
    """Return the unit of each file, from docs.jsonl; a file that is not named is its own unit.

    Raises:
        BadCases: A line of it does not say so.
    """
    units = {}
    for number, line in read_lines(path) if path.is_file() else ():
        try:
            units[_text(line, "path")] = _text(line, "unit")
        except (LookupError, TypeError):
            raise BadCases(f'{path}, line {number}: write {{"path": "a/b.md", "unit": "a"}}') from None
    return units


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the object of each line of a file that has some; empty lines are none.

    Raises:
        BadCases: It can't be read, or a line of it is no object.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BadCases(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadCases(f"{path} is not UTF-8 (byte {error.start:,}); save it as UTF-8") from None
    for number, line in enumerate(text.split("\n"), start=1):  # not splitlines: a JSON text may hold U+2028
        if line.strip():
            try:
                found = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise BadCases(f"{path}, line {number}: not JSON ({error})") from None
            if not isinstance(found, dict):
                raise BadCases(f"{path}, line {number}: not an object; each line is one in braces")
            yield number, found


def write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write a file with an object a line: whole or, where that fails, not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _case(line: dict[str, Any], answerable: bool) -> Case:
    answer = _texts(line, "answer")
    passages = tuple(Quote(_text(one, "path"), _text(one, "quote")) for one in _objects(line, "gold_passages"))
    docs = _texts(line, "gold_docs") or tuple(dict.fromkeys(passage.path for passage in passages))
    said = line.get("answerable")
    return Case(
        id=_text(line, "id"),
        question=_text(line, "question"),
        kind=_text(line, "kind") if line.get("kind") else "open",
        answerable=answerable if said is None else bool(said),
        answers=_texts(line, "answers") or answer,
        gold_units=_texts(line, "gold_units") or docs,
        gold_docs=docs,
        gold_sentences=_texts(line, "gold_sentences"),
        gold_passages=passages,
        options=tuple(Option(_text(one, "text"), bool(one["correct"])) for one in _objects(line, "options")),
        tags=_texts(line, "tags"),
        asked_before=_texts(line, "history"),
    )


def _text(line: Mapping[str, Any], name: str) -> str:
    """Return a field as text, a number as it is written."""
    return _as_text(line[name], name)


def _as_text(value: object, name: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise TypeError(f"{name} is no text but {json.dumps(value)[:60]}")
    return str(value).encode(errors="replace").decode()  # half a surrogate pair is no text


def _texts(line: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return a field that is a list of texts; one text is a list of one, and what is empty says nothing."""
    value = line.get(name)
    many = value if isinstance(value, list) else [value]
    return tuple(_as_text(one, name) for one in many if one not in (None, ""))


def _objects(line: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = line.get(name) or []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise TypeError(f"{name} is no list of objects but {json.dumps(found)[:60]}")
    return found
