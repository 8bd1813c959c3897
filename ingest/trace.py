"""What happened, step by step, → Langfuse: the only file that knows its SDK and OpenTelemetry.

    Trace → masked JSON in STUDY_HOME/traces/ → another process → the SDK → Langfuse

Whoever answers only writes a file and starts the sender, which takes some milliseconds whether Langfuse is there,
refuses or is silent, and nothing at exit: the SDK takes 0.4 s to import and, where the server is gone, seconds to
give up. What could not be sent stays and goes with the next trace. Without STUDY_LANGFUSE_PUBLIC_KEY, _SECRET_KEY
and _HOST nothing of this happens, and nothing is imported.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.experiment import Experiment, deliver
from ingest.settings import IngestSettings

if TYPE_CHECKING:
    from langfuse.types import MaskOtelSpansParams, MaskOtelSpansResult

WAITING = 1000
"""Most traces and scores that wait to be sent; the oldest go first."""
TOGETHER = 50
"""How many are sent at a time."""
SEND_S = 10
"""Longest wait for Langfuse to take one batch. Seconds."""
BACKOFF_S = 60.0
"""After a failure no sender is started for this long. Seconds."""
_KEYS = ("langfuse_public_key", "langfuse_secret_key", "langfuse_host")


@dataclass(frozen=True, slots=True)
class Step:
    """A part of what happened."""

    name: str
    start: float
    """Seconds since the epoch."""
    end: float
    kind: str = "span"
    """As Langfuse calls it: span, retriever, generation, evaluator, …"""
    input: Any = None
    output: Any = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    """What went wrong; empty where nothing did."""
    model: str = ""
    """Of a generation: who wrote."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Of a generation: temperature, seed, …"""
    usage: Mapping[str, int] = field(default_factory=dict)
    """Of a generation: tokens by kind (input, output, input_cached_tokens)."""
    first_token: float = 0.0
    """Of a generation: when its first token came, in seconds since the epoch; 0: none did."""
    steps: "tuple[Step, ...]" = ()
    """What it consists of."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One answer, quiz or sync."""

    id: str
    """32 hexadecimal digits."""
    root: Step
    user: str = ""
    """The learner."""
    session: str = ""
    """The conversation."""
    scores: Mapping[str, float] = field(default_factory=dict)


def on(settings: IngestSettings) -> bool:
    """Return whether traces are sent."""
    secret = settings.langfuse_secret_key.get_secret_value()
    return bool(settings.langfuse_public_key and secret and settings.langfuse_host)


def new_id() -> str:
    """Return an id for a trace."""
    return uuid.uuid4().hex


def send(settings: IngestSettings, trace: Trace) -> None:
    """Have a trace sent, masked, by another process. Does nothing where tracing is off.

    Raises:
        OSError: It can't be written.
    """
    if on(settings):
        named = replace(trace, user=_user(trace.user), session=_user(trace.session))
        _put(settings, {"trace": asdict(named)})


def score(settings: IngestSettings, trace: str, name: str, value: float, comment: str = "") -> None:
    """Have a score of a trace sent. Does nothing where tracing is off, or there is no trace.

    Raises:
        OSError: It can't be written.
    """
    if on(settings) and trace:
        _put(settings, {"score": {"trace": trace, "name": name, "value": value, "comment": comment}})


def experiment(settings: IngestSettings, one: Experiment) -> None:
    """Have a scored set of questions sent. Does nothing where tracing is off.

    Raises:
        OSError: It can't be written.
    """
    if on(settings):
        _put(settings, {"experiment": asdict(one)})


class Watch:
    """Notes when the steps of a sync began and ended, on the way of its progress to whoever looks on."""

    def __init__(self, tell: Callable[[str, int, int], None]) -> None:
        self._tell = tell
        self._seen: dict[str, tuple[float, float, int]] = {}

    def __call__(self, step: str, done: int, total: int) -> None:
        """Take a word of progress, and pass it on."""
        now = time.time()
        self._seen[step] = (self._seen.get(step, (now,))[0], now, done)
        self._tell(step, done, total)

    def sync(self, settings: IngestSettings, started: float, report: Mapping[str, Any], error: str = "") -> None:
        """Have the trace of a sync that ends now sent."""
        steps = tuple(Step(name, first, last, metadata={"done": n}) for name, (first, last, n) in self._seen.items())
        with contextlib.suppress(OSError):  # the index is what counts
            send(settings, Trace(new_id(), Step("sync", started, time.time(), output=report, error=error, steps=steps)))


def folder_of(settings: IngestSettings) -> Path:
    """Return the folder of what waits to be sent."""
    return settings.home.expanduser().resolve() / "traces"


