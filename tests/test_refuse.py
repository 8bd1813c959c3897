import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from assistant.answer import WEAK, Answer, answer
from assistant.refuse import Calibration, judge, load_calibration, save_calibration
from assistant.retrieve import Passage, Retrieval, retrieve
from assistant.settings import AssistantSettings
from eval.calibrate import fit
from ingest.chunk import Chunk, Place
from ingest.embed import DEFAULT_SHA256, Embedder, Model
from ingest.shelf import Shelf
from ingest.sync import sync
from tests.fakes import HashedEmbedder

OTHER = Model("other", "ab" * 32, 16, 66, "", "", "", "", "")
OURS = Calibration("other", "ab" * 32, 0.5, 0.6, "by hand")


def found(best: float, cosine: float) -> Retrieval:
    chunk = Chunk("a.md", "v", 0, 0, 4, "text", "", (Place(0, "line 1", ()),))
    return Retrieval((Passage(chunk, best, cosine, 0.0, 1, None),), (), best, [], 0.0, {})


def test_evidence_is_the_fused_score_and_the_weighted_cosine_and_enough_at_the_threshold() -> None:
    enough, short = judge(found(0.4, 0.5), OURS), judge(found(0.4, 0.25), OURS)
    assert (enough.answerable, round(enough.evidence, 6), enough.threshold) == (True, 0.65, 0.6)
    assert (short.answerable, round(short.evidence, 6)) == (False, 0.525)
    assert judge(found(0.35, 0.5), OURS).answerable


def test_just_above_the_threshold_the_evidence_is_weak() -> None:
    careful = replace(OURS, caution=0.65)
    assert [judge(found(best, 0.5), careful).weak for best in (0.34, 0.36, 0.39, 0.41)] == [False, True, True, False]
    assert not judge(found(0.36, 0.5), OURS).weak  # a calibration of before


def test_an_answer_of_weak_evidence_says_so_in_one_line(settings: AssistantSettings) -> None:
    (settings.notes / "zebra.md").write_text("# Zebras\n\nZebras have black and white stripes.\n")
    shelf = Shelf(settings, embedder=HashedEmbedder())
    sync(shelf)
    for caution, weak in ((9.0, True), (0.2, False)):
        save_calibration(Calibration("hashed", "0" * 64, 0.0, 0.1, "", caution), settings.home / "calibration")
        *_, done = answer("What do zebras have?", shelf, settings, use_model=False)
        assert isinstance(done, Answer)
        assert (done.outcome, done.weak, done.as_json()["weak"]) == ("quoted", weak, weak)
        assert (WEAK in done.notice) == weak


def test_without_a_calibration_only_nothing_is_refused() -> None:
    assert judge(found(0.01, 0.0), None).answerable
    nothing = judge(Retrieval((), (), 0.0, [], 0.0, {}), None)
    assert (nothing.answerable, nothing.calibrated) == (False, False)


def test_a_calibration_is_stored_for_its_model_alone(tmp_path: Path) -> None:
    path = save_calibration(OURS, tmp_path / "calibration")
    assert path.name == "abababababababab.json"
    assert json.loads(path.read_text())["threshold"] == 0.6
    assert load_calibration(OTHER.sha256, tmp_path) == OURS
    assert load_calibration("cd" * 32, tmp_path) is None


def test_the_default_model_s_is_shipped_and_one_s_own_comes_before_it(tmp_path: Path, embedder: Embedder) -> None:
    shipped = load_calibration(embedder.model.sha256, tmp_path)
    assert shipped is not None
    assert shipped.sha256 == DEFAULT_SHA256
    own = Calibration("mine", DEFAULT_SHA256, 0.0, 0.9, "")
    save_calibration(own, tmp_path / "calibration")
    assert load_calibration(embedder.model.sha256, tmp_path) == own


def test_an_answer_says_that_nothing_is_refused_where_the_model_has_no_calibration(settings: AssistantSettings) -> None:
    (settings.notes / "zebra.md").write_text("# Zebras\n\nZebras have black and white stripes.\n")
    shelf = Shelf(settings, embedder=HashedEmbedder())
    sync(shelf)
    *_, done = answer("Who won the cup of 1998?", shelf, settings, use_model=False)
    assert isinstance(done, Answer)
    assert done.outcome == "quoted"
    assert done.notice.endswith("nothing is refused: the embedding model has no calibration; run: ask calibrate")


def test_a_reranker_changes_the_order_and_not_the_verdict(corpus_settings: AssistantSettings) -> None:
    class Upside:
        def score(self, question: str, texts: Sequence[str]) -> list[float]:
            return [number / 100 for number, _ in enumerate(texts)]

    shelf = Shelf(corpus_settings)
    question = "What is the best pizza in Naples?"
    plain = retrieve(question, shelf.view(), shelf.embedder, top_k=3)
    turned = retrieve(question, shelf.view(), shelf.embedder, top_k=3, reranker=Upside())
    assert plain.candidates[29].chunk == turned.candidates[0].chunk
    calibration = load_calibration(shelf.embedder.model.sha256, corpus_settings.home)
    assert judge(plain, calibration) == judge(turned, calibration)


def test_the_fit_refuses_at_most_one_in_twenty_and_then_most_of_the_others() -> None:
    answerable = [(0.5 + n / 100, 0.5) for n in range(20)]
    others = [(0.2, 0.5), (0.3, 0.5), (0.52, 0.5)]
    weight, threshold, caution = fit({"a": (answerable, others)})
    refused = sum(best + weight * cosine < threshold for best, cosine in answerable)
    assert refused <= 1
    assert sum(best + weight * cosine < threshold for best, cosine in others) == 2
    assert sum(best + weight * cosine < caution for best, cosine in answerable) == 3


def test_each_set_keeps_its_one_in_twenty() -> None:
    strong, weak = [(0.9, 0.0)] * 20, [(0.4, 0.0)] * 20
    _, threshold, _ = fit({"strong": (strong, []), "weak": (weak, [])})
    assert threshold <= 0.4
