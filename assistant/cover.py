"""A plan's objectives → the passages of the notes that serve them, and which objective an item is about.

Each objective's text is a question to the notes; the calibrated refusal says whether they answer it, and an objective
that they don't is a gap. An item belongs to the objective that found its chunk with the highest score, unless it was
made for one. Where an objective has terms of its own (`about`), only an item that has one of them in its question or
answer belongs to it, and one whose words name no other objective does so wherever it stands.

What was found is kept in a file beside the index, until the notes, the plan or the calibration change:

    {"key": "…", "objectives": {"dpus": {"covered": true, "evidence": 0.77, "passages": [{"chunk": "…", …}]}}}
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from assistant.blueprint import Blueprint
from assistant.items import Item
from assistant.refuse import judge, load_calibration
from assistant.retrieve import retrieve
from assistant.settings import AssistantSettings
from ingest.shelf import Shelf

VERSION = 2
"""Raise it when the same notes and plan give another coverage."""
NEAR = 0.7
"""A chunk serves an objective with at least this share of the best chunk's score …"""
LEAST = 0.28
"""… and at least this score; the best one always does. Both were chosen by reading items (docs/LOG.md)."""
NEAR_ABOUT, LEAST_ABOUT = 0.4, 0.15
"""The same where an objective has terms, which tell its items from others: more chunks may serve it."""
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
    about: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Terms of the objectives that have any: an item about one has one of them in its words."""

    def by_objective(self, items: Iterable[Item]) -> dict[str, list[Item]]:
        """Return the items of each objective; those that belong to none are left out."""
        serving: dict[str, list[tuple[float, str]]] = {}
        for id_, covered in self.objectives.items():
            for passage in covered.passages:
                serving.setdefault(passage.chunk, []).append((-passage.score, id_))
        tells = {id_: _Terms(about) for id_, about in self.about.items()}
        found: dict[str, list[Item]] = {id_: [] for id_ in self.objectives}
        for item in items:
            near = [id_ for _, id_ in sorted(serving.get(item.evidence.chunk, ()))]
            plan, _, made_for = item.objective.rpartition("/")
            if plan == self.plan and made_for in found:
                if item.made_by.startswith("model"):  # it was written about it
                    found[made_for].append(item)
                    continue
                near.insert(0, made_for)
            said = f"{_CONTEXT.sub('', item.question)}\n{item.answer}"
            owner = next((id_ for id_ in near if id_ not in tells or tells[id_].among(said)), "")
            if not owner:  # its own words name one objective, and no other
                named = [id_ for id_ in tells if self.objectives[id_].covered and tells[id_].among(said)]
                owner = named[0] if len(named) == 1 else ""
            if owner:
                found[owner].append(item)
        return found


class _Terms:
    """What tells whether words are about an objective."""

    def __init__(self, terms: Iterable[str]) -> None:
        told = [term.strip() for term in terms]
        self._any = _any_of([term for term in told if not term.startswith("-")])
        none = [term[1:] for term in told if term.startswith("-")]
        self._none = _any_of(none) if none else None

    def among(self, words: str) -> bool:
        return bool(self._any.search(words)) and not (self._none and self._none.search(words))


_CONTEXT = re.compile(r"\s*\([^()]*\)\s*$")
"""The heading that ends a question that rules made: where it stands, not what it is about."""


def _any_of(terms: Sequence[str]) -> re.Pattern[str]:
    """Return what finds any of some terms as a word, its plural, or, of 'parallel*', its beginning."""
    told = (re.escape(term.rstrip("*")) + ("" if term.endswith("*") else r"(?:e?s)?(?!\w)") for term in terms)
    return re.compile(rf"(?<!\w)(?:{'|'.join(told)})", re.IGNORECASE)


def name_of(plan: str, objective: str) -> str:
    """Return what is written into an item that is made for an objective of a plan."""
    return f"{plan}/{objective}"


def cover(blueprint: Blueprint, shelf: Shelf, settings: AssistantSettings) -> Coverage:
    """Return what the notes have for each objective: searched once, then remembered.

    Raises:
        IndexMismatch, IndexDamaged, IndexUnavailable: The index can't be searched.
    """
    generation, built, _ = shelf.ledger.published
    about = {one.id: one.about for one in blueprint.objectives if one.about}
    if not generation:
        return Coverage(blueprint.id, 0, {one.id: Covered(False, 0.0, ()) for one in blueprint.objectives})
    key = _key(blueprint, f"{shelf.ledger.identity} {generation} {built}", settings)
    path = shelf.folder / "plans" / f"{blueprint.id}.json"
    if (kept := _kept(path, key)) is not None:
        return Coverage(blueprint.id, generation, kept, about)
    view, embedder = shelf.view(), shelf.embedder
    calibration = load_calibration(embedder.model.sha256, settings.home)
    objectives = {}
    for one in blueprint.objectives:
        found = retrieve(one.text, view, embedder, top_k=1)
        verdict = judge(found, calibration)
        passages: tuple[Serving, ...] = ()
        if verdict.answerable:
            near_, least = (NEAR_ABOUT, LEAST_ABOUT) if one.about else (NEAR, LEAST)
            cut = max(least, near_ * found.candidates[0].score)
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
    return Coverage(blueprint.id, generation, objectives, about)


def _key(blueprint: Blueprint, index: str, settings: AssistantSettings) -> str:
    """Return a digest of everything that the coverage follows from."""
    own = settings.home.expanduser() / "calibration"
    stamps = sorted((path.name, path.stat().st_mtime_ns) for path in own.glob("*.json"))
    texts = [(one.id, one.text, bool(one.about)) for one in blueprint.objectives]
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
