"""Quiz items: what one is, and where they are kept. Items are shared by all learners of an installation.

One SQLite file a folder of notes, `STUDY_HOME/items-<hash>.db`: beside the index, not in it, since the index can be
made again from the notes and items can't. An item is bound to its evidence: an exact quote of one version of a note.

    {"id": "5f0c…", "kind": "mcq", "question": "Which term is defined so: …?", "options": ["Prefill", …],
     "answer": "Prefill", "explanation": "Prefill is the phase in which …", "objective": "Model serving > …",
     "evidence": {"path": "infra/serving.md", "locator": "§ Prefill", "quote": "**Prefill** is …", "start": 812,
     "end": 901}, "checks": {"quote_exact": true, …}, "made_by": "rule: definition"}
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from assistant.database import Database
from assistant.errors import ItemsFull, ItemsUnavailable

MCQ, TRUE_FALSE, SHORT, CLOZE, ORDERING, EXPLAIN, FLASHCARD = KINDS = (
    *("mcq", "true_false", "short", "cloze", "ordering", "explain", "flashcard"),
)
ACTIVE, FLAGGED, RETIRED = "active", "flagged", "retired"
"""Asked; its evidence changed, so it rests until it is verified or rewritten; gone for good, kept for the log."""
BLANK = "____"
KEPT_REJECTIONS = 5000
MIGRATIONS = (
    """
CREATE TABLE items (
    id TEXT PRIMARY KEY, state TEXT NOT NULL, why TEXT NOT NULL, path TEXT NOT NULL, version TEXT NOT NULL,
    made REAL NOT NULL, item TEXT NOT NULL
);
CREATE INDEX items_of_a_note ON items (path, version);
CREATE TABLE rejections (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, reason TEXT NOT NULL, made_by TEXT NOT NULL, draft TEXT NOT NULL
);
""",
)
"""SQL that leads from each version of the file to the next. Append to it; never change what was delivered."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The exact words of a note that an item rests on."""

    path: str
    """Empty where an item was imported and no note was found that bears it out."""
    locator: str
    """Where a person finds it: 'page 3', '§ Sharding'."""
    quote: str
    """Exactly the note's text from start to end."""
    start: int
    """First code point in the text of this version."""
    end: int
    """One past the last."""
    version: str = ""
    """The note's version."""
    chunk: str = ""
    """Id of the chunk that it stands in."""

    @property
    def course(self) -> str:
        """The sub-folder of the notes."""
        head, slash, _ = self.path.partition("/")
        return head if slash else ""


@dataclass(frozen=True, slots=True)
class Item:
    """A quiz question with its evidence."""

    kind: str
    """One of KINDS."""
    question: str
    """A cloze has BLANK where the answer belongs."""
    answer: str
    """mcq: the right option's text; true_false: 'true' or 'false'; ordering: positions in `options`, '2 4 1 3'."""
    evidence: Evidence
    options: tuple[str, ...] = ()
    """In the order in which they are shown; empty where there is nothing to choose from."""
    accepted: tuple[str, ...] = ()
    """Other wordings of the answer that are right: an abbreviation, its long form."""
    rubric: tuple[str, ...] = ()
    """What a short answer or an explanation must say, point by point."""
    explanation: str = ""
    objective: str = ""
    """What it serves to learn: an objective's name, or title and headings above the evidence."""
    made_by: str = ""
    """'rule: …', 'model NAME, prompt HASH' or 'imported from FILE'."""
    checks: dict[str, bool] = field(default_factory=dict)
    """Every check that it was put to, by name."""

    @property
    def id(self) -> str:
        """Digest of what is asked about what: made again, an item is the same."""
        said = "\n".join((self.kind, self.question, self.answer))
        return hashlib.sha256(said.encode()).hexdigest()[:16]

    @property
    def key(self) -> int:
        """Position of the right option, from 0; -1 where there are no options."""
        return self.options.index(self.answer) if self.answer in self.options else -1

    @property
    def in_words(self) -> str:
        """The answer as people say it: of an ordering its steps, one after the other."""
        if self.kind == ORDERING:
            return "; ".join(self.options[int(n) - 1] for n in self.answer.split())
        return self.answer

    def as_json(self) -> dict[str, Any]:
        """Return what `ask quiz --json` prints: the answer included."""
        return {
            "id": self.id,
            "kind": self.kind,
            "question": self.question,
            "options": list(self.options),
            "answer": self.answer,
            "explanation": self.explanation,
            "objective": self.objective,
            "evidence": {name: getattr(self.evidence, name) for name in ("path", "locator", "quote", "start", "end")},
            "checks": self.checks,
            "made_by": self.made_by,
        }

    def shown(self) -> dict[str, Any]:
        """Return what may leave the process before the answer does: neither key nor quote nor explanation."""
        return {"id": self.id, "kind": self.kind, "question": self.question, "options": list(self.options)}


