import pytest

from assistant.items import Evidence, Item
from assistant.settings import AssistantSettings
from eval.quizzing import _worth, rows
from eval.score import Row, summarise
from ingest.shelf import Shelf

TEXT = "FSDP shards the optimizer state. DDP copies it."


def item(answer: str, *options: str, **checks: bool) -> Item:
    evidence = Evidence("a.md", "line 1", TEXT[:32], 0, 32)
    return Item("mcq", "What does FSDP shard?", answer, evidence, options, checks=checks)


def test_an_item_is_held_against_its_note_and_its_options() -> None:
    found = _worth(item("the state", "the state", "all", "none", solved_with_evidence=True, unguessable=False), TEXT)
    assert found == {
        "quote_exact": 1.0,
        "longest_is_key": 1.0,
        "longest_by_chance": pytest.approx(1 / 3),
        "options_distinct": 1.0,
        "cold_solved": 1.0,
        "guessed": 1.0,
    }
    assert _worth(item("all", "the state", "all", "ALL "), "another text")["quote_exact"] == 0.0
    assert _worth(item("all", "the state", "all", "ALL "), TEXT)["options_distinct"] == 0.0
    assert _worth(item("all", "one", "all", "ten"), TEXT)["longest_by_chance"] == 0.0  # no option is the longest


def test_keys_that_always_stand_first_are_seen() -> None:
    def keys(*positions: int) -> float:
        facts = [{"key": float(position), "options": 4.0} for position in positions]
        made = [Row("quiz", str(i), "?", ("mcq",), {"accepted": 1.0}, fact) for i, fact in enumerate(facts)]
        return summarise(made)["quiz"]["key_bias"].value

    assert keys(0, 1, 2, 3) == 0.0
    assert keys(0, 0, 0, 0) == 0.75


def test_a_quiz_of_the_shipped_notes_is_measured_and_not_kept(corpus_settings: AssistantSettings) -> None:
    shelf = Shelf(corpus_settings)
    found = list(rows(shelf, corpus_settings, None, wanted=8))
    scores = summarise(found)["quiz"]
    assert scores["quote_exact"].value == 1.0
    assert scores["quote_exact"].n == 8
    assert scores["duplicate"].n == 8
    assert scores["notes_covered"].n == sum(note.chunks > 0 for note in shelf.ledger.notes().values())
    of_plan = [row for row in found if row.case.startswith("nca-aiio/")]
    assert len(of_plan) == 21  # the notes cover all of its objectives
    assert 0 < scores["objectives_covered"].value <= 8 / len(of_plan)
    assert scores["objectives_covered"].n > len(of_plan)
    assert not (shelf.folder / "items.db").exists()
