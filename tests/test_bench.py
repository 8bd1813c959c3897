"""The bench works at all: each row is measured, at sizes that mean nothing."""

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from eval import bench, bench_notes
from eval.bench_measure import QUICK, Place, Row, Took, in_turns, process_row, share, times_faster, told
from eval.bench_pdf import make, right
from eval.bench_sync import lost_share
from ingest.read.pdf import read
from tests.conftest import ROOT


def took(seconds: float) -> Took:
    return Took(seconds, 2 * seconds, 100.0, "")


def test_a_row_is_a_line_of_markdown() -> None:
    row = Row("help", "0.05 s", "", "", "≤ 0.25 s", True)
    assert str(row) == "| help | 0.05 s | – | – | ≤ 0.25 s | yes |"


def test_a_ratio_is_the_median_of_the_turns_not_of_the_times() -> None:
    assert times_faster([1, 10, 1], [4, 30, 5]) == 4
    row = process_row("sync", [took(1), took(2), took(1)], [took(50), took(98), took(60)], 50)
    assert (row.ratio, row.met) == ("50.0 (CPU 50.0)", True)
    assert told([took(1), took(3)]) == "2.00 s (1.00–3.00), CPU 4.00 s"


def test_who_goes_first_changes_from_turn_to_turn() -> None:
    order: list[str] = []
    assert in_turns(2, lambda: order.append("a"), lambda: order.append("b")) == [[None, None], [None, None]]
    assert order == ["a", "b", "b", "a"]


def test_a_share_of_values_is_a_value() -> None:
    assert share([5, 1, 4, 2, 3], 0.5) == 3
    assert share([1], 0.95) == 1


def test_tokens_beyond_what_the_model_reads_are_lost() -> None:
    assert lost_share([100, 300], 254) == (46 / 400, 400)


def test_new_notes_are_the_same_for_the_same_seed_and_never_repeat_a_paragraph() -> None:
    notes = [bench_notes.note(random.Random(seed), 1000) for seed in (1, 1, 2)]
    assert notes[0] == notes[1] != notes[2]
    assert notes[0].startswith("# ")
    paragraphs = [part for note in notes[1:] for part in note.split("\n\n") if len(part) > 100]
    assert max(Counter(paragraphs).values()) == 1


def test_new_chunks_stand_where_they_say() -> None:
    found = list(bench_notes.chunks(45, seed=1))
    assert [found[0].path, found[44].path] == ["course-0/note-00000.md", "course-2/note-00002.md"]
    assert len({chunk.id for chunk in found}) == 45


def test_a_pdf_of_known_words_has_ligatures_and_broken_words() -> None:
    data, words = make(1, columns=1, ligatures=True, breaks=True, seed=5)
    assert words.total() > 300
    assert right("The first, the second", Counter({"the": 2, "first": 1, "third": 1})) == 0.75
    assert right(read(Path("a.pdf"), data).text, words) > 0.98


def test_what_fails_becomes_a_row_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(place: Place) -> None:
        raise OSError("no | disk")

    monkeypatch.setitem(bench.BENCHES, "help", broken)
    (row,) = bench.measure(Place(tmp_path, QUICK), ["help"])
    assert (row.ours, row.met) == (r"failed: OSError: no \| disk", False)


@pytest.mark.slow
def test_a_quick_run_of_some_benches_has_their_rows_and_none_that_failed(tmp_path: Path, models: Path) -> None:
    (tmp_path / "quick").mkdir()
    (tmp_path / "quick" / "models").symlink_to(models)
    out = tmp_path / "bench.md"
    # In a process of its own, as people run it: what is started from a large one is told to be as large.
    command = [sys.executable, "-m", "eval.bench", "--quick", "--folder", str(tmp_path), "--out", str(out)]
    done = subprocess.run(
        [*command, "--only", "help", "--only", "first-token"], cwd=ROOT, capture_output=True, text=True
    )
    rows = [line for line in out.read_text(encoding="utf-8").splitlines() if line.startswith("| ")][1:]
    assert [row.split(" | ")[0] for row in rows] == [
        "| `ask --help`",
        "| time to the model server's first token, after retrieval",
    ]
    assert [row for row in rows if "failed" in row] == []
    assert done.stdout == out.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_quick_run_of_the_web_app_s_bench_measures_every_row(tmp_path: Path, models: Path) -> None:
    (tmp_path / "quick").mkdir()
    (tmp_path / "quick" / "models").symlink_to(models)
    command = [sys.executable, "-m", "eval.bench", "--quick", "--folder", str(tmp_path), "--only", "web"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")][1:]
    assert [row for row in rows if "failed" in row] == []
    begin = ("web app: from the command", "`ask --no-llm` through", "web app, warm", "the same, 20", "the same, 20")
    assert len(rows) == len(begin)
    assert all(row.startswith(f"| {what}") for row, what in zip(rows, begin, strict=True))
