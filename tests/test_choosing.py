from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from assistant.settings import AssistantSettings
from eval.cases import read_cases
from eval.choosing import by_model, can_choose
from eval.choosing import rows as choosing_rows
from eval.retrieval import searcher
from ingest.embed import Embedder
from ingest.shelf import Shelf
from ingest.sync import sync


class Scripted:
    """A model that says what it is told to."""

    name = "scripted"

    def __init__(self, said: object) -> None:
        self.said = said
        self.prompts: list[str] = []

    def complete(
        self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any], max_tokens: int | None = None
    ) -> tuple[dict[str, Any], None]:
        """Return the scripted object."""
        self.prompts.append(messages[-1]["content"])
        return {"choice": self.said}, None


def test_a_choice_that_is_no_option_counts_as_unparsed(zoo: Path) -> None:
    case = read_cases(zoo / "queries.jsonl")[0]
    assert can_choose(case)
    assert by_model(Scripted("B"))(case, ()) == 1
    for said in ("C", "", "AB", 1, None, ["A"]):
        assert by_model(Scripted(said))(case, ()) is None
    model = Scripted("A")
    assert by_model(model)(case, ()) == 0
    assert "A. black and white stripes\nB. blue dots" in model.prompts[0]


def test_a_reply_that_can_not_be_read_is_neither_right_nor_wrong(zoo: Path, embedder: Embedder) -> None:
    cases = read_cases(zoo / "queries.jsonl")
    shelf = Shelf(AssistantSettings(home=zoo / "home", notes=zoo / "corpus"), embedder=embedder)
    sync(shelf)

    def values(with_notes: int | None, without: int | None) -> dict[str, float]:
        search = searcher(shelf, top_k=3)
        (found,) = choosing_rows(cases, lambda case, passages: with_notes if passages else without, search)
        return found.values

    assert values(0, 1) == {"accuracy": 1.0, "without_notes": 0.0, "gain": 1.0, "unparsed": 0.0}
    assert values(None, 0) == {"without_notes": 1.0, "unparsed": 0.5}
    assert values(1, None) == {"accuracy": 0.0, "unparsed": 0.5}
    assert values(None, None) == {"unparsed": 1.0}
    shelf.close()
