"""A cross-encoder trained on entailment judges support instead of the lexical check, where a setting names one."""

from functools import cache

from assistant import pairs
from ingest.errors import EmbedderUnavailable

SETTING = "STUDY_ENTAILMENT_MODEL"


class CrossEncoderEntailment:
    """Any sentence-transformers cross-encoder with a label called entailment."""

    def __init__(self, name: str) -> None:
        self._model = pairs.load(name, called="entailment model", setting=SETTING)
        labels = {number: label.lower() for number, label in self._model.config.id2label.items()}
        found = [number for number, label in labels.items() if label == "entailment"]
        if not found:
            raise EmbedderUnavailable(
                f"the model {name} has no label 'entailment' (it has {', '.join(labels.values())}); check {SETTING}"
            )
        self._entailment = found[0]

    def supports(self, sentence: str, passage: str) -> bool:
        """Return whether entailment is the likeliest label of passage and sentence."""
        scores = self._model.predict([(passage, sentence)], show_progress_bar=False)[0]
        return bool(scores.argmax() == self._entailment)


load = cache(CrossEncoderEntailment)
"""Return the model of that name, loaded once."""
