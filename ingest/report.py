"""What a sync tells: what every file came to, and which notes answer otherwise than before."""

from collections import Counter
from collections.abc import Container
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a file came to in this sync."""

    path: str
    state: str
    """indexed, unchanged, empty, no text layer, encrypted, failed or skipped; in a dry run added, changed, renamed."""
    reason: str
    chunks: int
    pages_lost: tuple[str, ...] = ()


@dataclass
class Report:
    """What a sync did."""

    generation: int = 0
    notes: list[Outcome] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    """Paths of notes that no longer answer: gone from the folder, or without text now."""
    renamed: list[tuple[str, str]] = field(default_factory=list)
    """Old and new path."""
    chunks: int = 0
    """In the index now."""
    embedded: int = 0
    written: int = 0
    deleted: int = 0
    seconds: float = 0.0
    remark: str = ""
    """Something to tell about the whole run."""

    @property
    def by_state(self) -> dict[str, int]:
        """How many files came to each state; the sum is the number of files."""
        return dict(sorted(Counter(note.state for note in self.notes).items()))

    def as_json(self) -> dict[str, Any]:
        """Return what `ask ingest --json` prints."""
        return {
            "generation": self.generation,
            "files": len(self.notes),
            "by_state": self.by_state,
            "notes": [asdict(note) for note in self.notes],
            "chunks": self.chunks,
            "embedded": self.embedded,
            "written": self.written,
            "deleted": self.deleted,
            "seconds": round(self.seconds, 3),
        }

    def summary(self, paths: Container[str]) -> dict[str, Any]:
        """Return what a run's row keeps: of the notes only those at `paths` with a reason, and what went where."""
        return self.as_json() | {
            "notes": [asdict(note) for note in self.notes if note.reason and note.path in paths],
            "removed": self.removed,
            "renamed": self.renamed,
            "remark": self.remark,
        }


@dataclass(frozen=True, slots=True)
class Edit:
    """One note that answers otherwise than before."""

    path: str
    """Where it is, or was if it was removed."""
    old: str = ""
    """The version that answered before; empty if none did."""
    new: str = ""
    """The version that answers now; empty if none does."""
    was: str = ""
    """The path that it was renamed from."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a published generation changed."""

    generation: int
    added: tuple[Edit, ...]
    changed: tuple[Edit, ...]
    removed: tuple[Edit, ...]
    renamed: tuple[Edit, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed or self.renamed)
