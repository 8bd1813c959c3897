"""Many machines parse and embed, this one writes: the producing half of a sync as a Ray Data pipeline.

    files → map_batches(_Parse: parse.Parser, cut)  → map_batches(_Embed: a GPU each, else the CPU)  → here, in order

What a sync decides, verifies and publishes stays where it was, with the same results: each stage runs the code of
the local engine, and a vector depends on its text alone (embed.py). Every machine must see the notes folder at the
same path and have this package, its embedding model and the `ray` extra installed.

    ask ingest --engine ray                               on this machine's cores and GPUs
    RAY_ADDRESS=10.0.0.5:6379 ask ingest --engine ray     on a cluster that runs already

Ray listens on every network and lets whoever connects run code; the one that is started here listens on
127.0.0.1 only, and asks for a token that nobody else knows.
"""

import logging
import os
import pickle
import re
import shutil
import socket
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from ingest import clone, embed
from ingest.chunk import Chunk, chunk, key_of
from ingest.errors import EmbedderUnavailable, StudyError
from ingest.ledger import Note
from ingest.parse import Parsed, Parser
from ingest.read import Document
from ingest.reuse import ids_of
from ingest.shelf import Shelf
from ingest.walk import File

if TYPE_CHECKING:
    from ingest.embed import Embedder

PARSED_TOGETHER = 8
"""Files that one task parses."""
EMBEDDED_TOGETHER = 32
"""Notes whose chunks are embedded in one call."""
STORE_BYTES = 512 << 20
"""Shared memory of a Ray that is started here; what does not fit spills to disk."""
_TEMPORARY = "study-ray-"
_LOCAL_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # What Ray does on Windows and macOS: all its servers listen on 127.0.0.1 alone.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
}

Load = Callable[[], "Embedder"]
"""Opens the embedding model on the machine on which it is called."""


class EngineUnavailable(StudyError):
    """Ray is not there, or failed."""


class Ray:
    """Ray Data, on a cluster or on this machine."""

    def __init__(self, *, cpus: int | None = None, load: Load | None = None) -> None:
        """Start nothing yet.

        Args:
            cpus: Most cores of a Ray that is started here; none: all.
            load: Opens the embedding model; none: as the settings say.
        """
        self._cpus, self._load = cpus, load

    def parse(
        self, shelf: Shelf, files: Sequence[File], known: Mapping[str, Note], *, again: bool
    ) -> Generator[Parsed, None, None]:
        """Yield what each file came to, with the vectors of what the last generation does not have.

        Raises:
            EngineUnavailable: Ray is not installed, can't be reached, or failed.
        """
        if not files:
            return
        load = self._load or partial(embed.load, shelf.settings.home.expanduser().resolve(), shelf.settings.embed_model)
        # Opened here first: two actors would both prepare it.
        sha256, most_bytes = shelf.embedder.model.sha256, shelf.settings.max_file_mb << 20
        parse = _Parse(load, sha256, shelf.notes, most_bytes, shelf.chunk_tokens, again, shelf.ocr)
        embedding = _Embed(load, sha256, *_had(shelf, files, known, again))
        with ExitStack() as stack, _errors():
            ray = stack.enter_context(_started(self._cpus))
            rows = [{"file": pickle.dumps((file, known.get(file.path)))} for file in files]
            for row in _pipeline(ray, rows, parse, embedding).iter_rows():
                made: Parsed | _Failed = pickle.loads(row["made"])
                if isinstance(made, _Failed):
                    raise EngineUnavailable(made.message)
                yield made


def _had(
    shelf: Shelf, files: Sequence[File], known: Mapping[str, Note], again: bool
) -> tuple[frozenset[str], frozenset[str]]:
    """Return the versions and the keys of which the last generation has every vector that matters."""
    generation = shelf.ledger.generation
    if again or not generation:
        return frozenset(), frozenset()
    versions = frozenset(note.version for note in shelf.ledger.notes().values() if note.version)
    edited = [known[file.path] for file in files if file.path in known]
    ids = [id_ for note in edited for id_ in ids_of(note)]
    if not ids:
        return versions, frozenset()
    with closing(shelf.store.view(generation)) as view:
        return versions, frozenset(view.vectors(ids))


