"""Everything that can go wrong between a folder of notes and its index.

StudyError
├── NotesMissing        the notes folder is not there
├── NotIndexed          nothing was indexed yet
├── PathOutsideNotes    a path that is not in the notes folder
├── Unreadable          one file could not be read (its state and reason go into the ledger)
├── SyncRunning         another sync holds the lock
├── TooManyRemovals     a sync would remove more than half of the notes
├── DiskFull            no room for the next generation; the last one stays
├── LedgerUnavailable   the ledger is locked, damaged or of a newer version of this program
├── IndexMismatch       the index was built with other settings
├── IndexUnavailable    the Qdrant server did not answer, refused the key, or is too old or too new
├── IndexDamaged        what was written is not what can be read back
└── EmbedderUnavailable the embedding model is not there, or is not what it should be
"""

from collections.abc import Sequence
from pathlib import Path


class StudyError(Exception):
    """A failure whose message is one line that says what happened and what to do."""


class NotesMissing(StudyError):
    """The notes folder does not exist."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            f"{folder} is a file; set STUDY_NOTES to the folder that your notes are in"
            if folder.is_file()
            else f"the notes folder {folder} is not there; mount it, or set STUDY_NOTES to the folder of your notes"
        )


class NotIndexed(StudyError):
    """No generation was ever published for this folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"no note of {folder} is indexed yet; run: ask ingest")


class PathOutsideNotes(StudyError):
    """A path was given that is not inside the notes folder."""

    def __init__(self, path: Path, folder: Path) -> None:
        super().__init__(
            f"{path} is not inside the notes folder {folder}; to use another folder, set STUDY_NOTES to it"
        )


class Unreadable(StudyError):
    """One file has no text to offer."""

    def __init__(self, state: str, reason: str) -> None:
        super().__init__(reason)
        self.state = state
        """What the ledger calls it: empty, no text layer, encrypted, failed or skipped.

        The version that was read before stays where the file failed; in all other states it goes, since they say
        what the file is now.
        """
        self.reason = reason


class SyncRunning(StudyError):
    """Another process is syncing these notes."""

    def __init__(self, pid: str) -> None:
        super().__init__(f"another sync of these notes is running (process {pid}); wait for it, then run: ask ingest")


class TooManyRemovals(StudyError):
    """A sync would remove more than half of the notes."""

    def __init__(self, paths: Sequence[str], total: int) -> None:
        super().__init__(
            f"{len(paths)} of {total} notes are gone from the folder, or have no text any more; "
            "if that is right, run: ask ingest --yes"
        )
        self.paths = tuple(sorted(paths))
        """Those notes, relative to the notes folder."""


class DiskFull(StudyError):
    """The disk filled up while the next generation was written."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"the disk of {folder} is full; the index stays as it was; free some space and try again")


class LedgerUnavailable(StudyError):
    """The ledger of the notes can't be read or written."""


class IndexMismatch(StudyError):
    """The index was built with other settings than those in force."""

    def __init__(self, *, built: str, wanted: str) -> None:
        super().__init__(
            f"the index was built with {built}, you asked for {wanted}; rebuild it with: ask ingest --fresh"
        )


class IndexUnavailable(StudyError):
    """The store of vectors can't be used now."""


class IndexDamaged(StudyError):
    """A generation does not hold what was written to it."""


class EmbedderUnavailable(StudyError):
    """The embedding model can't be loaded."""
