"""A cross-encoder trained on entailment judges support instead of the lexical check, where a setting names one."""

from functools import cache

from ingest.embed import has_gpu
from ingest.errors import EmbedderUnavailable


class CrossEncoderEntailment:
    """Any sentence-transformers cross-encoder with a label called entailment."""

    def __init__(self, name: str) -> None:
        from sentence_transformers import CrossEncoder
        from transformers.utils import logging

        logging.disable_progress_bar()
        try:
            # Whatever a damaged or foreign model makes these libraries raise, the user gets one line.
            self._model = CrossEncoder(
                name,
                device="cuda" if has_gpu() else "cpu",
                trust_remote_code=False,
                model_kwargs={"use_safetensors": True},
            )
            labels = {number: label.lower() for number, label in self._model.config.id2label.items()}
        except Exception as error:
            first_line = str(error).strip().split("\n")[0]
            raise EmbedderUnavailable(
                f"the entailment model {name} can't be loaded ({first_line}); check STUDY_ENTAILMENT_MODEL"
            ) from error
        self._entailment = next((n for n, label in labels.items() if label == "entailment"), None)
        if self._entailment is None:
            raise EmbedderUnavailable(
                f"the model {name} has no label 'entailment' (it has {', '.join(labels.values())}); "
                "check STUDY_ENTAILMENT_MODEL"
            )

    def supports(self, sentence: str, passage: str) -> bool:
        """Return whether entailment is the likeliest label of passage and sentence."""
        return int(self._model.predict([(passage, sentence)], show_progress_bar=False)[0].argmax()) == self._entailment


@cache
def load(name: str) -> CrossEncoderEntailment:
    """Return the model of that name, loaded once."""
    return CrossEncoderEntailment(name)
