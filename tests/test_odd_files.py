"""Damaged files of the formats that run foreign code: none stops, hangs or is lost from the count.

The files are the starter notes with seeded damage; `folder_ledger.py` does the same for any folder.
"""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORMATS = ("pdf", "docx", "pptx", "html", "ipynb", "vtt")
EACH = 8


def damaged(data: bytes, dice: random.Random) -> bytes:
    """Return a file that is cut, flipped, blanked, shortened in its middle, or put together in another order."""
    size = len(data)
    start, end = sorted(dice.randrange(size) for _ in range(2))
    near = min(size, start + dice.choice((16, 300, 5000)))
    how = dice.randrange(5)
    if how == 0:
        return data[: start + 1]
    if how == 1:
        flipped = bytearray(data)
        for _ in range(dice.choice((1, 5, 50, 500))):
            flipped[dice.randrange(size)] ^= 1 << dice.randrange(8)
        return bytes(flipped)
    if how == 2:
        return data[:start] + bytes(near - start) + data[near:]
    if how == 3:
        return data[:start] + data[near:]
    return data[:start] + data[end:] + data[start:end]


@pytest.mark.slow
def test_a_line_of_fifty_megabytes_costs_neither_memory_nor_the_other_notes(tmp_path: Path) -> None:
    line = "the gradient of a shard " * 2_100_000
    for suffix in ("txt", "md", "rst", "csv", "json"):
        (tmp_path / f"line.{suffix}").write_text(line)
    (tmp_path / "small.md").write_text("A small note.")
    command = [sys.executable, str(ROOT / "tests" / "folder_ledger.py"), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr.decode()
    ledger = json.loads(ended.stdout)
    too_long = "holds 50,400,000 characters of text, more than 10,000,000; split it"
    assert {note["path"]: note["reason"] for note in ledger["notes"]} == {
        "line.txt": too_long,
        "line.md": too_long,
        "line.rst": too_long,
        "line.csv": "no text could be read of it; row 1: its line has more than 5,000,000 characters: data, not notes",
        "line.json": "50400000 characters of json: data, not notes",
        "small.md": "",
    }
    assert ledger["peak_mb"] < 1500


@pytest.mark.slow
def test_damaged_files_end_in_a_state_and_the_counts_add_up(tmp_path: Path) -> None:
    dice = random.Random(20261121)
    for suffix in FORMATS:
        sound = min((ROOT / "corpus").rglob(f"*.{suffix}")).read_bytes()
        (tmp_path / f"sound.{suffix}").write_bytes(sound)
        for number in range(EACH):
            (tmp_path / f"odd{number}.{suffix}").write_bytes(damaged(sound, dice))
    command = [sys.executable, str(ROOT / "tests" / "folder_ledger.py"), str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, timeout=300, check=False)
    assert ended.returncode == 0, ended.stderr.decode()
    ledger = json.loads(ended.stdout)
    assert ledger["files"] == ledger["on_disk"] == len(FORMATS) * (EACH + 1)
    states = {note["path"]: note["state"] for note in ledger["notes"]}
    assert {states[f"sound.{suffix}"] for suffix in FORMATS} == {"indexed"}
    assert set(states.values()) <= {"indexed", "failed", "empty", "encrypted", "no text layer", "skipped"}
    assert ledger["peak_mb"] < 1500
