"""How an answer came about, small enough to be kept with it: the page shows it as long as the answer is there.

    {"evidence": 0.83, "threshold": 0.515, "calibrated": true, "ideal": 41.2,
     "candidates": [{"id": "…", "hit": true, "path": "a.md", "locator": "§ FSDP", "score": 0.7, "cosine": 0.6, …}],
     "prompt": {"model": "Qwen3-8B", "tokens": 812, "most_tokens": 3072, "passages": 6, "parts": {…}, "messages": […]}}

What the answer itself has, its passages and timings, is not repeated.
"""

from typing import Any

from assistant.answer import Asked, Found
from ingest.chunk import Chunk

RANKED = 12
"""Candidates that are kept."""
MOST_CHARACTERS = 60_000
"""Of a prompt; a longer one is kept without its words."""


def explained(found: Found, asked: Asked | None) -> dict[str, Any]:
    """Return how an answer came about, ready for JSON.

    Args:
        found: What was retrieved.
        asked: What the model was asked; None: no model was.
    """
    shown = [passage.chunk for passage in found.retrieval.passages]
    chosen = {chunk.path for chunk in shown}
    candidates = [
        {
            "id": passage.chunk.id,
            "hit": any(_within(passage.chunk, whole) for whole in shown),
            "chosen": passage.chunk.path in chosen,
            "path": passage.chunk.path,
            "locator": passage.chunk.place_at(passage.chunk.start).locator,
            "score": round(passage.score, 4),
            "cosine": round(passage.cosine, 4),
            "dense_rank": passage.dense_rank,
            "bm25": round(passage.bm25, 3),
            "sparse_rank": passage.sparse_rank,
        }
        for passage in found.retrieval.candidates[:RANKED]
    ]
    return {
        "evidence": round(found.verdict.evidence, 4),
        "threshold": round(found.verdict.threshold, 4),
        "calibrated": found.verdict.calibrated,
        "ideal": round(found.retrieval.ideal, 2),
        "candidates": candidates,
        "prompt": _prompt(asked) if asked else None,
    }


def _within(chunk: Chunk, whole: Chunk) -> bool:
    """Return whether a chunk is a passage, or one of those that were joined to it."""
    same = (chunk.path, chunk.version) == (whole.path, whole.version)
    return same and whole.start <= chunk.start and chunk.end <= whole.end


def _prompt(asked: Asked) -> dict[str, Any]:
    prompt = asked.prompt
    short = sum(prompt.parts.values()) <= MOST_CHARACTERS
    return {
        "model": asked.model,
        "tokens": prompt.tokens,
        "most_tokens": prompt.most_tokens,
        "passages": prompt.passages,
        "parts": prompt.parts,
        "messages": list(prompt.messages) if short else [],
    }