@dataclass(frozen=True, slots=True)
class Stored:
    """An item and what became of it."""

    item: Item
    state: str
    """active, flagged or retired."""
    why: str
    """Why it is not active; empty where it is."""
    made: float
    """Seconds since the epoch."""


class Items(Database):
    """The items of one folder of notes; safe to use from several threads and processes.

    Every method may raise ItemsUnavailable: another program holds the file, or it can't be read or written.
    """

    unavailable, full = ItemsUnavailable, ItemsFull

    def __init__(self, path: Path, *, now: Callable[[], float] = time.time) -> None:
        super().__init__(path, MIGRATIONS)
        self._now = now

    @classmethod
    def of(cls, notes_folder: Path) -> "Items":
        """Return the items of the notes whose index is in `notes_folder` (`Shelf.folder`)."""
        return cls(path_of(notes_folder))

    def add(self, items: Iterable[Item], *, revive: bool = True) -> int:
        """Keep new items, and return how many there were; one that is active already stays as it is.

        Args:
            items: What passed the checks.
            revive: Whether one that rests or is retired comes back, on the evidence that it has now.
        """
        count = 0
        with self.transaction() as db:
            for item in items:
                body = json.dumps(asdict(item), ensure_ascii=False)
                count += db.execute(
                    "INSERT INTO items VALUES (?, ?, '', ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
                    "state = excluded.state, why = '', path = excluded.path, version = excluded.version, "
                    "item = excluded.item WHERE items.state != excluded.state AND ?",
                    (item.id, ACTIVE, item.evidence.path, item.evidence.version, self._now(), body, revive),
                ).rowcount
        return count

    def get(self, id_: str) -> Stored | None:
        """Return one item, or None."""
        return next(iter(self._stored("WHERE id = ?", id_)), None)

    def every(self, *states: str) -> list[Stored]:
        """Return the items in these states (none given: all), oldest first."""
        marks = ", ".join("?" for _ in states)
        return self._stored(f"WHERE state IN ({marks})" if states else "", *states)

    def active(self) -> list[Item]:
        """Return the items that may be asked."""
        return [stored.item for stored in self.every(ACTIVE)]

    def active_ids(self) -> set[str]:
        """Return the ids of the items that may be asked."""
        return {id_ for (id_,) in self.rows("SELECT id FROM items WHERE state = ?", ACTIVE)}

    def _stored(self, where: str, *values: object) -> list[Stored]:
        rows = self.rows(f"SELECT item, state, why, made, id FROM items {where} ORDER BY made, rowid", *values)
        return [Stored(item_of(json.loads(body)), state, why, made) for body, state, why, made, _ in rows]

    def versions(self) -> set[tuple[str, str, bool]]:
        """Return (path, version, whether all of them are active) of what the items rest on."""
        rows = self.rows("SELECT path, version, min(state = ?) FROM items GROUP BY path, version", ACTIVE)
        return {(path, version, bool(all_active)) for path, version, all_active in rows}

    def of_note(self, path: str, version: str) -> list[Stored]:
        """Return the items that rest on one version of a note."""
        return self._stored("WHERE path = ? AND version = ?", path, version)

    def mark(self, changes: Sequence[tuple[str, Evidence, str, str]]) -> None:
        """Give items, by their id, new evidence, state and reason: all or none."""
        with self.transaction() as db:
            for id_, evidence, state, why in changes:
                [(body,)] = db.execute("SELECT item FROM items WHERE id = ?", (id_,)).fetchall()
                said = json.dumps(json.loads(body) | {"evidence": asdict(evidence)}, ensure_ascii=False)
                db.execute(
                    "UPDATE items SET state = ?, why = ?, path = ?, version = ?, item = ? WHERE id = ?",
                    (state, why, evidence.path, evidence.version, said, id_),
                )

    def reject(self, rejected: Iterable[tuple[str, Item]]) -> None:
        """Keep what was not good enough, with the reason."""
        with self.transaction() as db:
            for reason, item in rejected:
                draft = json.dumps(asdict(item), ensure_ascii=False)
                db.execute(
                    "INSERT INTO rejections (at, reason, made_by, draft) VALUES (?, ?, ?, ?)",
                    (self._now(), reason, item.made_by, draft),
                )
            db.execute("DELETE FROM rejections WHERE id <= (SELECT max(id) FROM rejections) - ?", (KEPT_REJECTIONS,))


def path_of(notes_folder: Path) -> Path:
    """Return where the items are kept of the notes whose index is in `notes_folder`."""
    return notes_folder.parent / f"{notes_folder.name.replace('index-', 'items-', 1)}.db"


def item_of(body: dict[str, Any]) -> Item:
    """Return the item that `asdict` took apart."""
    lists = {name: tuple(body.get(name, ())) for name in ("options", "accepted", "rubric")}
    return Item(**body | lists | {"evidence": Evidence(**body["evidence"])})
