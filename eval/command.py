"""What the modules that are run as `python -m eval.NAME` share: help from their first lines, errors in one line."""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from ingest.errors import StudyError


def parser_of(name: str, doc: str | None) -> argparse.ArgumentParser:
    """Return a parser of arguments for a module, which tells what the module says of itself."""
    return argparse.ArgumentParser(
        prog=f"python -m eval.{name}", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def folder(name: str) -> Path:
    """Return a set of cases as an argument names it: a folder with corpus/ and queries.jsonl."""
    found = Path(name)
    for needed in (found / "corpus", found / "queries.jsonl"):
        if not needed.exists():
            raise argparse.ArgumentTypeError(f"there is no {needed}")
    return found


@contextlib.contextmanager
def one_line() -> Iterator[None]:
    """End the process with one line on stderr where something is wrong with what it was given."""
    try:
        yield
    except (StudyError, OSError, ValueError, LookupError) as error:
        sys.exit(f"error: {' '.join(f'{error}'.split()) or type(error).__name__}")
