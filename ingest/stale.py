"""The folder against the ledger: how many notes changed since the last sync, by names, sizes and times alone."""

from pathlib import PurePath

from ingest import walk
from ingest.read import reader_of
from ingest.shelf import Shelf

MOST_NOTES = 2000
"""Folders with more are not looked at: 5 ms for 1,000 files are little beside an answer, 50 are not."""


def changed(shelf: Shelf) -> int:
    """Return how many notes are new, gone, or of another size or time than when they were last read; 0: none seen.

    Raises:
        NotesMissing: The folder is not there.
    """
    known = shelf.ledger.stamps(MOST_NOTES + 1)
    if len(known) > MOST_NOTES:
        return 0
    files = {file.path: (file.size, file.mtime_ns) for file in walk.walk(shelf.notes).files if not file.skip}
    new = sum(path not in known and reader_of(PurePath(path)) is not None for path in files)
    # A note without a time could not be looked at when it was read; it is no news that it still can't.
    other = sum(path in files and stamp[1] > 0 and files[path] != stamp for path, stamp in known.items())
    gone = sum(path not in files and stamp[1] > 0 for path, stamp in known.items())
    return new + other + gone
