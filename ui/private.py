"""Files that only their owner can read, whole or not there at all."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Write a file in one step."""
    with _draft(path, text) as draft:
        draft.replace(path)


def write_once(path: Path, text: str) -> None:
    """Write a file, unless it is there."""
    with _draft(path, text) as draft, contextlib.suppress(FileExistsError):
        path.hardlink_to(draft)


@contextlib.contextmanager
def _draft(path: Path, text: str) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    made, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-")  # of mode 0600
    draft = Path(name)
    try:
        with os.fdopen(made, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield draft
    finally:
        draft.unlink(missing_ok=True)
