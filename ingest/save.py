"""A fetched page becomes a note: the one file that this program writes into the notes folder.

    ---
    title: "Fully Sharded Data Parallel"
    source: "https://docs.pytorch.org/docs/stable/fsdp.html"
    fetched: 2026-03-14
    ---
    # Fully Sharded Data Parallel
    …

A PDF is kept as it came. Another note is never overwritten: the same address again updates the file that it made,
wherever that was moved to, unless the user has edited it since. Which file that is, `added.json` beside the index
remembers; without it, a new file is made.
"""

import datetime
import hashlib
import json
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from ingest.errors import PathOutsideNotes, StudyError, Unreadable
from ingest.extract import to_markdown
from ingest.fetch import NotFetched, Page
from ingest.read.text import decode

_SUFFIXES = {"html": ".md", "markdown": ".md", "text": ".txt", "pdf": ".pdf"}
_NAME_BYTES = 120
"""Longest file name without its suffix, in UTF-8; file systems take 255."""
_FRONT = re.compile(r"\A---[ \t]*\n(?P<lines>.*?\n)?---[ \t]*(?:\n|\Z)", re.DOTALL)
_OURS = re.compile(r"^(?:source|fetched):.*\n", re.MULTILINE)
_TITLE = re.compile(r"^title:.*\n", re.MULTILINE)
_RESERVED = re.compile(r"con|prn|aux|nul|com\d|lpt\d", re.IGNORECASE)
"""Names that Windows does not allow, where a folder of notes may be carried to."""


class NoteEdited(StudyError):
    """The note that an address made before was changed by the user."""

    def __init__(self, path: str) -> None:
        super().__init__(f"{path} was edited since it was fetched; rename it to keep it, then add the page again")


@dataclass(frozen=True, slots=True)
class Saved:
    """What became of a page."""

    path: str
    """Relative to the notes folder, with slashes."""
    outcome: str
    """added, updated, or unchanged: the page says what it said."""
    title: str
    source: str
    """The address that it came from in the end."""


def save(
    page: Page, notes: Path, memory: Path, *, title: str = "", course: str = "", today: datetime.date | None = None
) -> Saved:
    """Write a page into the notes folder.

    Args:
        page: As it was fetched.
        notes: The notes folder.
        memory: `added.json`: which address made which file.
        title: What the note is to be called; empty: what it was called before, or what the page calls itself.
        course: Sub-folder for a new note, made if needed; one that is updated stays where it is.
        today: The day to note; none: the system's.

    Raises:
        NotFetched: The page holds no text.
        NoteEdited: The user changed the note that this address made.
        PathOutsideNotes: The course is no folder in the notes folder.
    """
    folder = _folder(notes, course)
    remembered = _remembered(memory)
    old = next((remembered[key] for key in (page.address, page.asked) if key in remembered), {})
    given = one_line(title) or old.get("title", "")
    name, data = _note(page, given, (today or datetime.date.today()).isoformat())
    suffix = _SUFFIXES[page.kind]
    path = _found_again(notes, old) if old and old["path"].endswith(suffix) else None
    if path and _body(path.read_bytes()) == _body(data):
        return Saved(path.relative_to(notes).as_posix(), "unchanged", name, page.address)
    outcome = "updated" if path else "added"
    path = path or _new(folder, file_name(name, page.address), suffix)
    try:
        _write(path, data)
    except BaseException:
        if outcome == "added":
            path.unlink()
        raise
    place = path.relative_to(notes).as_posix()
    entry = {"path": place, "sha256": hashlib.sha256(data).hexdigest(), "title": given}
    _remember(memory, {page.address: entry, page.asked: entry})
    return Saved(place, outcome, name, page.address)


def one_line(text: str) -> str:
    """Return text on one line, without control and formatting characters."""
    kept = "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text)
    return " ".join(kept.split())


def file_name(title: str, address: str) -> str:
    """Return a title as a file name without suffix: 'What is FSDP?' → 'what-is-fsdp'.

    Args:
        title: Whatever a page calls itself.
        address: Names the file where nothing of the title can.
    """
    parts = urlsplit(address)
    last = PurePosixPath(unquote(parts.path)).stem
    for words in (title, last, parts.hostname or "", "page"):
        name = re.sub(r"[^\w]+", "-", unicodedata.normalize("NFKC", words).lower().replace("_", "-")).strip("-")
        name = name.encode()[:_NAME_BYTES].decode(errors="ignore").strip("-")
        if name:
            return f"{name}-page" if _RESERVED.fullmatch(name) else name
    raise AssertionError("the last name is never empty")


