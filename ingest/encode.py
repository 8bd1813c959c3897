"""An exported model turns text into vectors: by ONNX Runtime for a few texts, by OpenVINO for many.

texts → tokens → batches of equal padded length → the model → unit vectors
"""

import contextlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from ingest.errors import EmbedderUnavailable

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer as Tokenizer  # embed.py names the type, too

    Vectors = np.ndarray[tuple[int, int], np.dtype[np.float32]]
    """One unit vector a row."""

BATCH = 16
"""Texts in one forward pass on a CPU; larger ones leave its caches."""
PADDING = 16
"""Tokens to whose multiple a text is padded."""


class _Batch(NamedTuple):
    """Texts of one padded length."""

    rows: Sequence[int]
    """Their positions."""
    input_ids: Any
    attention_mask: Any
    """Like the ids, of shape (texts, tokens)."""


class Run(Protocol):
    """A way to run an exported model."""

    def __call__(self, batches: Iterable[_Batch]) -> Iterable[tuple[Sequence[int], Any]]:
        """Return the positions and the vectors of each batch, in any order."""
        ...


class Exported:
    """An exported model, run in one of two ways."""

    def __init__(self, run: Run, tokenizer: "Tokenizer", dim: int) -> None:
        self._run, self._tokenizer, self._dim = run, tokenizer, dim

    def encode(self, texts: Sequence[str], prompt: str = "") -> "Vectors":
        """Return one unit vector per text, each read behind the prompt, in order; shape (len(texts), dim)."""
        import numpy as np

        if not texts:
            return np.zeros((0, self._dim), np.float32)
        return encode(self._run, self._tokenizer, [prompt + text for text in texts])


def load_tokenizer(folder: Path, max_tokens: int | None) -> "Tokenizer":
    """Return a model's tokenizer, without padding; `max_tokens` None: without truncation."""
    from tokenizers import Tokenizer

    with _one_line(folder):
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    # MiniLM's file pads and truncates to 128 by itself, which would make the mean over tokens wrong.
    tokenizer.no_padding()
    if max_tokens is None:
        tokenizer.no_truncation()
    else:
        tokenizer.enable_truncation(max_tokens)
    return tokenizer


@contextlib.contextmanager
def _one_line(folder: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # each of these libraries raises bare exceptions, with its reason as text
        first_line = str(error).strip().split("\n")[0]
        raise EmbedderUnavailable(
            f"the prepared model in {folder} is damaged ({first_line}); remove that folder"
        ) from error


def on_onnxruntime(folder: Path) -> Run:
    """Return what runs a few texts: light to import, exact."""
    onnxruntime = _onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # The level above only lays convolutions out anew; to find that there are none takes a quarter of the start.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    # Threads that spin while they wait take the other core from everything else.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    with _one_line(folder):
        session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])

    def run(batches: Iterable[_Batch]) -> Iterator[tuple[Sequence[int], Any]]:
        for rows, input_ids, attention_mask in batches:
            yield rows, session.run(None, {"input_ids": input_ids, "attention_mask": attention_mask})[0]

    return run


def begin_on_onnxruntime(folder: Path) -> "Future[Run]":
    """Begin to load in a thread what `on_onnxruntime` returns: most of that happens beside the interpreter."""
    _onnxruntime()  # in this thread: imports that run at once only take turns, and Ctrl-C may leave their lock held
    coming: Future[Run] = Future()

    def load() -> None:
        try:
            coming.set_result(on_onnxruntime(folder))
        except BaseException as error:  # who asks for the result is told
            coming.set_exception(error)

    # No pool: Ctrl-C while that starts its thread leaves it waiting for work, and the process for it, for ever.
    threading.Thread(target=load, name="load").start()
    return coming


def _onnxruntime() -> Any:
    """Return the module, imported after numpy.

    It asks for a part of numpy by its name. Where another thread is about to import numpy, each of the two then waits
    for the other's module, and Python ends that by giving one of them half a module.
    """
    import numpy  # noqa: F401
    import onnxruntime

    return onnxruntime


def on_openvino(folder: Path) -> Run:
    """Return what runs many texts: bfloat16 where the processor computes with it."""
    import openvino

    core = _openvino_core()
    precision = "bf16" if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES") else "f32"
    with _one_line(folder):
        compiled = core.compile_model(
            str(folder / "model.onnx"),
            "CPU",
            # A batch for each core beats all cores on one batch: no core waits for another inside a layer.
            {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "THROUGHPUT"},
        )
    queue = openvino.AsyncInferQueue(compiled)
    found: list[tuple[Sequence[int], Any]] = []
    queue.set_callback(lambda request, rows: found.append((rows, request.get_output_tensor().data.copy())))
    one_at_a_time = threading.Lock()

    def run(batches: Iterable[_Batch]) -> list[tuple[Sequence[int], Any]]:
        with one_at_a_time:
            found.clear()
            for rows, input_ids, attention_mask in batches:
                queue.start_async([input_ids, attention_mask], rows)
            queue.wait_all()
            return found.copy()

    return run


@cache
def _openvino_core() -> Any:
    """Return OpenVINO's plugins, loaded once and never unloaded.

    The CPU plugin gives the thread that loads it a signal stack, and frees that stack in whatever thread unloads it:
    from then on a signal (Ctrl-C, SIGTERM) to the first one would end the process by a segmentation fault.
    """
    import openvino

    return openvino.Core()


def encode(run: Run, tokenizer: "Tokenizer", texts: Sequence[str]) -> "Vectors":
    """Run in batches of equal padded length: little is computed for padding, and a vector depends on its text alone."""
    import numpy as np

    encodings = tokenizer.encode_batch(list(texts))
    lengths = [_padded(len(encoding.ids), tokenizer) for encoding in encodings]

    def batches() -> Iterator[_Batch]:
        for rows in _batches(lengths):
            shape = (len(rows), lengths[rows[0]])
            batch = _Batch(rows, np.zeros(shape, np.int64), np.zeros(shape, np.int64))
            for at, row in enumerate(rows):
                ids = encodings[row].ids
                batch.input_ids[at, : len(ids)] = ids
                batch.attention_mask[at, : len(ids)] = 1
            yield batch

    found = np.zeros((0, 0), np.float32)
    for rows, vectors in run(batches()):
        if not found.size:
            found = np.zeros((len(texts), vectors.shape[1]), np.float32)
        found[list(rows)] = vectors
    return unit(found)


def _padded(length: int, tokenizer: "Tokenizer") -> int:
    """Return a length of a few fixed ones, none of them beyond what the model has positions for."""
    most = tokenizer.truncation["max_length"] if tokenizer.truncation else length
    return max(1, length, min(most, -(-length // PADDING) * PADDING))


def unit(vectors: Any) -> "Vectors":
    """Return rows of length 1; a text without a token may have none."""
    import numpy as np

    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9), dtype=np.float32)


def _batches(lengths: Sequence[int]) -> Iterator[Sequence[int]]:
    """Yield positions of texts of one length, at most `BATCH` together, short ones first."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    for _, same in groupby(order, key=lambda i: lengths[i]):
        positions = list(same)
        for first in range(0, len(positions), BATCH):
            yield positions[first : first + BATCH]
