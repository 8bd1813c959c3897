"""Notes that a learner deleted in the app: moved into a trash, and back. Nothing else moves a user's file.

STUDY_HOME/trash-<notes>/20261121-093012-000001/infrastructure/gpus.md

Each deletion is a folder of its own, named after its moment, with the note at the path that it had. A file is copied
whole and kept safe on the disk before it is removed where it was, so that at any moment it is in at least one place.
"""

import hashlib
import os
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from ingest.clone import settle
from ingest.errors import PathOutsideNotes
from ingest.shelf import Shelf
from ui.errors import InTheWay, NotThere

_ENTRY = re.compile(r"\d{8}-\d{6}-\d{6}")


@dataclass(frozen=True, slots=True)
class Trashed:
    """A deleted note."""

    id: str
    """Names the deletion."""
    path: str
    """Where it was, relative to the notes folder, with slashes."""
    deleted: float
    """Seconds since the epoch."""
    size: int
    """Bytes."""


class Trash:
    """The deleted notes of one notes folder."""

    def __init__(self, shelf: Shelf) -> None:
        self._notes = shelf.notes
        name = hashlib.sha256(os.fsencode(shelf.notes)).hexdigest()[:12]
        self._folder = shelf.folder.with_name(f"trash-{name}")

    def listed(self) -> list[Trashed]:
        """Return what can be restored, the last deleted first."""
        found = []
        for entry in sorted(self._folder.glob("*"), reverse=True):
            if not _ENTRY.fullmatch(entry.name):
                continue
            deleted = time.mktime(time.strptime(entry.name[:15], "%Y%m%d-%H%M%S"))
            for file in sorted(path for path in entry.rglob("*") if path.is_file()):
                found.append(Trashed(entry.name, file.relative_to(entry).as_posix(), deleted, file.stat().st_size))
        return found

    def delete(self, path: str) -> str:
        """Move a note into the trash; return the deletion's id.

        Args:
            path: As the ledger names it.

        Raises:
            PathOutsideNotes: It does not lie in the notes folder, or is reached by a link.
            NotThere: There is no such file.
        """
        source = self._inside(path)
        if not source.is_file():
            raise NotThere(path)
        id_ = self._entry()
        _move(source, self._folder / id_ / path)
        return id_

    def restore(self, id_: str, path: str) -> None:
        """Move a note back to where it was.

        Raises:
            NotThere: It is not in the trash.
            InTheWay: Another note has its place.
            PathOutsideNotes: It never was a path in the notes folder.
        """
        target = self._inside(path)
        source = self._folder / id_ / path
        if not _ENTRY.fullmatch(id_) or not source.is_file():
            raise NotThere(path)
        if os.path.lexists(target):
            raise InTheWay(path)
        _move(source, target)
        for folder in source.parents:  # those that are empty now, up to the deletion's own
            if folder == self._folder or any(folder.iterdir()):
                break
            folder.rmdir()

    def _inside(self, path: str) -> Path:
        found = self._notes / path
        whole = Path(os.path.realpath(found))
        parts = path.split("/")
        odd = any(part in ("", ".", "..") or part.startswith(".") for part in parts)
        if odd or not whole.is_relative_to(self._notes) or found.is_symlink():
            raise PathOutsideNotes(Path(path), self._notes)
        return found

    def _entry(self) -> str:
        """Return the name of a new folder for one deletion."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        while True:
            now = time.time()
            name = time.strftime("%Y%m%d-%H%M%S", time.localtime(now)) + f"-{int(now % 1 * 1e6):06d}"
            try:
                (self._folder / name).mkdir(mode=0o700)
            except FileExistsError:
                continue
            return name


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)  # never replaces what is there
    except OSError:  # another file system, or one without hard links
        if os.path.lexists(target):
            raise
        draft = target.with_name(f".{target.name}.moving")
        shutil.copy2(source, draft)
        draft.rename(target)
    settle(target.parent)
    source.unlink()
