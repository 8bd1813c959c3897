"""Ingest any folder, print its ledger as JSON, and exit with 1 if the counts don't add up or the process died.

    python tests/folder_ledger.py FOLDER [--real]

The state is kept in a temporary folder and FOLDER is only read. Chunks are embedded by a cheap stand-in; with
`--real` by the real model. The JSON is that of `ask ingest --json`, with `on_disk`, `wrong` and `peak_mb`.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def on_disk(folder: Path) -> int:
    """Return how many files there are, of whatever kind; a link to a folder counts as one."""
    count = 0
    for top, folders, files in os.walk(folder):
        count += len(files) + sum(Path(top, name).is_symlink() for name in folders)
    return count


def ingest(folder: Path, home: Path, *, real: bool) -> dict[str, Any]:
    """Sync twice, and return the first report, with what is wrong about it."""
    from ingest.settings import IngestSettings
    from ingest.shelf import Shelf
    from ingest.sync import sync
    from tests.fakes import HashedEmbedder

    settings = IngestSettings(home=home, notes=folder, qdrant_url="")
    shelf = Shelf(settings, embedder=None if real else HashedEmbedder(dim=64))
    before = on_disk(folder)
    report = sync(shelf)
    wrong = []
    if not before == len(report.notes) == sum(report.by_state.values()) == len({note.path for note in report.notes}):
        wrong.append(f"{before} files on disk, {len(report.notes)} in the report, {report.by_state}")
    if silent := [note.path for note in report.notes if note.state != "indexed" and not note.reason]:
        wrong.append(f"no reason for {silent[:3]}")
    found = shelf.view().count() if report.generation else 0
    if not found == report.chunks == sum(note.chunks for note in report.notes):
        wrong.append(f"{found} chunks in the index, {report.chunks} in the report")
    again = sync(shelf)
    if again.embedded or again.written or again.deleted:
        wrong.append(f"a second sync wrote {again.written} chunks and deleted {again.deleted}")
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return report.as_json() | {"on_disk": before, "wrong": wrong, "peak_mb": peak >> 10}


def main(arguments: Sequence[str]) -> int:
    """Do it in a process of its own, and tell how that ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--real", action="store_true", help="embed with the real model")
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.here:
        print(json.dumps(ingest(given.folder.resolve(), given.here, real=given.real), indent=1))
        return 0
    with tempfile.TemporaryDirectory(prefix="folder-ledger-") as home:
        command = [sys.executable, str(Path(__file__).resolve()), "--here", home, *arguments]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        child = subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=False)
    if child.returncode:
        how = f"signal {-child.returncode}" if child.returncode < 0 else f"status {child.returncode}"
        print(f"the process died ({how})", file=sys.stderr)
        return 1
    print(child.stdout.decode())
    wrong = json.loads(child.stdout)["wrong"]
    print("\n".join(wrong), end="\n" * bool(wrong), file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
