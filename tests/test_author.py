"""Items by a model: what a scripted one writes is checked, solved with and without the evidence, placed and kept."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assistant.author import PROMPT, find_quote, write
from assistant.cards import Made, Rejected
from assistant.check import Ground, checked
from assistant.errors import ServerUnreachable
from assistant.facts import Source
from assistant.items import MCQ, Item, Items
from ingest.chunk import Chunk, Place
from tests.fakes import HashedEmbedder
from tests.scripted import Scripted, choice

ANIMALS = "otter badger heron falcon marten beaver lynx curlew plover raven".split()
METALS = "copper nickel cobalt silver titanium zinc tin iron lead gold".split()
TOOLS = "hammer chisel saw plane drill".split()


def notes(count: int = 400) -> dict[str, Source]:
    """Notes with one fact a chunk: 'The otter of valley 17 guards a copper hammer.'"""
    made: dict[str, Source] = {}
    for n in range(count):
        animal, metal, tool = ANIMALS[n % 10], METALS[n // 10 % 10], TOOLS[n // 100 % 5]
        text = f"Valley {n} lies far away. The {animal} of valley {n} guards a {metal} {tool}."
        chunk = Chunk(f"v{n}.md", f"v{n}", 0, 0, len(text), text, "Valleys", (Place(0, "line 1", ()),))
        made[f"v{n}"] = Source(f"v{n}.md", f"v{n}", "Valleys", text, (chunk,))
    return made


def good(asked: str) -> dict[str, Any]:
    """Write one sound question about the passage's fact."""
    found = re.search(r"The (\w+) of valley (\d+) guards a (\w+) (\w+)\.", asked)
    assert found is not None
    animal, n, metal, tool = found.groups()
    others = [other for other in METALS if other != metal][:3]
    return {
        "kind": "mcq",
        "question": f"Of which metal is what the {animal} of valley {n} guards?",
        "answer": metal,
        "options": others,
        "rubric": [],
        "explanation": f"It guards a {metal} {tool}.",
        "quote": found[0],
    }


def solve(asked: str) -> dict[str, Any]:
    """Solve from the evidence alone; without it, say the first option."""
    evidence = re.search(r"<evidence>(.*)</evidence>", asked, re.DOTALL)
    options = re.findall(r"^(\d)\. (.+)$", asked, re.MULTILINE)
    if evidence is None:
        return {"answer": [1]}
    return {"answer": [int(number) for number, option in options if f" {option} " in evidence[1]]}


def model(draft: Callable[[str], Any] = good, solving: Callable[[str], Any] = solve) -> Scripted:
    return Scripted(lambda asked: {"items": [draft(asked)]} if "<passage>" in asked else solving(asked))


def made(by: Scripted, count: int = 1, wanted: int = 1, **options: Any) -> list[Made]:
    sources = notes(count)
    passages = [one.chunks[0] for one in sources.values()]
    return list(write(by, passages, sources, wanted=wanted, embed=HashedEmbedder(dim=512).encode, **options))


def changed(**change: Any) -> Scripted:
    return model(lambda asked: good(asked) | change)


def test_four_hundred_items_quote_exactly_have_distinct_options_and_evenly_placed_keys() -> None:
    sources = notes()
    found = [one for one in made(model(), 400, 400) if isinstance(one, Item)]
    assert len(found) == 400
    for item in found:
        evidence = item.evidence
        assert sources[evidence.version].text[evidence.start : evidence.end] == evidence.quote
        assert len(set(item.options)) == 4
        assert item.options[item.key] == item.answer
        assert item.made_by == f"model scripted, prompt {PROMPT}"
        assert item.checks["solved_with_evidence"]
    places = Counter(item.key for item in found)
    chi_squared = sum((places[place] - 100) ** 2 / 100 for place in range(4))
    assert chi_squared < 11.34  # p > .01 at three degrees of freedom
    guessed = sum(not item.checks["unguessable"] for item in found)
    assert guessed == places[0]  # without the evidence the solver says the first option, and that is written down


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"quote": "The otter of valley 0 guards a copper hammer!"}, "quote_exact"),
        ({"kind": "riddle"}, "schema"),
        ({"options": ["nickel", "zinc"]}, "schema"),
        ({"options": ["nickel", "Nickel", "zinc"]}, "options_distinct"),
        ({"answer": "platinum"}, "key_supported"),
        ({"options": ["nickel", "zinc", "none of the above"]}, "no_all_or_none"),
        ({"options": ["a metal that nobody has ever seen there", "zinc", "tin"]}, "options_same_length"),
        ({"options": ["12 kg", "13 kg", "14 kg"]}, "options_same_form"),
        ({"question": "Which metal does the otter of valley 0 NOT guard?"}, "positive_stem"),
        ({"question": "According to the passage, which metal is guarded?"}, "stands_alone"),
        ({"question": "Of which metal is the copper hammer of valley 0?"}, "no_giveaway"),
    ],
)
def test_what_breaks_a_rule_is_rejected_with_the_rule_as_reason(change: dict[str, Any], reason: str) -> None:
    [rejected] = made(changed(**change))
    assert isinstance(rejected, Rejected)
    assert rejected.reason == reason


