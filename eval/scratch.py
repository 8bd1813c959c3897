"""A folder of notes becomes a throw-away index, kept by what is in it.

    STUDY_HOME/eval/index/3f0c…/index-…      one for each content and way of indexing it

The second run over the same notes embeds nothing. The learner's own index is never touched.
"""

import contextlib
import hashlib
import os
import shutil
import time
from pathlib import Path

from ingest import walk
from ingest.errors import StudyError
from ingest.settings import IngestSettings
from ingest.shelf import Shelf
from ingest.sync import Progress, sync

KEPT_DAYS = 14
"""An index that no run used for so long is removed."""


class NothingIndexed(StudyError):
    """A folder has no note that can be read."""

    def __init__(self, notes: Path) -> None:
        super().__init__(f"{notes} has no note that can be read, so there is nothing to score; name another: --notes")


def content_hash(notes: Path) -> str:
    """Return a digest of the names and bytes of all notes.

    Raises:
        NotesMissing: The folder is not there.
    """
    digest = hashlib.sha256()
    for file in walk.walk(notes).files:
        if file.skip:
            continue
        digest.update(os.fsencode(file.path) + b"\0")
        with contextlib.suppress(OSError), (notes / file.path).open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:16]


def open_index(settings: IngestSettings, notes: Path, *, progress: Progress | None = None) -> tuple[Shelf, str]:
    """Return the index of a folder of notes, made if there is none, and the digest of its content.

    Args:
        settings: Which model and chunk size; where the prepared models are.
        notes: The folder.
        progress: Told how far the indexing is.

    Raises:
        StudyError: The folder is not there, or can't be indexed.
    """
    home = settings.home.expanduser().resolve()
    content = content_hash(notes)
    here = settings.model_copy(update={"notes": notes, "qdrant_url": ""})
    asked = Shelf(here)
    made_with = f"{content} {asked.built_with} {asked.ocr} {settings.max_file_mb}"
    folder = home / "eval" / "index" / hashlib.sha256(made_with.encode()).hexdigest()[:16]
    _forget_old(folder.parent)
    folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    shelf = Shelf(here.model_copy(update={"home": folder}), embedder=asked.embedder)
    try:
        sync(shelf, wait=True, remove_many=True, progress=progress)
        if not any(note.chunks for note in shelf.ledger.notes().values()):
            raise NothingIndexed(notes)
    except BaseException:
        shelf.close()
        raise
    return shelf, content


def _forget_old(folder: Path) -> None:
    for kept in folder.iterdir() if folder.is_dir() else ():
        if kept.stat().st_mtime < time.time() - KEPT_DAYS * 86400:
            shutil.rmtree(kept, ignore_errors=True)
