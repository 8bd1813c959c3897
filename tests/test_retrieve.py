from pathlib import Path

import pytest

from assistant.refuse import load_calibration
from assistant.retrieve import Passage, collapse, fuse, retrieve
from assistant.settings import AssistantSettings
from eval.calibrate import MOST_REFUSED, gather
from eval.cases import read_cases
from eval.metrics import auroc
from eval.retrieval import score
from ingest.chunk import Chunk, Place
from ingest.index import Hit
from ingest.shelf import Shelf
from ingest.sync import sync
from tests.conftest import NOBODY

SETS = ("ml4b", "ds4b", "os-psych", "clapnq")


def a_chunk(path: str, ordinal: int, text: str = "") -> Chunk:
    text = text or f"{path} {ordinal}"
    return Chunk(path, "v1", ordinal, 100 * ordinal, 100 * ordinal + len(text), text, "", (Place(0, "line 1", ()),))


def test_scores_are_half_meaning_half_words_and_their_file_weighs_two_fifths() -> None:
    a, b = a_chunk("a.md", 0), a_chunk("b.md", 0)
    found = fuse([Hit(a, 0.8), Hit(b, 0.6)], [Hit(b, 5.0)], ideal=10.0)
    # a: .5·.8 = .4; b: .5·.6 + .5·.5 = .55; a file of one chunk counts it as (1 + 1/2 + 1/4) / 3.
    weight = (1 + 0.5 + 0.25) / 3
    assert [passage.chunk.path for passage in found] == ["b.md", "a.md"]
    assert found[0].score == pytest.approx(0.6 * 0.55 + 0.4 * 0.55 * weight)
    assert found[1].score == pytest.approx(0.6 * 0.4 + 0.4 * 0.4 * weight)
    assert (found[0].dense_rank, found[0].sparse_rank) == (2, 1)
    assert (found[1].dense_rank, found[1].sparse_rank) == (1, None)


def test_a_file_with_three_good_chunks_beats_one_with_a_single_equal_one() -> None:
    hits = [Hit(a_chunk("one.md", 0), 0.7)] + [Hit(a_chunk("three.md", i), 0.7) for i in range(3)]
    assert fuse(hits, [], ideal=0.0)[0].chunk.path == "three.md"


def test_nothing_found_is_an_empty_list_and_words_that_do_not_count_divide_by_nothing() -> None:
    assert fuse([], [], ideal=0.0) == []
    assert fuse([Hit(a_chunk("a.md", 0), 0.5)], [], ideal=0.0)[0].bm25 == 0.0


def test_ties_are_broken_by_path_and_place() -> None:
    hits = [Hit(a_chunk(path, ordinal), 0.5) for path, ordinal in (("b.md", 1), ("b.md", 0), ("a.md", 1), ("a.md", 0))]
    order = [(passage.chunk.path, passage.chunk.ordinal) for passage in fuse(hits, [], ideal=0.0)]
    assert order == [("a.md", 0), ("a.md", 1), ("b.md", 0), ("b.md", 1)]


def test_passages_that_say_the_same_collapse_and_name_each_other() -> None:
    same = "the scheduler gives each pod one whole card and never shares it between two of them at all"
    passages = [
        Passage(a_chunk(path, 0, text), score, 0.0, 0.0, None, None)
        for path, text, score in (("a.md", same, 0.9), ("copy/a.md", same, 0.8), ("b.md", "something else", 0.7))
    ]
    kept = collapse(passages, 2)
    assert [(passage.chunk.path, passage.same_as) for passage in kept] == [("a.md", ("copy/a.md",)), ("b.md", ())]


def test_neighbours_are_joined_with_the_note_s_own_text(corpus_settings: AssistantSettings) -> None:
    shelf = Shelf(corpus_settings)
    found = retrieve("How does FSDP differ from DDP?", shelf.view(), shelf.embedder, top_k=6, text_of=shelf.ledger.text)
    joined = [passage.chunk for passage in found.passages if len(passage.chunk.places) > 1]
    assert joined
    for chunk in joined:
        text = shelf.ledger.text(chunk.version)
        assert text is not None
        assert text[chunk.start : chunk.end] == chunk.text


@pytest.fixture(scope="session")
def shelves(evaldata: Path, models: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Shelf]:
    """The four question sets, indexed with the real model."""
    home = tmp_path_factory.mktemp("evaldata")
    (home / "models").symlink_to(models)
    found = {}
    for name in SETS:
        settings = AssistantSettings(home=home, notes=evaldata / name / "corpus", llm_url=NOBODY)
        found[name] = Shelf(settings)
        sync(found[name])
    return found


@pytest.mark.slow
@pytest.mark.evaldata
@pytest.mark.parametrize(("name", "baseline"), list(zip(SETS, (0.838, 0.876, 0.914, 0.984), strict=True)))
def test_the_right_notes_are_found_at_least_as_well_as_by_the_best_baseline(
    shelves: dict[str, Shelf], evaldata: Path, name: str, baseline: float
) -> None:
    assert score(shelves[name], evaldata / name)["ndcg@10"].value >= baseline


@pytest.mark.slow
@pytest.mark.evaldata
@pytest.mark.parametrize(("name", "others_refused"), list(zip(SETS, (0.975, 0.96, 0.82, 0.3), strict=True)))
def test_few_answerable_questions_are_refused_and_most_of_the_others(
    shelves: dict[str, Shelf], evaldata: Path, name: str, others_refused: float
) -> None:
    shelf = shelves[name]
    calibration = load_calibration(shelf.embedder.model.sha256, shelf.settings.home)
    assert calibration is not None
    cases = read_cases(evaldata / name / "queries.jsonl")
    others = [case for case in cases if not case.answerable]
    if (file := evaldata / name / "ood_queries.jsonl").is_file():
        others += read_cases(file, answerable=False)

    def evidence(of: list) -> list[float]:  # type: ignore[type-arg]
        return [best + calibration.cosine_weight * cosine for best, cosine in gather(shelf, of)]

    good, bad = evidence([case for case in cases if case.answerable]), evidence(others)
    assert sum(value < calibration.threshold for value in good) / len(good) <= MOST_REFUSED
    assert sum(value < calibration.threshold for value in bad) / len(bad) >= others_refused
    assert auroc(good, bad) > (0.876 if name == "clapnq" else 0.95)
