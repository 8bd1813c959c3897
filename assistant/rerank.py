"""A cross-encoder reads question and candidate together: slower, often better. Off unless a model is named."""

from collections.abc import Sequence
from functools import cache

from ingest.embed import has_gpu
from ingest.errors import EmbedderUnavailable


class CrossEncoderReranker:
    """Scores pairs by a sentence-transformers cross-encoder, through a sigmoid where the model gives logits."""

    def __init__(self, name: str) -> None:
        from sentence_transformers import CrossEncoder
        from torch.nn import Sigmoid
        from transformers.utils import logging

        logging.disable_progress_bar()
        try:
            # Whatever a damaged or foreign model makes these libraries raise, the user gets one line.
            self._model = CrossEncoder(
                name,
                device="cuda" if has_gpu() else "cpu",
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
                num_labels=1,
                activation_fn=Sigmoid(),
            )
        except Exception as error:
            first_line = str(error).strip().split("\n")[0]
            raise EmbedderUnavailable(
                f"the reranker {name} can't be loaded ({first_line}); check STUDY_RERANK_MODEL"
            ) from error

    def score(self, question: str, texts: Sequence[str]) -> list[float]:
        """Return how well each text answers the question, 0 to 1."""
        pairs = [(question, text) for text in texts]
        return [float(score) for score in self._model.predict(pairs, show_progress_bar=False)]


@cache
def load(name: str) -> CrossEncoderReranker:
    """Return the reranker of that name, loaded once."""
    return CrossEncoderReranker(name)
