"""How often the support check is right: clapnq's answers against their own notes, and against others'.

    python -m eval.support FOLDER     a set with corpus/ and queries.jsonl (STUDY_EVALDATA/clapnq)

Positives: each sentence of a right answer (and each gold sentence) against the chunks of its own note.
Negatives: the same sentences against the chunks of another question's note: any (random), or the most similar
one that is no near-copy (hard).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assistant.support import supports
from assistant.words import stems
from eval.cases import Case, read_cases
from eval.command import folder, one_line, parser_of
from eval.metrics import interval
from ingest import embed, read, sentences
from ingest.chunk import chunk
from ingest.settings import IngestSettings
from ingest.shelf import BEST_TOKENS

NEAR_COPY = 0.5
"""Notes that share more of their stems than this (Jaccard) say the same: a swap between them proves nothing."""
_SHORT = 20


@dataclass(frozen=True, slots=True)
class Rates:
    """Shares of sentences that are marked as supported, each with its 95 % interval."""

    own: tuple[float, float, float]
    """Recall."""
    hard: tuple[float, float, float]
    random: tuple[float, float, float]

    @property
    def precision(self) -> float:
        """With one hard negative for each positive."""
        return self.own[0] / (self.own[0] + self.hard[0])


def measure(folder: Path, settings: IngestSettings, *, gold: bool = False, limit: int = 0) -> Rates:
    """Check answers' sentences (or gold sentences of the notes) against own and swapped notes.

    Args:
        folder: The set.
        settings: Which embedding model finds similar notes.
        gold: Take the notes' own sentences instead of the answers'.
        limit: How many questions to take; 0: all.
    """
    cases = [case for case in read_cases(folder / "queries.jsonl") if case.answerable and case.gold_docs]
    cases = cases[: limit or None]
    embedder = embed.load(settings.home.expanduser().resolve(), settings.embed_model)
    notes = [_chunks(folder / "corpus", case, embedder) for case in cases]
    hard, random = _partners([" ".join(parts) for parts in notes], embedder)
    own_rate, hard_rate, random_rate = [], [], []
    for i, case in enumerate(cases):
        for sentence in _claims(case, gold):
            own_rate.append(float(_any(sentence, notes[i])))
            hard_rate.append(float(_any(sentence, notes[hard[i]])))
            random_rate.append(float(_any(sentence, notes[random[i]])))
    return Rates(interval(own_rate), interval(hard_rate), interval(random_rate))


def _any(sentence: str, parts: Sequence[str]) -> bool:
    return any(supports(sentence, [part]) for part in parts)


def _claims(case: Case, gold: bool) -> list[str]:
    texts = case.gold_sentences if gold else case.answers
    found = dict.fromkeys(text[start:end] for text in map(_untokenized, texts) for start, end in sentences.spans(text))
    return [sentence for sentence in found if len(sentence) > _SHORT]


def _untokenized(text: str) -> str:
    """Undo the blanks that clapnq's answers have before punctuation: 'one - year , 1 . 5'."""
    text = re.sub(r"(?<=\d) ([.,]) (?=\d)", r"\1", text).replace("``", '"').replace("''", '"')
    return re.sub(r" (n't\b|'s\b|[.,;:?!%)])", r"\1", text)


def _chunks(corpus: Path, case: Case, embedder: embed.Embedder) -> list[str]:
    found: list[str] = []
    for name in case.gold_docs:
        document = read.read(Path(name), (corpus / name).read_bytes())
        parts = chunk(document, path=name, version="", count_tokens=embedder.count_tokens, most_tokens=BEST_TOKENS)
        found += [_untokenized(part.readable) for part in parts]
    return found


def _partners(notes: Sequence[str], embedder: embed.Embedder) -> tuple[list[int], list[int]]:
    """Return for each note the most similar other one, and a random one, near-copies left out."""
    vectors = embedder.encode_documents([note[:1000] for note in notes])
    near = vectors @ vectors.T
    words = [stems(note) for note in notes]
    for i, one in enumerate(words):
        for j, other in enumerate(words):
            if len(one & other) > NEAR_COPY * len(one | other):
                near[i, j] = -1
    draw = np.random.default_rng(0)
    random = [int(draw.choice(np.flatnonzero(row > -1))) for row in near]
    return [int(i) for i in near.argmax(axis=1)], random


def main() -> None:
    """Print the rates."""
    parser = parser_of("support", __doc__)
    parser.add_argument("folder", type=folder)
    place = parser.parse_args().folder
    for gold in (False, True):
        rates = measure(place, IngestSettings(), gold=gold)
        print("gold sentences" if gold else "answers")
        for name in ("own", "hard", "random"):
            print("  {:<8} {:.3f} [{:.3f}, {:.3f}]".format(name, *getattr(rates, name)))
        print(f"  precision, one hard negative for each positive: {rates.precision:.3f}")


if __name__ == "__main__":
    with one_line():
        main()
