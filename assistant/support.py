"""Does a passage say what a sentence claims? A lexical check: it compares words and understands nothing.

A sentence is supported if one passage that it cites passes all of these:
1. some three neighbouring sentences of it hold at least `LEAST_COVER` of the sentence's content stems,
2. these and the sentences next to them hold every number of it,
3. it holds every name,
4. and its nearest sentence is negated if the claim is, and not otherwise (where the two are near enough to tell).

On clapnq (`python -m eval.support`) it accepts 95 % of the answers' own sentences and 0.2 % of those swapped with
the most similar other note. It misses what words can't show: a negation that was dropped in a paraphrase, a true
half joined to a false one.
"""

import re
from collections.abc import Sequence
from typing import Protocol

from assistant.words import Content, content
from ingest import sentences

LEAST_COVER = 0.6
WINDOW = 3
"""Sentences of the passage that may bear a claim together."""
NEAR_COVER = 0.8
"""Cover above which the claim and a sentence of the passage are taken to say the same thing."""
_YES_NO = re.compile(r"^\s*(?:Yes|No)\b[,.]?\s*")


class Entailment(Protocol):
    """A model that judges support in place of the lexical check."""

    def supports(self, sentence: str, passage: str) -> bool:
        """Return whether the passage entails the sentence."""
        ...


def supports(sentence: str, passages: Sequence[str], entailment: Entailment | None = None) -> bool:
    """Return whether one of the passages, or all of them together, says what the sentence says.

    A sentence without content words claims nothing, and passes.
    """
    if entailment:
        return any(entailment.supports(sentence, text) for text in [*passages, "\n\n".join(passages)])
    claim = content(_YES_NO.sub("", sentence))
    if not claim.stems:
        return True
    parts = [[content(text[start:end]) for start, end in sentences.spans(text)] for text in passages]
    if any(_passes(claim, part, WINDOW) for part in parts):
        return True
    best = [part[first : first + WINDOW] for part in parts for first in [_best_window(claim, part, WINDOW)]]
    together = [sentence for sentences_ in best for sentence in sentences_]
    return len(parts) > 1 and _passes(claim, together, len(together))


def _passes(claim: Content, passage: Sequence[Content], window: int) -> bool:
    if not passage:
        return False
    first = _best_window(claim, passage, window)
    if len(claim.stems & _stems(passage[first : first + window])) < LEAST_COVER * len(claim.stems):
        return False
    around = passage[max(0, first - 1) : first + window + 1]
    if not claim.numbers <= _stems(around) or not claim.names <= _stems(passage):
        return False
    nearest = max(passage, key=lambda part: len(claim.stems & part.stems))
    if claim.negated:
        return nearest.negated
    near = len(claim.stems & nearest.stems) >= NEAR_COVER * len(claim.stems)
    short = len(nearest.stems) <= 1.5 * len(claim.stems) + 2
    return not (nearest.negated and near and short)


def _best_window(claim: Content, passage: Sequence[Content], window: int) -> int:
    """Return where the `window` sentences begin that hold most of the claim's stems."""
    starts = range(max(1, len(passage) - window + 1))
    return max(starts, key=lambda start: len(claim.stems & _stems(passage[start : start + window])))


def _stems(parts: Sequence[Content]) -> frozenset[str]:
    return frozenset[str]().union(*(part.stems for part in parts))
