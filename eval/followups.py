"""Are follow-up questions understood? Conversations over the starter course, the questions in them rewritten by hand.

One conversation a line, in eval/followups.jsonl:

    {"id": "fsdp", "turns": [
        {"question": "What is FSDP?", "standalone": "What is FSDP?", "path": "infrastructure/…", "quote": "…"},
        {"question": "And how does it differ from DDP?", "standalone": "How does FSDP differ from DDP?", …}]}

Every question but the first is searched as it stands, as it was rewritten by hand, and as we rewrite it; found is
the note, or the passage with the quote, among the first five; answered is what is not refused. 'New subject' asks
the first question of another conversation at the end of each: rewriting must not spoil it.

    python -m eval.followups [--held] [--model]
"""

import argparse
import contextlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from assistant.follow import Turn, standalone
from assistant.llm import LanguageModel, find
from assistant.refuse import judge, load_calibration
from assistant.retrieve import retrieve
from assistant.settings import AssistantSettings
from eval.cases import read_lines
from eval.command import one_line, parser_of
from eval.metrics import interval
from ingest.shelf import Shelf

FILE = Path(__file__).parent / "followups.jsonl"
TOP = 5
SHIFTS = (5, 11, 17)
"""How far apart in the file the two conversations of a change of subject stand."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of a conversation, with what it means."""

    question: str
    standalone: str
    """By hand."""
    path: str
    """The note that answers it."""
    quote: str
    """Words of that note that answer it."""


Rewrite = Callable[[Asked, Sequence[Turn]], str]
Row = tuple[bool, bool, bool]
"""Whether the note is found, whether the passage is, whether it is answered."""


def load(path: Path = FILE, *, held: bool = False) -> list[list[Asked]]:
    """Return the conversations: those that the rule was made with, or those that were held out."""
    lines = (line for _, line in read_lines(path))
    return [[Asked(**turn) for turn in line["turns"]] for line in lines if line.get("held", False) == held]


def raw(asked: Asked, history: Sequence[Turn]) -> str:
    """Return the question as it stands."""
    return asked.question


def by_hand(asked: Asked, history: Sequence[Turn]) -> str:
    """Return the question as a person rewrote it."""
    return asked.standalone


def ours(model: LanguageModel | None = None) -> Rewrite:
    """Return what a conversation does: by a model, or by the rule."""
    return lambda asked, history: standalone(asked.question, history, model).question


def measure(talks: Sequence[Sequence[Asked]], rewrite: Rewrite, found: Callable[[str, Asked], Row]) -> list[Row]:
    """Return the row of each follow-up."""
    rows = []
    for talk in talks:
        history: list[Turn] = []
        for asked in talk:
            searched = rewrite(asked, history)
            if history:
                rows.append(found(searched, asked))
            history.append(Turn(asked.question, asked.quote, searched))
    return rows


def shifted(talks: Sequence[Sequence[Asked]]) -> list[list[Asked]]:
    """Return conversations that end with the first question of another one, only that one to be counted."""
    pairs = [(talk, talks[(i + step) % len(talks)]) for i, talk in enumerate(talks) for step in SHIFTS]
    return [[talk[-1], other[0]] for talk, other in pairs if talk[0].path != other[0].path]


def main() -> None:
    """Print the table."""
    parser = parser_of("followups", __doc__)
    parser.add_argument("--held", action="store_true", help="those that the rule was not made with")
    parser.add_argument("--model", action="store_true", help="let the model that is served rewrite them, too")
    given = parser.parse_args()
    with contextlib.closing(Shelf(AssistantSettings())) as shelf:
        _print(shelf, given)


def _print(shelf: Shelf, given: argparse.Namespace) -> None:
    settings, view, embedder = AssistantSettings(), shelf.view(), shelf.embedder
    calibration = load_calibration(embedder.model.sha256, settings.home)

    def found(question: str, asked: Asked) -> Row:
        retrieval = retrieve(question, view, embedder, top_k=TOP, text_of=shelf.ledger.text)
        chunks = [passage.chunk for passage in retrieval.passages]
        return (
            any(asked.path == chunk.path for chunk in chunks),
            any(asked.quote in chunk.text for chunk in chunks),
            judge(retrieval, calibration).answerable,
        )

    talks = load(held=given.held)
    ways: dict[str, Rewrite] = {"as it stands": raw, "by hand": by_hand, "by the rule": ours()}
    if given.model:
        model = find(settings)
        if not isinstance(model, LanguageModel):
            sys.exit(model.reason)
        ways[f"by {model.name}"] = ours(model)
    for name, of in (("follow-ups", talks), ("new subject", shifted(talks))):
        for way, rewrite in ways.items():
            rows = measure(of, rewrite, found)
            shares = [interval([float(row[i]) for row in rows]) for i in range(3)]
            note, passage, answered = (f"{mean:.3f} [{low:.3f}, {high:.3f}]" for mean, low, high in shares)
            print(f"{name}, {way}: note {note}, passage {passage}, answered {answered} (n = {len(rows)})")


if __name__ == "__main__":
    with one_line():
        main()