def waiting(settings: IngestSettings) -> list[Path]:
    """Return what waits to be sent, oldest first."""
    return sorted(folder_of(settings).glob("*.json"))


def failed(settings: IngestSettings) -> bool:
    """Return whether Langfuse did not take what was sent to it last."""
    return (folder_of(settings) / "failed").exists()


def _put(settings: IngestSettings, record: Mapping[str, Any]) -> None:
    folder = folder_of(settings)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{time.time_ns():020}-{uuid.uuid4().hex[:8]}.json"
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps(_masked(record), ensure_ascii=True, default=str), encoding="ascii")
    draft.rename(path)
    for old in waiting(settings)[:-WAITING]:
        old.unlink(missing_ok=True)
    if not _failed_lately(folder) and not _is_sending(folder):
        _start(settings)


def _masked(value: Any) -> Any:
    from ingest.personal import mask

    if isinstance(value, str):
        return mask(value)
    if isinstance(value, Mapping):
        return {
            key: _masked(inner) if key not in ("id", "trace") or not isinstance(inner, str) else inner
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_masked(inner) for inner in value]
    return value


def _failed_lately(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        return time.time() - (folder / "failed").stat().st_mtime < BACKOFF_S
    return False


def _is_sending(folder: Path) -> bool:
    with _lock(folder) as mine:
        return not mine


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[bool]:
    """Hold the sender's lock, if nobody else does; say whether it is held."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(lock)


def _start(settings: IngestSettings) -> None:
    """Start a sender that outlives this process, and is told the keys by its environment alone."""
    import subprocess

    told = {f"STUDY_{name.upper()}": _plain(getattr(settings, name)) for name in _KEYS}
    environment = {**os.environ, **told, "STUDY_HOME": str(settings.home.expanduser().resolve())}
    root = Path(__file__).resolve().parent.parent
    with contextlib.suppress(OSError):
        sender = subprocess.Popen(
            [sys.executable, "-m", "ingest.trace"],
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        threading.Thread(target=sender.wait, daemon=True).start()  # a process that stays keeps no dead children


def _plain(value: Any) -> str:
    return str(value.get_secret_value() if hasattr(value, "get_secret_value") else value)


# --------------------------------------------------------------------------------------------------- the sender


def main() -> None:
    """Send what waits, until nothing does or Langfuse takes no more."""
    import signal

    signal.alarm(10 * SEND_S)  # whatever happens, it ends
    settings = IngestSettings()
    folder, failed = folder_of(settings), folder_of(settings) / "failed"
    while waiting(settings):
        with _lock(folder) as mine:
            if not mine:
                return
            sender = _Sender(settings)
            while batch := waiting(settings)[:TOGETHER]:
                if not sender.send(batch):
                    failed.touch()
                    os._exit(1)  # its own shutdown would wait for the server once more
                for path in batch:
                    path.unlink(missing_ok=True)
            failed.unlink(missing_ok=True)
    os._exit(0)


class _Sender:
    """The SDK, set up to send in batches and to say whether they arrived."""

    def __init__(self, settings: IngestSettings) -> None:
        import base64

        from langfuse import Langfuse
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SpanExportResult
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

        class Exporter(OTLPSpanExporter):
            failed = False

            def export(self, spans: Sequence[Any]) -> SpanExportResult:
                result = super().export(spans)
                self.failed |= result is not SpanExportResult.SUCCESS
                return result

        class Ids(RandomIdGenerator):
            trace = 0

            def generate_trace_id(self) -> int:
                return self.trace or super().generate_trace_id()

        os.environ["LANGFUSE_MEDIA_UPLOAD_ENABLED"] = "false"
        public, secret = settings.langfuse_public_key, settings.langfuse_secret_key.get_secret_value()
        host = settings.langfuse_host.rstrip("/")
        basic = base64.b64encode(f"{public}:{secret}".encode()).decode()
        self._ids = Ids()
        self._exporter = Exporter(
            endpoint=f"{host}/api/public/otel/v1/traces",
            headers={
                "Authorization": f"Basic {basic}",
                "x-langfuse-public-key": public,
                "x-langfuse-ingestion-version": "4",
            },
            timeout=SEND_S,
        )
        self._provider = TracerProvider(id_generator=self._ids)
        self._client = Langfuse(
            public_key=public,
            secret_key=secret,
            base_url=host,
            timeout=SEND_S,
            tracer_provider=self._provider,
            span_exporter=self._exporter,
            mask_otel_spans=_mask_spans,
        )
        self._tracer = self._provider.get_tracer("langfuse-sdk", attributes={"public_key": public})

    def send(self, batch: Sequence[Path]) -> bool:
        """Send some files; return whether they arrived. A file that can't be read counts as sent."""
        scores: list[dict[str, Any]] = []
        whole, self._exporter.failed = True, False
        for path in batch:
            with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
                record = json.loads(path.read_text(encoding="ascii"))
                if "trace" in record:
                    scores += self._emit(record["trace"])
                elif "experiment" in record:
                    whole &= self._experiment(record["experiment"])
                else:
                    scores.append(record["score"])
        arrived = whole and self._provider.force_flush(SEND_S * 1000) and not self._exporter.failed
        return arrived and self._score(scores)

    def _experiment(self, told: Mapping[str, Any]) -> bool:
        import signal

        from langfuse import Evaluation

        signal.alarm(60 * SEND_S)  # an item a request
        self._ids.trace = 0
        try:
            return deliver(self._client, Evaluation, told)
        except (LookupError, TypeError, ValueError):
            return True  # it would be no better next time
        except Exception:  # the SDK lets its HTTP client's errors through, beside its own
            return False

    def _emit(self, trace: Mapping[str, Any]) -> list[dict[str, Any]]:
        self._ids.trace = int(trace["id"], 16)
        root = trace["root"]
        common = {"langfuse.trace.name": root["name"], "user.id": trace["user"], "session.id": trace["session"]}
        self._span(root, {key: value for key, value in common.items() if value}, None)
        return [
            {"trace": trace["id"], "name": name, "value": value, "comment": ""}
            for name, value in trace["scores"].items()
        ]

    def _span(self, step: Mapping[str, Any], common: Mapping[str, str], parent: Any) -> None:
        from opentelemetry.trace import set_span_in_context

        start, end = int(step["start"] * 1e9), int(step["end"] * 1e9)
        attributes = _attributes(step) | dict(common)
        context = set_span_in_context(parent) if parent else None
        span = self._tracer.start_span(step["name"], context, start_time=start, attributes=attributes)
        for inner in step["steps"]:
            self._span(inner, common, span)
        span.end(max(start, end))

    def _score(self, scores: Sequence[Mapping[str, Any]]) -> bool:
        """Send scores; each has an id made of what it is about, so that none counts twice."""
        from langfuse.api.scores.types import CreateScoreRequest

        if not scores:
            return True
        request = [
            CreateScoreRequest(
                id=hashlib.sha256(f"{one['trace']} {one['name']}".encode()).hexdigest()[:32],
                trace_id=one["trace"],
                name=one["name"],
                value=one["value"],
                comment=one["comment"] or None,
            )
            for one in scores
        ]
        try:
            self._client.api.scores.create(request=request)
        except Exception:  # the SDK lets its HTTP client's errors through, beside its own
            return False
        return True


def _attributes(step: Mapping[str, Any]) -> dict[str, Any]:
    """Return a step as Langfuse reads it from a span (langfuse.com/docs/opentelemetry: property mapping)."""
    import datetime

    found = {
        "langfuse.observation.type": step["kind"],
        "langfuse.observation.input": step["input"],
        "langfuse.observation.output": step["output"],
        "langfuse.observation.level": "ERROR" if step["error"] else "DEFAULT",
        "langfuse.observation.status_message": step["error"],
        "langfuse.observation.model.name": step["model"],
        "langfuse.observation.model.parameters": step["parameters"],
        "langfuse.observation.usage_details": step["usage"],
        **{f"langfuse.observation.metadata.{key}": json.dumps(value) for key, value in step["metadata"].items()},
    }
    if step["first_token"]:
        when = datetime.datetime.fromtimestamp(step["first_token"], datetime.UTC).isoformat()
        found["langfuse.observation.completion_start_time"] = json.dumps(when)
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in found.items()
        if value not in (None, "", {}, [])
    }


def _user(name: str) -> str:
    """Return a learner's name, or a stand-in where that names the person outside as well (an e-mail address)."""
    from ingest.personal import mask

    return name if mask(name) == name else f"learner {hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _mask_spans(*, params: "MaskOtelSpansParams") -> "MaskOtelSpansResult | None":
    """Mask every text of every span, other libraries' included: what was masked before stays as it is."""
    from langfuse.types import MaskOtelSpansResult, OtelSpanPatch

    from ingest.personal import mask

    patches = {}
    for name, span in params.spans.items():
        texts = {key: value for key, value in span.attributes.items() if isinstance(value, str)}
        if changed := {key: masked for key, value in texts.items() if (masked := mask(value)) != value}:
            patches[name] = OtelSpanPatch(set_attributes=changed)
    return MaskOtelSpansResult(span_patches=patches) if patches else None


if __name__ == "__main__":
    main()