def test_a_key_that_the_solver_does_not_find_in_the_evidence_is_rejected() -> None:
    [rejected] = made(model(solving=lambda asked: {"answer": [9]}))
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "solved_with_evidence"


def test_a_distractor_that_the_evidence_supports_too_is_rejected() -> None:
    [rejected] = made(model(solving=lambda asked: {"answer": [1, 2]}))
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "solved_with_evidence"


def test_the_solver_is_not_told_the_key() -> None:
    by = model()
    made(by)
    assert len(by.heard) == 3
    assert not any("It guards a copper hammer." in asked for asked in by.heard)


def test_a_reworded_copy_is_rejected() -> None:
    [first] = made(model())
    assert isinstance(first, Item)
    copy = replace(first, question="What the otter of valley 0 guards is of which metal?")
    [rejected] = made(model(), existing=[copy])
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "new"


def test_two_copies_of_one_batch_are_one() -> None:
    sources = notes(1)
    passages = [sources["v0"].chunks[0]] * 4
    found = list(write(model(), passages, sources, wanted=4, embed=HashedEmbedder(dim=512).encode))
    assert [one.reason for one in found if isinstance(one, Rejected)] == ["new"] * 3
    assert len([one for one in found if isinstance(one, Item)]) == 1


def test_only_the_kinds_that_were_wished_for_pass() -> None:
    [rejected] = made(model(), kinds={"cloze"})
    assert isinstance(rejected, Rejected)


OTHER_KINDS: list[dict[str, Any]] = [
    {"kind": "true_false", "question": "The otter of valley 0 guards a copper hammer.", "answer": "True"},
    {"kind": "cloze", "question": "The otter of valley 0 guards a copper ____.", "answer": "hammer"},
    {"kind": "short", "question": "What does the otter of valley 0 guard?", "answer": "a copper hammer"},
    {
        "kind": "explain",
        "question": "What makes valley 0 worth a journey?",
        "answer": "The otter there guards a copper hammer.",
        "rubric": ["The otter guards a copper hammer."],
    },
    {"kind": "flashcard", "question": "The otter of valley 0", "answer": "guards a copper hammer"},
]


@pytest.mark.parametrize("change", OTHER_KINDS, ids=lambda change: str(change["kind"]))
def test_every_kind_can_be_written(change: dict[str, Any]) -> None:
    answers = {"true_false": "true", "cloze": "hammer", "short": "a hammer of copper"}
    free = "It guards a hammer of copper."

    def solving(asked: str) -> Any:
        if "<answer>" in asked:
            return {"points": [True], "reason": "It says so.", "quote": "", "correct": free in asked}
        return {"answer": answers.get(str(change["kind"]), free)}

    by = model(lambda asked: good(asked) | {"options": []} | change, solving)
    [item] = made(by)
    assert isinstance(item, Item), item
    assert item.kind == change["kind"]
    assert item.options == ()


@pytest.mark.parametrize("change", OTHER_KINDS, ids=lambda change: str(change["kind"]))
def test_every_kind_is_rejected_if_the_evidence_does_not_lead_to_its_answer(change: dict[str, Any]) -> None:
    def solving(asked: str) -> Any:
        if "<answer>" in asked:
            return {"points": [False], "reason": "It says otherwise.", "quote": "", "correct": False}
        return {"answer": "nobody knows"}

    [rejected] = made(model(lambda asked: good(asked) | {"options": []} | change, solving))
    assert isinstance(rejected, Rejected), rejected
    assert rejected.reason == "solved_with_evidence"


def test_a_statement_without_its_reason_is_rejected() -> None:
    [rejected] = made(changed(**OTHER_KINDS[0], options=[], explanation=""))
    assert isinstance(rejected, Rejected)
    assert rejected.reason == "reason_given"


