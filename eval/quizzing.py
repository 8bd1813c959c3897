"""How good are the quiz items? A quiz is made of the notes as `ask quiz --new` makes it, and what comes is measured.

A row for each draft (`accepted`, and for those that are: is the quote exact, is it a near copy of another, is the
longest option the key, was it guessed without the evidence), one for each objective of the plans that the notes cover
(`objectives_covered`: has it an item?) and one for each note (`notes_covered`).
Nothing is kept among the learner's items.
"""

import contextlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from assistant.blueprint import find, named
from assistant.check import SAME_MEANING
from assistant.cover import cover, name_of
from assistant.errors import BlueprintRejected
from assistant.grade import Model
from assistant.items import Item, Items
from assistant.quiz import Wish, quiz
from assistant.settings import AssistantSettings
from eval.score import QUIZ, Row
from ingest.shelf import Shelf

WANTED = 40
"""Items that are made, where no limit is given."""


def rows(shelf: Shelf, settings: AssistantSettings, model: Model | None, *, wanted: int = WANTED) -> Iterator[Row]:
    """Yield a row for each draft and each note.

    Args:
        shelf: The notes, synced.
        settings: What the user set.
        model: Writes the items; None: they are made by rule.
        wanted: How many are to pass.
    """
    made: list[Item] = []
    with tempfile.TemporaryDirectory() as folder:
        items, last = Items(Path(folder) / "items.db"), time.perf_counter()
        try:
            for one in quiz(shelf, settings, items, Wish(wanted, fresh=True), model=model):
                ms, last = (time.perf_counter() - last) * 1000, time.perf_counter()
                if isinstance(one, Item):
                    made.append(one)
                    text = shelf.ledger.text(one.evidence.version) or ""
                    yield _row(one, {"accepted": 1.0} | _worth(one, text), {}, ms)
                else:
                    checks = {"cold_solved": 0.0} if one.reason == "solved_with_evidence" else {}
                    yield _row(one.item, {"accepted": 0.0} | checks, {"rejected": one.reason}, ms)
        finally:
            items.close()
    yield from _copies(made, shelf)
    yield from _objectives(made, shelf, settings)
    asked = {item.evidence.path for item in made}
    for path, note in shelf.ledger.notes().items():
        if note.chunks:
            yield Row(QUIZ, path, f"Is anything asked of {path}?", ("note",), {"notes_covered": float(path in asked)})


def _objectives(made: Sequence[Item], shelf: Shelf, settings: AssistantSettings) -> Iterator[Row]:
    """Yield a row for each objective that the notes cover: an item belongs to the one that finds its passage best."""
    for name in named(settings.home):
        with contextlib.suppress(BlueprintRejected):  # `ask plan` says what is wrong with it
            blueprint = find(name, settings.home)
            coverage = cover(blueprint, shelf, settings)
            of = coverage.by_objective(made)
            for one in blueprint.objectives:
                if coverage.objectives[one.id].covered:
                    asked = {"objectives_covered": float(bool(of[one.id]))}
                    case = name_of(blueprint.id, one.id)
                    yield Row(QUIZ, case, f"Is anything asked of “{one.text}”?", ("objective",), asked)


def _row(item: Item, values: dict[str, float], detail: dict[str, str], ms: float) -> Row:
    told = detail | {"answer": item.answer, "quote": item.evidence.quote, "made_by": item.made_by}
    if item.options:
        told["options"] = " | ".join(item.options)
    facts = {"key": float(item.key), "options": float(len(item.options))} if _is_scored(item, values) else {}
    return Row(QUIZ, item.id, item.question, (item.kind,), values, facts, told, ms)


def _is_scored(item: Item, values: dict[str, float]) -> bool:
    return item.key >= 0 and bool(values["accepted"])


def _worth(item: Item, text: str) -> dict[str, float]:
    evidence, found = item.evidence, dict[str, float]()
    found["quote_exact"] = float(bool(evidence.quote) and text[evidence.start : evidence.end] == evidence.quote)
    if item.key >= 0:
        lengths = [len(option) for option in item.options]
        alone = lengths.count(max(lengths)) == 1
        found["longest_is_key"] = float(alone and lengths[item.key] == max(lengths))
        found["longest_by_chance"] = float(alone) / len(lengths)
        found["options_distinct"] = float(len({option.casefold().strip() for option in item.options}) == len(lengths))
    if "solved_with_evidence" in item.checks:
        found["cold_solved"] = float(item.checks["solved_with_evidence"])
    if "unguessable" in item.checks:
        found["guessed"] = float(not item.checks["unguessable"])
    return found


def _copies(made: Sequence[Item], shelf: Shelf) -> Iterator[Row]:
    """Yield a row for each item: does another one ask the same?"""
    if not made:
        return
    vectors = shelf.embedder.encode([f"{item.question} {item.answer}" for item in made])
    near = vectors @ vectors.T
    np.fill_diagonal(near, 0)
    for item, highest, twin in zip(made, near.max(axis=1), near.argmax(axis=1), strict=True):
        same = {"duplicate": float(highest >= SAME_MEANING)}
        detail = {"nearest": made[int(twin)].question, "cosine": round(float(highest), 3)}
        yield Row(QUIZ, f"{item.id} beside others", item.question, (item.kind,), same, {}, detail)
