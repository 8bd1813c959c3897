"""Files that a browser sent → notes in the folder, none of them replaced."""

import hashlib
import os
import shutil
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import PathOutsideNotes
from ingest.read import reader_of
from ingest.shelf import Shelf

_NAME_BYTES = 200


@dataclass(frozen=True, slots=True)
class Uploaded:
    """What became of one file."""

    name: str
    """As the browser called it."""
    path: str
    """Where it is now, relative to the notes folder; empty: nowhere."""
    reason: str
    """Why it was not taken, or what is worth saying; empty where all went as expected."""


def take(shelf: Shelf, files: Sequence[Path], course: str, *, most_files: int, most_mb: int) -> list[Uploaded]:
    """Copy files into the notes folder.

    Args:
        shelf: The notes.
        files: Where the browser's files were put; their names are what the browser called them.
        course: Sub-folder to put them in, made if needed; empty: the notes folder itself.
        most_files: More than that are refused.
        most_mb: Larger ones are refused. MiB.

    Raises:
        PathOutsideNotes: The course is no folder in the notes folder.
    """
    folder = _folder(shelf.notes, course)
    found = []
    for number, file in enumerate(files):
        if number >= most_files:
            found.append(Uploaded(file.name, "", f"not taken: at most {most_files} files at once"))
        elif file.stat().st_size > most_mb << 20:
            found.append(Uploaded(file.name, "", f"not taken: larger than {most_mb} MiB"))
        elif reader_of(file) is None:
            found.append(Uploaded(file.name, "", f"not taken: {file.suffix or 'a file without a suffix'} is not read"))
        else:
            found.append(_take(file, folder, shelf.notes))
    return found


def _folder(notes: Path, course: str) -> Path:
    course = course.strip().strip("/")
    folder = Path(os.path.realpath(notes / course))
    if (
        any(part.startswith(".") for part in Path(course).parts)
        or not folder.is_relative_to(notes)
        or (folder.exists() and not folder.is_dir())
    ):
        raise PathOutsideNotes(Path(course), notes)
    return folder


def _take(file: Path, folder: Path, notes: Path) -> Uploaded:
    folder.mkdir(parents=True, exist_ok=True)
    stem, suffix = _name(file.stem), file.suffix
    digest = _digest(file)
    for number in range(1, 1000):
        target = folder / f"{stem}{'' if number == 1 else f' ({number})'}{suffix}"
        place = target.relative_to(notes).as_posix()
        if target.is_file() and _digest(target) == digest:
            return Uploaded(file.name, place, "was there already")
        draft = folder / f".{target.name}.uploading"
        try:
            shutil.copyfile(file, draft)
            os.link(draft, target)  # fails where there is one, so no note is ever replaced
        except FileExistsError:
            continue
        finally:
            draft.unlink(missing_ok=True)
        return Uploaded(file.name, place, "" if number == 1 else f"kept as {target.name}: another one has that name")
    return Uploaded(file.name, "", "not taken: too many notes have this name")


def _name(stem: str) -> str:
    """Return a file's name as it can stand in a folder: no path, nothing invisible, not hidden."""
    kept = "".join(
        "-" if letter in '/\\:*?"<>|' or unicodedata.category(letter)[0] == "C" else letter for letter in stem
    ).strip(" .-")
    return kept.encode()[:_NAME_BYTES].decode(errors="ignore") or "note"


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
