"""A plan's objectives → the passages of the notes that serve them, and which objective an item is about.

Each objective's text is a question to the notes; the calibrated refusal says whether they answer it, and an objective
that they don't is a gap. A chunk belongs to the objective that found it with the highest score; an item to that of the
chunk it rests on, unless it was made for one.

What was found is kept in a file beside the index, until the notes, the plan or the calibration change:

    {"key": "…", "objectives": {"dpus": {"covered": true, "evidence": 0.77, "passages": [{"chunk": "…", …}]}}}
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from assistant.blueprint import Blueprint
from assistant.items import Item
from assistant.refuse import judge, load_calibration
from assistant.retrieve import retrieve
from assistant.settings import AssistantSettings
from ingest.shelf import Shelf

VERSION = 1
"""Raise it when the same notes and plan give another coverage."""
NEAR = 0.7
"""A chunk serves an objective with at least this share of the best chunk's score …"""
LEAST = 0.28
"""… and at least this score; the best one always does. Both were chosen by reading items (docs/LOG.md)."""
MOST = 30
"""Chunks that serve an objective, at most."""


@dataclass(frozen=True, slots=True)
class Serving:
    """A chunk that serves an objective."""

    chunk: str
    """Its id."""
    path: str
    locator: str
    words: int
    score: float
    """Final score of the search, 0 to 1."""


@dataclass(frozen=True, slots=True)
class Covered:
    """What the notes have for an objective."""

    covered: bool
    evidence: float
    passages: tuple[Serving, ...]
    """Best first; none where it is a gap."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the notes have for a plan."""

    plan: str
    generation: int
    """Of the index; 0: there is none, and everything is a gap."""
    objectives: dict[str, Covered]

    def owners(self) -> dict[str, str]:
        """Return the objective that each chunk belongs to, by the chunk's id."""
        best: dict[str, tuple[float, str]] = {}
        for id_, found in self.objectives.items():
            for passage in found.passages:
                if passage.score > best.get(passage.chunk, (0.0, ""))[0]:
                    best[passage.chunk] = passage.score, id_
        return {chunk: id_ for chunk, (_, id_) in best.items()}

    def by_objective(self, items: Iterable[Item]) -> dict[str, list[Item]]:
        """Return the items of each objective; those that belong to none are left out."""
        owners = self.owners()
        found: dict[str, list[Item]] = {id_: [] for id_ in self.objectives}
        for item in items:
            plan, _, made_for = item.objective.rpartition("/")
            owner = made_for if plan == self.plan and made_for in found else owners.get(item.evidence.chunk)
            if owner:
                found[owner].append(item)
        return found


def name_of(plan: str, objective: str) -> str:
    """Return what is written into an item that is made for an objective of a plan."""
    return f"{plan}/{objective}"


def cover(blueprint: Blueprint, shelf: Shelf, settings: AssistantSettings) -> Coverage:
    """Return what the notes have for each objective: searched once, then remembered.

    Raises:
        IndexMismatch, IndexDamaged, IndexUnavailable: The index can't be searched.
    """
    generation, built, _ = shelf.ledger.published
    if not generation:
        return Coverage(blueprint.id, 0, {one.id: Covered(False, 0.0, ()) for one in blueprint.objectives})
    key = _key(blueprint, f"{shelf.ledger.identity} {generation} {built}", settings)
    path = shelf.folder / "plans" / f"{blueprint.id}.json"
    if (kept := _kept(path, key)) is not None:
        return Coverage(blueprint.id, generation, kept)
    view, embedder = shelf.view(), shelf.embedder
    calibration = load_calibration(embedder.model.sha256, settings.home)
    objectives = {}
    for one in blueprint.objectives:
        found = retrieve(one.text, view, embedder, top_k=1)
        verdict = judge(found, calibration)
        passages: tuple[Serving, ...] = ()
        if verdict.answerable:
            cut = max(LEAST, NEAR * found.candidates[0].score)
            near = [passage for passage in found.candidates[1:MOST] if passage.score >= cut]
            passages = tuple(
                Serving(
                    passage.chunk.id,
                    passage.chunk.path,
                    passage.chunk.place_at(passage.chunk.start).locator,
                    len(passage.chunk.text.split()),
                    round(passage.score, 4),
                )
                for passage in (found.candidates[0], *near)
            )
        objectives[one.id] = Covered(verdict.answerable, round(verdict.evidence, 4), passages)
    _keep(path, key, objectives)
    return Coverage(blueprint.id, generation, objectives)


def _key(blueprint: Blueprint, index: str, settings: AssistantSettings) -> str:
    """Return a digest of everything that the coverage follows from."""
    own = settings.home.expanduser() / "calibration"
    stamps = sorted((path.name, path.stat().st_mtime_ns) for path in own.glob("*.json"))
    texts = [(one.id, one.text) for one in blueprint.objectives]
    return hashlib.sha256(repr((VERSION, blueprint.id, texts, index, stamps)).encode()).hexdigest()


def _kept(path: Path, key: str) -> dict[str, Covered] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["key"] != key:
            return None
        return {
            id_: Covered(one["covered"], one["evidence"], tuple(Serving(**passage) for passage in one["passages"]))
            for id_, one in found["objectives"].items()
        }
    except (OSError, ValueError, KeyError, TypeError):  # not there, or not what was written: search again
        return None


def _keep(path: Path, key: str, objectives: dict[str, Covered]) -> None:
    told = {"key": key, "objectives": {id_: asdict(one) for id_, one in objectives.items()}}
    with contextlib.suppress(OSError):  # it is searched again the next time
        path.parent.mkdir(mode=0o700, exist_ok=True)
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
        draft.replace(path)