# ------------------------------------------------------------------------------------------------- on the workers


@dataclass(frozen=True, slots=True)
class _Failed:
    """An error of ours that happened on a worker."""

    message: str


@dataclass(frozen=True, slots=True)
class _Parse:
    """The first stage; what it holds is sent to the workers, what it opens stays there."""

    load: Load
    sha256: str
    root: Path
    most_bytes: int
    chunk_tokens: int
    again: bool
    ocr: str

    def __call__(self) -> Callable[[dict[str, Any]], Iterator[Parsed]]:
        """Open the tokenizer; return what parses a batch."""
        embedder = _opened(self.load, self.sha256)
        known: dict[str, Note] = {}

        def cut(document: Document, path: str, version: str) -> list[Chunk]:
            count, most = embedder.count_tokens, self.chunk_tokens
            return chunk(document, path=path, version=version, count_tokens=count, most_tokens=most)

        parser = Parser(self.root, self.most_bytes, known, cut, again=self.again, ocr=self.ocr)

        def parse(batch: dict[str, Any]) -> Iterator[Parsed]:
            files = []
            known.clear()
            for file, old in map(pickle.loads, batch["file"]):
                files.append(file)
                if old:
                    known[file.path] = old
            yield from parser.parse(files)

        return parse


@dataclass(frozen=True, slots=True)
class _Embed:
    """The second stage."""

    load: Load
    sha256: str
    versions: frozenset[str]
    keys: frozenset[str]

    def __call__(self) -> Callable[[dict[str, Any]], Iterator[Parsed | _Failed]]:
        """Open the model; return what embeds a batch."""
        embedder = _opened(self.load, self.sha256)

        def embed_batch(batch: dict[str, Any]) -> Iterator[Parsed | _Failed]:
            found: list[Parsed | _Failed] = [pickle.loads(row) for row in batch["parsed"]]
            wanted = [self._wanted(parsed) for parsed in found]
            words = {key: text for keys in wanted for key, text in keys.items()}
            vectors: Any = embedder.encode_documents(list(words.values())) if words else ()
            made = {key: array("f", vector) for key, vector in zip(words, vectors, strict=True)}
            for parsed, keys in zip(found, wanted, strict=True):
                vectors = {key: made[key] for key in keys}
                yield parsed if isinstance(parsed, _Failed) else replace(parsed, vectors=vectors)

        return embed_batch

    def _wanted(self, parsed: "Parsed | _Failed") -> dict[str, str]:
        if isinstance(parsed, _Failed) or not parsed.chunks or parsed.note.version in self.versions:
            return {}
        words = [one.words for one in parsed.chunks]
        return {key: text for text in words if (key := key_of(text)) not in self.keys}


def _opened(load: Load, sha256: str) -> "Embedder":
    embedder = load()
    if embedder.model.sha256 != sha256:
        raise EmbedderUnavailable(
            f"a machine of the cluster has another model of the name {embedder.model.name}; install the same one on all"
        )
    return embedder


class _Stage:
    """What Ray keeps on a worker and calls for each batch; it opens what it needs at the first one."""

    def __init__(self, opening: Callable[[], Callable[[dict[str, Any]], Iterator[Any]]], column: str) -> None:
        self._opening, self._column = opening, column
        self._opened: Callable[[dict[str, Any]], Iterator[Any]] | None = None

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
        try:
            if self._opened is None:
                self._opened = self._opening()
            for made in self._opened(batch):
                yield {self._column: [pickle.dumps(made)]}
        except StudyError as error:  # as a value, since Ray would tell of it in its own words
            yield {self._column: [pickle.dumps(_Failed(str(error)))]}


# --------------------------------------------------------------------------------------------------------- Ray