def gone() -> ServerUnreachable:
    return ServerUnreachable("http://127.0.0.1:9/v1", "nothing listens there")


def test_a_server_that_fails_while_solving_makes_no_item_bad_and_the_passage_is_tried_again() -> None:
    fails = iter([True, False])

    def solving(asked: str) -> Any:
        if "<evidence>" in asked and next(fails, False):
            raise gone()
        return solve(asked)

    [item] = made(model(solving=solving))
    assert isinstance(item, Item)


def test_what_could_not_be_solved_without_the_evidence_is_not_called_unguessable() -> None:
    def solving(asked: str) -> Any:
        if "<evidence>" not in asked:
            raise gone()
        return solve(asked)

    [item] = made(model(solving=solving))
    assert isinstance(item, Item)
    assert item.checks["solved_with_evidence"]
    assert "unguessable" not in item.checks


def test_passages_that_a_failing_server_left_are_not_taken_for_used_up() -> None:
    def draft(asked: str) -> Any:
        if "valley 1 " in asked:
            raise gone()
        return good(asked)

    sources, found = notes(3), list[Made]()
    passages = [one.chunks[0] for one in sources.values()]
    making = write(model(draft), passages, sources, wanted=3, embed=HashedEmbedder(dim=512).encode)
    with pytest.raises(ServerUnreachable):
        found.extend(making)
    assert len(found) == 2
    assert all(isinstance(one, Item) for one in found)


def test_the_steps_of_an_ordering_are_shuffled_and_solved() -> None:
    text = "Starting up goes in three steps: open the valve, then press the pump, then light the burner at last."
    chunk = Chunk("s.md", "s", 0, 0, len(text), text, "Start", (Place(0, "line 1", ()),))
    steps = ["open the valve", "press the pump", "light the burner"]
    draft = {"kind": "ordering", "question": "In which order does one start up?", "answer": "1 2 3", "options": steps}
    draft |= {"rubric": [], "explanation": "", "quote": text}

    def answer(asked: str) -> dict[str, Any]:
        shown = re.findall(r"^\d\. (.+)$", asked, re.MULTILINE)
        return {"answer": [shown.index(step) + 1 for step in steps]}

    by = model(lambda asked: draft, answer)
    sources = {"s": Source("s.md", "s", "Start", text, (chunk,))}
    [item] = list(write(by, [chunk], sources, wanted=1, embed=HashedEmbedder().encode))
    assert isinstance(item, Item), item
    assert list(item.options) != steps
    assert [item.options[int(n) - 1] for n in item.answer.split()] == steps


def test_an_answer_that_is_no_list_of_items_gives_nothing() -> None:
    for said in ({}, {"items": "none"}, {"items": ["a", 3, None]}):
        found = made(Scripted(lambda asked, said=said: said))  # type: ignore[misc]
        assert [one for one in found if isinstance(one, Item)] == []


def test_a_server_that_is_gone_ends_it_after_a_few_passages() -> None:
    def gone(asked: str) -> Any:
        raise ServerUnreachable("http://127.0.0.1:9/v1", "nothing listens there")

    by = Scripted(gone)
    with pytest.raises(ServerUnreachable):
        made(by, 40, 40)
    assert len(by.heard) < 12


def test_a_quote_is_found_apart_from_white_space() -> None:
    text = "The otter\n  guards a copper hammer."
    assert find_quote("The otter guards a", text) == (0, 20)
    assert find_quote("The otters guard a", text) == (0, 0)
    assert find_quote("", text) == (0, 0)


# ------------------------------------------------------------------------------------------ what is kept


def test_items_are_kept_once_and_what_was_rejected_with_its_reason(tmp_path: Path) -> None:
    items = Items(tmp_path / "items.db")
    items.add([choice(), choice()])
    items.reject([("schema", choice()), ("new", choice()), ("new", choice())])
    again = Items(tmp_path / "items.db")
    assert again.active() == [choice()]
    assert dict(again.rows("SELECT reason, count(*) FROM rejections GROUP BY reason")) == {"schema": 1, "new": 2}


def test_the_key_is_not_in_what_may_leave_the_process() -> None:
    shown = choice().shown()
    assert set(shown) == {"id", "kind", "question", "options"}


def test_every_check_that_was_made_is_told() -> None:
    item, reason = checked(replace(choice(), evidence=replace(choice().evidence, start=1)), Ground("", ""))
    assert reason == "quote_exact"
    assert item.checks == {"schema": True, "quote_exact": False}
    assert item.kind == MCQ
