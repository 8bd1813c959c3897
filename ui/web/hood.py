"""What happened on the way to an answer, drawn for those who learn how such systems work."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from ui.web.render import escaped

if TYPE_CHECKING:
    import numpy as np

    from assistant.answer import Answer, Asked, Found
    from ingest.embed import Embedder
    from ingest.index import View

RANKED = 12
"""Candidates in the table."""
ON_MAP = 1500
"""Most chunks on the map; of more, every n-th."""
_WIDTH, _HEIGHT = 640, 360
_STEPS = {
    "open": "open the index",
    "retrieve": "retrieve",
    "retrieve.embed": "embed the question",
    "retrieve.dense": "search by meaning",
    "retrieve.sparse": "search by words",
    "retrieve.fuse": "fuse",
    "find_model": "wait for the model server",
    "prompt": "write the prompt",
    "first_token": "wait for the first token",
    "write": "stream the answer",
    "check": "check the citations",
    "quote": "choose the quotes",
}


def hood_html(found: "Found", asked: "Asked | None", answer: "Answer", embedder: "Embedder", view: "View") -> str:
    """Return the panel of one answer."""
    parts = [
        _section("The question, as the embedding model sees it", _tokens(embedder, answer.question)),
        _section("What was found, and how fusion ordered it", _ranks(found)),
        _section("Time of each step", _waterfall(answer)),
        _section("A map of your notes", _map(found, view)),
        _section("The prompt", _prompt(asked, answer)),
    ]
    return f'<section class="hood" aria-label="Under the hood">{"".join(parts)}</section>'


def _section(title: str, body: str) -> str:
    return f"<details open><summary>{title}</summary>{body}</details>"


def _tokens(embedder: "Embedder", question: str) -> str:
    tokens = embedder.tokenizer.encode(question).tokens
    shown = " ".join(f"<code>{escaped(token)}</code>" for token in tokens)
    model = embedder.model
    return (
        f'<p class="tokens">{shown}</p><p>{len(tokens)} tokens of at most {model.max_tokens}; '
        f"{escaped(model.name)} turns them into one vector of {model.dim} numbers.</p>"
    )


def _ranks(found: "Found") -> str:
    chosen = {passage.chunk.path for passage in found.retrieval.passages}
    rows = []
    for n, passage in enumerate(found.retrieval.candidates[:RANKED], start=1):
        chunk = passage.chunk
        place = f"{chunk.path}, {chunk.place_at(chunk.start).locator}"
        kept = ' class="kept"' if chunk.path in chosen else ""
        rows.append(
            f"<tr{kept}><td>{n}</td><td>{passage.score:.3f}</td><td>{passage.cosine:.3f}</td>"
            f"<td>{passage.dense_rank or '–'}</td><td>{passage.bm25:.1f}</td><td>{passage.sparse_rank or '–'}</td>"
            f"<td>{escaped(place)}</td></tr>"
        )
    verdict = found.verdict
    heads = ("#", "final", "cosine", "its rank", "BM25", "its rank", "chunk")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    decided = (
        f"Evidence {verdict.evidence:.3f}; from {verdict.threshold:.3f} on the notes count as answering."
        if verdict.calibrated
        else f"Evidence {verdict.evidence:.3f}; this embedding model is not calibrated, so nothing is refused."
    )
    return (
        f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
        f"</div><p>Final = .6 · (.5 · cosine + .5 · BM25 ÷ {found.retrieval.ideal:.1f}) + .4 · what the file’s best "
        f"chunks score. {decided}</p>"
    )


def _waterfall(answer: "Answer") -> str:
    laps = {step: took for step, took in answer.timings_ms.items() if step != "total"}
    total = max(sum(took for step, took in laps.items() if "." not in step), 0.01)
    bars, at, inner = [], 0.0, 0.0
    for step in sorted(laps, key=lambda step: (list(laps).index(step.split(".")[0]), "." in step)):
        took = laps[step]
        if "." in step:
            start, inner = inner, inner + took
        else:
            start, inner, at = at, at, at + took
        left, width = 100 * start / total, max(100 * took / total, 0.4)
        name = _STEPS.get(step, step.split(".")[-1])
        child = " child" if "." in step else ""
        bars.append(
            f'<div class="lap{child}"><span class="name">{escaped(name)}</span><span class="bar"><span '
            f'style="margin-left:{min(left, 99.6):.2f}%;width:{min(width, 100 - min(left, 99.6)):.2f}%"></span></span>'
            f'<span class="ms">{took:.1f} ms</span></div>'
        )
    spoken = ""
    written = answer.usage.get("answer_tokens", 0)
    if written and answer.timings_ms.get("write"):
        rate = 1000 * written / answer.timings_ms["write"]
        cached = answer.usage.get("cached_tokens", 0)
        spoken = (
            f"<p>{answer.usage.get('prompt_tokens', 0)} tokens in ({cached} from the server’s cache), {written} out, "
            f"{rate:.0f} tokens per second.</p>"
        )
    return f'<div class="waterfall">{"".join(bars)}</div>{spoken}'


def _map(found: "Found", view: "View") -> str:
    import numpy as np

    places, axes, middle, dots = _plane(view)
    hits = {passage.chunk.key for passage in found.retrieval.passages}
    near = [passage.chunk for passage in found.retrieval.candidates[:RANKED]]
    vectors = view.vectors([chunk.id for chunk in near])
    names = {chunk.key: f"{chunk.path}, {chunk.place_at(chunk.start).locator}" for chunk in near}
    points = [(key, (np.asarray(vector) - middle) @ axes) for key, vector in vectors.items()]
    question = (np.asarray(found.retrieval.vector) - middle) @ axes
    everything = np.vstack([places, *(place for _, place in points), question])
    low, high = everything.min(axis=0), everything.max(axis=0)
    size = np.where(high > low, high - low, 1.0)

    def at(place: "np.ndarray") -> tuple[float, float]:
        x, y = (place - low) / size
        return 14 + x * (_WIDTH - 28), 14 + (1 - y) * (_HEIGHT - 28)

    shapes = []
    for place, name in zip(places, dots, strict=True):
        x, y = at(place)
        shapes.append(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="2"><title>{escaped(name)}</title></circle>')
    for key, place in points:
        x, y = at(place)
        kind = "hit" if key in hits else "near"
        shapes.append(
            f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="5"><title>{escaped(names[key])}</title></circle>'
        )
    x, y = at(question)
    shapes.append(
        f'<path class="question" d="M{x - 8:.1f} {y:.1f}h16M{x:.1f} {y - 8:.1f}v16"><title>Question</title></path>'
    )
    legend = (
        '<p class="legend"><span class="key question"></span> the question <span class="key hit"></span> answered from '
        '<span class="key near"></span> next best <span class="key dot"></span> other chunks. Two of '
        f"{len(middle)} dimensions (PCA): near here is not always near there.</p>"
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="Map of the notes, the question and its hits">'
        f"{''.join(shapes)}</svg>{legend}"
    )


@lru_cache(maxsize=2)
def _plane(view: "View") -> "tuple[np.ndarray, np.ndarray, np.ndarray, Sequence[str]]":
    """Return of a generation: places of chunks (n, 2), axes (dim, 2), middle (dim,) and the chunks' names."""
    import numpy as np

    step = max(1, -(-view.count() // ON_MAP))
    vectors, names = [], []
    for n, (chunk, vector) in enumerate(view.scroll()):
        if n % step == 0:
            vectors.append(vector)
            names.append(f"{chunk.path}, {chunk.place_at(chunk.start).locator}")
    matrix = np.asarray(vectors, dtype=np.float32)
    middle = matrix.mean(axis=0)
    _, directions = np.linalg.eigh((matrix - middle).T @ (matrix - middle))
    axes = directions[:, :-3:-1]
    return (matrix - middle) @ axes, axes, middle, names


def _prompt(asked: "Asked | None", answer: "Answer") -> str:
    if asked is None:
        return f"<p>{'It is not kept.' if answer.model else 'No model was asked.'}</p>"
    messages = "".join(
        f'<h3>{escaped(message["role"])}</h3><pre tabindex="0">{escaped(message["content"])}</pre>'
        for message in asked.prompt.messages
    )
    return f"<p>{asked.prompt.tokens} tokens, {asked.prompt.passages} passages.</p>{messages}"
