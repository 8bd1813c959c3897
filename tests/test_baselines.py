import os
import time
from pathlib import Path

import numpy as np
import pytest

from assistant.settings import AssistantSettings
from eval.baselines import best_of, fused, mean_gain
from eval.cases import Case
from eval.passages import gold_chunks, gold_spans, holds
from eval.retrieval import shown
from eval.score import Row
from eval.scratch import KEPT_DAYS, content_hash, open_index
from tests.fakes import entry


def test_ranks_are_fused_by_their_reciprocals() -> None:
    a, b, c = (entry(f"{name}.md", name).chunk for name in "abc")
    assert [chunk.path for chunk in fused([a, b, c], [c, b])] == ["c.md", "b.md", "a.md"]  # 1/63+1/61, 2/62, 1/61


def test_the_best_usual_way_is_chosen_by_its_ndcg() -> None:
    def row(value: float) -> Row:
        return Row("retrieval", "1", "?", (), {"ndcg@10": value})

    assert best_of({"dense": [row(0.5), row(0.5)], "BM25": [row(1.0), row(0.1)]}) == "BM25"


def test_the_mean_gain_counts_each_set_once() -> None:
    assert mean_gain([np.array([0.1] * 10), np.array([0.3] * 1000)]) == pytest.approx((0.2, 0.2, 0.2))


def test_a_chunk_holds_a_stretch_by_half() -> None:
    chunk = entry("a.md", "0123456789").chunk
    assert holds(chunk, (5, 15))
    assert not holds(chunk, (6, 16))
    assert holds(chunk, (4, 100))  # most of the chunk lies in it
    assert not holds(chunk, (20, 30))


def test_gold_sentences_are_found_in_chunks_and_in_what_is_shown(settings: AssistantSettings) -> None:
    notes = settings.home.parent / "other"
    notes.mkdir()
    (notes / "a.md").write_text("# Ports\n\nThe gateway listens on port 9090, over TLS.\n")
    shelf, _ = open_index(settings, notes)
    case = Case("1", "?", "open", True, (), ("a.md",), ("a.md",), ("listens on port 9090 , over TLS", "no such words"))
    other = Case("2", "?", "open", True, (), ("a.md",), ("a.md",), ("no such words",))
    spans = gold_spans([case, other], shelf.ledger)
    assert list(spans) == ["1"]
    assert len(gold_chunks(spans, shelf.view())["1"]) == 1
    assert shown([], spans["1"], ["a.md"], {}) == 0.0


def test_an_index_that_no_run_used_for_long_goes(settings: AssistantSettings) -> None:
    (settings.notes / "a.md").write_text("# A\n\nA note.\n")
    open_index(settings, settings.notes)
    (kept,) = (settings.home / "eval" / "index").iterdir()
    old = time.time() - (KEPT_DAYS + 1) * 86400
    os.utime(kept, (old, old))
    (settings.notes / "a.md").write_text("# A\n\nAnother note.\n")
    open_index(settings, settings.notes)
    assert kept not in list((settings.home / "eval" / "index").iterdir())


def test_the_digest_is_of_names_and_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("one")
    first = content_hash(tmp_path)
    (tmp_path / "a.md").touch()
    assert content_hash(tmp_path) == first
    (tmp_path / "a.md").rename(tmp_path / "b.md")
    assert content_hash(tmp_path) != first
