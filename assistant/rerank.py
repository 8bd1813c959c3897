"""A cross-encoder reads question and candidate together: slower, often better. Off unless a model is named."""

from collections.abc import Sequence
from functools import cache

from assistant import pairs


class CrossEncoderReranker:
    """Scores pairs by a sentence-transformers cross-encoder, through a sigmoid where the model gives logits."""

    def __init__(self, name: str) -> None:
        self._model = pairs.load(name, called="reranker", setting="STUDY_RERANK_MODEL", one_score=True)

    def score(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return how well each text answers the question, 0 to 1."""
        read = [(question, text) for text in texts]
        return [float(score) for score in self._model.predict(read, show_progress_bar=False)]


load = cache(CrossEncoderReranker)
"""Return the reranker of that name, loaded once."""
