"""The folder becomes a list of files, each to be read or skipped for a reason. Nothing is opened here.

Hidden files, build folders and what `.studyignore` names (gitignore syntax, in the notes folder) are skipped;
links that lead out of the folder, devices, sockets and pipes are refused. Whatever is there is in the list, so
that the counts add up; what can't be looked at is told apart from what is gone.
"""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ingest.errors import NotesMissing

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

RULES = ".studyignore"
BUILD_FOLDERS = frozenset({"__pycache__", "node_modules", "build", "dist", "target", "venv", "env", "site-packages"})


@dataclass(frozen=True, slots=True)
class File:
    """One path under the notes folder."""

    path: str
    """Relative to the notes folder, with slashes. A name that is not UTF-8 is shown with \\xNN behind a second
    slash, which no other path has."""
    size: int
    """Bytes."""
    mtime_ns: int
    ctime_ns: int
    inode: tuple[int, int]
    """Device and inode number; of the file that a symbolic link leads to."""
    links: int
    """How many names the file has, anywhere."""
    skip: str = ""
    """Why it is not read; empty if it is."""
    trouble: str = ""
    """Why it can't be looked at now; what was read of it before still counts."""


class Listing(NamedTuple):
    """What is under the notes folder."""

    files: list[File]
    """By path."""
    unlisted: dict[str, str]
    """Folders that could not be listed (paths with a slash at the end), and why."""


class _Seen(NamedTuple):
    file: File
    is_link: bool


def walk(root: Path) -> Listing:
    """Return every file under `root`.

    Raises:
        NotesMissing: `root` is no folder, or can't be listed.
    """
    unlisted: dict[str, str] = {}
    seen = list(_scan(os.path.realpath(root), unlisted))
    if "" in unlisted:
        raise NotesMissing(root)
    names = Counter(file.inode for file, is_link in seen if not is_link)
    ignored = _ignore_rules(root)
    files = []
    for file, _ in seen:
        if not file.skip and ignored and ignored.match_file(file.path):
            file = replace(file, skip=f"named in {RULES}")
        elif not file.skip and not file.trouble and file.links > names[file.inode]:
            file = replace(file, skip="a hard link to a file outside the notes folder")
        files.append(file)
    return Listing(sorted(files, key=lambda file: file.path), unlisted)


def _ignore_rules(root: Path) -> "GitIgnoreSpec | None":
    if not (root / RULES).is_file():
        return None
    lines = (root / RULES).read_text(encoding="utf-8", errors="replace").splitlines()
    from pathspec import GitIgnoreSpec

    def is_sound(line: str) -> bool:
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError:  # git passes over such a line, too
            return False
        return True

    return GitIgnoreSpec.from_lines(filter(is_sound, lines))


def _scan(root: str, unlisted: dict[str, str]) -> Iterator[_Seen]:
    """Yield what is under `root`; folders that can't be listed go into `unlisted`."""
    folders = [(root, "", "")]
    while folders:
        folder, prefix, skip = folders.pop()
        try:
            with os.scandir(folder) as found:
                entries = list(found)
        except OSError as error:
            if not (prefix and isinstance(error, FileNotFoundError)):  # deleted since its parent was listed
                unlisted[prefix] = os.strerror(error.errno or 0)
            continue
        for entry in entries:
            name, reason = entry.name, skip or ("hidden" if entry.name.startswith(".") else "")
            if not name.isascii() and (raw := os.fsencode(name)) != name.encode("utf-8", "replace"):
                name = "/" + raw.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
                reason = reason or "its name is not UTF-8"
            try:
                if entry.is_dir(follow_symlinks=False):
                    built = "in a build folder" if name in BUILD_FOLDERS else ""
                    folders.append((entry.path, f"{prefix}{name}/", reason or built))
                else:
                    yield _looked_at(entry, prefix + name, reason, root)
            except FileNotFoundError:
                continue  # deleted since it was listed
            except OSError as error:
                trouble = f"can't be looked at: {os.strerror(error.errno or 0)}"
                yield _Seen(File(prefix + name, 0, 0, 0, (0, 0), 0, reason, trouble), is_link=False)


def _looked_at(entry: "os.DirEntry[str]", path: str, skip: str, root: str) -> _Seen:
    info = entry.stat(follow_symlinks=False)
    is_link = stat.S_ISLNK(info.st_mode)
    if is_link:
        target = os.path.realpath(entry.path)
        if not target.startswith(f"{root.rstrip('/')}/"):
            skip = skip or "a symbolic link out of the notes folder"
        elif not Path(target).is_file():
            skip = skip or "a symbolic link to something that is no file"
        else:
            info = Path(target).stat()
    elif not stat.S_ISREG(info.st_mode):
        skip = skip or "not a regular file (a device, socket or pipe)"
    links = info.st_nlink if stat.S_ISREG(info.st_mode) else 0
    inode = (info.st_dev, info.st_ino)
    return _Seen(File(path, info.st_size, info.st_mtime_ns, info.st_ctime_ns, inode, links, skip), is_link)
