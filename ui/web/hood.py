"""What happened on the way to an answer, drawn for those who learn how such systems work."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ui.web.render import escaped

if TYPE_CHECKING:
    import numpy as np

    from assistant.journal import Kept
    from ingest.embed import Embedder
    from ingest.index import View

ON_MAP = 1500
"""Most chunks on the map; of more, every n-th."""
_WIDTH, _HEIGHT = 640, 360
_STEPS = {
    "open": "open the index",
    "rewrite": "make it stand alone",
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


def hood_html(kept: "Kept", made: Mapping[str, Any], embedder: "Embedder", view: "View") -> str:
    """Return the panel of one answer.

    Args:
        kept: The answer, as the journal has it.
        made: How it came about (`assistant.explain`).
        embedder: The model that turns the question into a vector.
        view: The notes as they are now, for the map.
    """
    searched = str(kept.document.get("standalone") or kept.question)
    synced = kept.generation != view.generation
    parts = [
        _section("The question, as the embedding model sees it", _tokens(embedder, searched)),
        _section("What was found, and how fusion ordered it", _ranks(made)),
        _section("Time of each step", _waterfall(kept)),
        _section("A map of your notes", map_html(made, searched, embedder, view, synced)),
        _section("The prompt", _prompt(made["prompt"], kept.model)),
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


def _ranks(made: Mapping[str, Any]) -> str:
    rows = []
    for n, one in enumerate(made["candidates"], start=1):
        kept = ' class="kept"' if one["chosen"] else ""
        rows.append(
            f"<tr{kept}><td>{n}</td><td>{one['score']:.3f}</td><td>{one['cosine']:.3f}</td>"
            f"<td>{one['dense_rank'] or '–'}</td><td>{one['bm25']:.1f}</td><td>{one['sparse_rank'] or '–'}</td>"
            f"<td>{escaped(_name(one))}</td></tr>"
        )
    heads = ("#", "final", "cosine", "its rank", "BM25", "its rank", "chunk")
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    decided = (
        f"Evidence {made['evidence']:.3f}; from {made['threshold']:.3f} on the notes count as answering."
        if made["calibrated"]
        else f"Evidence {made['evidence']:.3f}; this embedding model is not calibrated, so nothing is refused."
    )
    return (
        f'<div class="wide" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'
        f"</div><p>Final = .6 · (.5 · cosine + .5 · BM25 ÷ {made['ideal']:.1f}) + .4 · what the file’s best "
        f"chunks score. {decided}</p>"
    )


def _name(one: Mapping[str, Any]) -> str:
    return f"{one['path']}, {one['locator']}"


def _waterfall(answer: "Kept") -> str:
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


def map_html(made: Mapping[str, Any], searched: str, embedder: "Embedder", view: "View", synced: bool) -> str:
    """Return the map of the notes, with the question and what was found for it."""
    import numpy as np

    if not view.count():
        return "<p>The notes that it came from are gone: there is nothing to draw.</p>"
    places, axes, middle, dots = _plane(view)
    found = [(one, view.vectors([one["id"]])) for one in made["candidates"]]
    points = [(one, (np.asarray(vector) - middle) @ axes) for one, each in found for vector in each.values()]
    question = (np.asarray(embedder.encode_query(searched)[0]) - middle) @ axes
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
    for one, place in points:
        x, y = at(place)
        kind = "hit" if one["hit"] else "near"
        shapes.append(
            f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="5"><title>{escaped(_name(one))}</title></circle>'
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
    if synced:
        legend += "<p>The notes were synced since this answer: the map shows them as they are now.</p>"
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


def _prompt(prompt: Mapping[str, Any] | None, model: str | None) -> str:
    if prompt is None:
        return f"<p>{'It is not kept.' if model else 'No model was asked.'}</p>"
    tokens, most, parts = prompt["tokens"], prompt["most_tokens"], prompt["parts"]
    whole = max(1, sum(parts.values()))
    rows = "".join(
        f'<tr><th scope="row">{escaped(name)}</th><td>{tokens * length / whole:.0f}</td>'
        f"<td>{100 * tokens * length / whole / most:.0f}%</td></tr>"
        for name, length in parts.items()
    )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("part", "tokens, about", "of the budget"))
    messages = "".join(
        f'<h3>{escaped(message["role"])}</h3><pre tabindex="0">{escaped(message["content"])}</pre>'
        for message in prompt["messages"]
    )
    return (
        f"<p>{tokens:,} of {most:,} tokens, with {prompt['passages']} passages: what the model’s context leaves when "
        f"the answer’s room is taken off.</p><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        + (messages or "<p>It was too long to be kept.</p>")
    )