def _pipeline(ray: Any, rows: list[dict[str, bytes]], parse: _Parse, embedding: _Embed) -> Any:
    """Return the dataset of what the files come to; nothing runs until it is read."""
    from ray.data import ActorPoolStrategy, DataContext, from_items

    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.execution_options.preserve_order = True
    context.execution_options.verbose_progress = False
    cores, graphics, machines = _resources(ray)
    share = 1.0 if cores >= 2 else 0.5  # both stages must fit at the same time
    blocks = max(1, min(len(rows) // PARSED_TOGETHER, int(4 * cores)))
    parsed = from_items(rows, override_num_blocks=blocks).map_batches(
        _Stage,
        fn_constructor_args=[parse, "parsed"],
        batch_size=PARSED_TOGETHER,
        num_cpus=share,
        compute=ActorPoolStrategy(min_size=1, max_size=max(1, int(cores // 2))),
    )
    size, each = machines, dict[str, Any](num_cpus=max(share, float(cores // machines // 2)))
    if graphics:  # else one model a machine, since it uses every core that it is given
        size, each = int(graphics), {"num_gpus": 1}
    return parsed.map_batches(
        _Stage,
        fn_constructor_args=[embedding, "made"],
        batch_size=EMBEDDED_TOGETHER,
        compute=ActorPoolStrategy(min_size=1, max_size=max(1, size)),
        **each,
    )


def _resources(ray: Any) -> tuple[float, float, int]:
    """Return cores, GPUs and machines of the cluster."""
    found = ray.cluster_resources()
    machines = sum(1 for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU"))
    return float(found.get("CPU", 1)), float(found.get("GPU", 0)), max(1, machines)


@contextmanager
def _started(cpus: int | None) -> Iterator[Any]:
    """Yield Ray, connected to the cluster that RAY_ADDRESS names, else started here and stopped at the end."""
    address = os.environ.get("RAY_ADDRESS", "")
    if re.fullmatch(r"[\w.-]+:\d+", address):
        _knock(address)
    if not address:  # before the import, which reads these
        for name, value in _LOCAL_ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        os.environ.setdefault("RAY_AUTH_TOKEN", token_hex(32))
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise EngineUnavailable(
            f"Ray is not installed; run: {sys.executable} -m pip install 'ray[data]>=2.52'"
        ) from error
    if ray.is_initialized():
        yield ray
        return
    with ExitStack() as stack:
        ours: dict[str, Any] = {}
        if not address:
            ours = {
                "num_cpus": cpus,
                "include_dashboard": False,
                "object_store_memory": STORE_BYTES,
                "_node_ip_address": "127.0.0.1",
                "_temp_dir": str(stack.enter_context(_scratch())),
            }
        stack.callback(ray.shutdown)
        with _silence():
            ray.init(address or "local", log_to_driver=False, logging_level=logging.CRITICAL, **ours)
        for name in ("ray", "ray.data"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        yield ray


@contextmanager
def _silence() -> Iterator[None]:
    """Let nothing be written to stderr: Ray's engine tells there at which level it logs. What fails is raised."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def _scratch() -> Iterator[Path]:
    """Yield a folder for Ray's sockets and logs, which goes at the end, and remove those of killed runs."""
    for left in Path("/tmp").glob(f"{_TEMPORARY}*"):  # a socket's path must be short, whatever TMPDIR says
        with suppress(OSError):  # another run removes it, too
            if time.time() - left.stat().st_mtime > clone.MIRROR_SECONDS:
                clone.drop(left)
    made = Path(tempfile.mkdtemp(prefix=_TEMPORARY, dir="/tmp"))
    held = clone.hold(made)
    try:
        yield made
    finally:
        os.close(held)
        shutil.rmtree(made, ignore_errors=True)


def _knock(address: str) -> None:
    """Fail at once where nobody listens; Ray itself would try for minutes."""
    host, port = address.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except (OSError, OverflowError) as error:
        raise EngineUnavailable(f"no Ray cluster answers at {address}; start it, or unset RAY_ADDRESS") from error


@contextmanager
def _errors() -> Iterator[None]:
    """Turn what Ray raises into one line."""
    try:
        yield
    except StudyError:
        raise
    except Exception as error:  # Ray's errors share no class that is known where it is not installed
        ours = type(error).__module__.partition(".")[0] == "ingest"
        if ours or isinstance(error, (KeyError, TypeError, AttributeError)):
            raise
        lines = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip().splitlines() or [""]
        raise EngineUnavailable(
            f"Ray failed ({type(error).__name__}: {lines[0][:200]}); the index stays as it was; run: ask ingest"
        ) from error
