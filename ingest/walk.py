"""The folder becomes a list of files, each to be read or skipped for a reason. Nothing is opened here.

Hidden files, build folders and what `.studyignore` names (gitignore syntax, in the notes folder) are skipped;
links that lead out of the folder, devices, sockets and pipes are refused.
"""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ingest.errors import NotesMissing

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

BUILD_FOLDERS = frozenset({"__pycache__", "node_modules", "build", "dist", "target", "venv", "env", "site-packages"})


@dataclass(frozen=True, slots=True)
class File:
    """One path under the notes folder."""

    path: str
    """Relative to the notes folder, with slashes; bytes that are no UTF-8 are shown as \\xNN."""
    size: int
    """Bytes."""
    mtime_ns: int
    ctime_ns: int
    inode: tuple[int, int]
    """Device and inode number."""
    links: int
    """How many names the file has, anywhere."""
    skip: str = ""
    """Why it is not read; empty if it is."""


def walk(root: Path) -> list[File]:
    """Return every file under `root`, sorted by path.

    Raises:
        NotesMissing: `root` is no folder, or can't be listed.
    """
    if not root.is_dir() or not os.access(root, os.R_OK | os.X_OK):
        raise NotesMissing(root)
    ignored = _ignore_rules(root)
    files = sorted(_scan(root, "", "", root.resolve()), key=lambda file: file.path)
    names = Counter(file.inode for file in files)
    found = []
    for file in files:
        if not file.skip and ignored and ignored.match_file(file.path):
            file = replace(file, skip="named in .studyignore")
        elif not file.skip and file.links > names[file.inode]:
            file = replace(file, skip="a hard link to a file outside the notes folder")
        found.append(file)
    return found


def _ignore_rules(root: Path) -> "GitIgnoreSpec | None":
    rules = root / ".studyignore"
    if not rules.is_file():
        return None
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines(rules.read_text(errors="replace").splitlines())


def _scan(folder: Path, prefix: str, skip: str, root: Path) -> Iterator[File]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        path = prefix + os.fsencode(entry.name).decode(errors="backslashreplace")
        reason = skip or ("hidden" if entry.name.startswith(".") else "")
        if not reason and not path.endswith(entry.name):
            reason = "its name is not UTF-8"
        if entry.is_dir(follow_symlinks=False):
            if entry.name in BUILD_FOLDERS:
                reason = reason or "in a build folder"
            yield from _scan(Path(entry.path), path + "/", reason, root)
            continue
        try:
            yield _file(entry, path, reason, root)
        except FileNotFoundError:
            continue  # deleted since it was listed


def _file(entry: "os.DirEntry[str]", path: str, skip: str, root: Path) -> File:
    info = entry.stat(follow_symlinks=False)
    if stat.S_ISLNK(info.st_mode):
        target = Path(entry.path).resolve()
        if not target.is_relative_to(root):
            skip = skip or "a symbolic link out of the notes folder"
        elif not target.is_file():
            skip = skip or "a symbolic link to something that is no file"
        else:
            info = target.stat()
    elif not stat.S_ISREG(info.st_mode):
        skip = skip or "not a regular file (a device, socket or pipe)"
    inode = (info.st_dev, info.st_ino)
    links = info.st_nlink if stat.S_ISREG(info.st_mode) else 1
    return File(path, info.st_size, info.st_mtime_ns, info.st_ctime_ns, inode, links, skip)