def _folder(notes: Path, course: str) -> Path:
    folder = (notes / course).resolve()
    hidden = any(part.startswith(".") for part in PurePosixPath(course).parts)
    if hidden or not folder.is_relative_to(notes.resolve()) or (folder.exists() and not folder.is_dir()):
        raise PathOutsideNotes(Path(course), notes)
    return folder


def _note(page: Page, title: str, day: str) -> tuple[str, bytes]:
    """Return the title and the bytes of a page as a note."""
    address = urlsplit(page.address)
    fallback = one_line(unquote(PurePosixPath(unquote(address.path)).stem)) or address.hostname or "page"
    if page.kind == "pdf":
        return title or fallback, page.data
    try:
        if page.kind == "html":
            its_own, text = to_markdown(page.data, charset=page.charset, address=page.address)
        else:
            its_own, text = "", _text(page)
    except Unreadable as error:
        raise NotFetched(f"{page.address}: {error.reason}; a page that is made by scripts can't be added") from error
    if not text.strip():
        raise NotFetched(f"{page.address} holds no text")
    front = _FRONT.match(text) if page.kind == "markdown" else None
    kept = _OURS.sub("", (front["lines"] or "") if front else "")
    if title:
        kept = _TITLE.sub("", kept)
    declared = _TITLE.search(kept)
    if page.kind == "markdown" and not declared:
        heading = re.search(r"^#[ \t]+(.+?)[ \t#]*$", text, re.MULTILINE)
        its_own = heading[1] if heading else ""
    name = title or (one_line(declared[0].split(":", 1)[1]).strip("\"'") if declared else "")
    name = name or one_line(its_own) or fallback
    head = "" if declared else f"title: {json.dumps(name, ensure_ascii=False)}\n"
    head += f"source: {json.dumps(page.address, ensure_ascii=False)}\nfetched: {day}\n{kept}"
    body = text[front.end() :] if front else text
    return name, f"---\n{head}---\n\n{body.strip(chr(10))}\n".encode(errors="replace")


def _text(page: Page) -> str:
    with suppress(LookupError, UnicodeError):
        if page.charset:
            return page.data.decode(page.charset).removeprefix("\ufeff").replace("\r\n", "\n")
    return decode(page.data)[0]


def _body(data: bytes) -> bytes:
    """Return a note without the day on which it was fetched."""
    return re.sub(rb"^fetched: .*\n", b"", data, count=1, flags=re.MULTILINE)


def _remembered(memory: Path) -> dict[str, dict[str, str]]:
    try:
        found: Any = json.loads(memory.read_text())
        names = ("path", "sha256", "title")
        return {str(key): {name: str(entry[name]) for name in names} for key, entry in found.items()}
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return {}


def _remember(memory: Path, entries: dict[str, dict[str, str]]) -> None:
    memory.parent.mkdir(parents=True, exist_ok=True)
    _write(memory, json.dumps(_remembered(memory) | entries, ensure_ascii=False, indent=1).encode())


def _found_again(notes: Path, old: dict[str, str]) -> Path | None:
    """Return the file that an address made, also where it was moved to; none where it was deleted.

    Raises:
        NoteEdited: It is there, and was edited.
    """
    path = notes / old["path"]
    if path.is_file():
        if _digest(path) != old["sha256"]:
            raise NoteEdited(old["path"])
        return path
    return next((moved for moved in _files(notes, path.suffix) if _digest(moved) == old["sha256"]), None)


def _files(notes: Path, suffix: str) -> Iterator[Path]:
    for folder, folders, names in os.walk(notes):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(folder, name) for name in sorted(names) if name.endswith(suffix) and name[0] != ".")


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _new(folder: Path, name: str, suffix: str) -> Path:
    """Return a path that was free, and is now an empty file of ours."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, 1000):
        path = folder / f"{name}{'' if number == 1 else f'-{number}'}{suffix}"
        try:
            path.open("xb").close()
        except FileExistsError:
            continue
        return path
    raise FileExistsError(17, "too many notes have this name", str(folder / f"{name}{suffix}"))


def _write(path: Path, data: bytes) -> None:
    """Write a file whole: whoever reads it meanwhile sees the old or the new one."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".adding-", delete=False) as draft:
        try:
            draft.write(data)
            draft.flush()
            os.fsync(draft.fileno())
            if path.exists():
                shutil.copymode(path, draft.name)
            Path(draft.name).replace(path)
        except BaseException:
            Path(draft.name).unlink(missing_ok=True)
            raise
