"""Cards made by rule: what is taken from notes, what is left, and what ten of the starter course are like."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from assistant import cards
from assistant.cards import Rejected
from assistant.check import Ground, checked, is_new
from assistant.facts import Fact, Source, facts, plain, source
from assistant.items import FLASHCARD, MCQ, Item
from assistant.settings import AssistantSettings
from ingest.chunk import chunk
from ingest.embed import Embedder
from ingest.read import read
from ingest.shelf import Shelf
from tests.fakes import HashedEmbedder
from ui.cli import main

if TYPE_CHECKING:
    from ingest.encode import Vectors


def note(text: str, path: str = "gpu/cards.md") -> Source:
    document = read(Path(path), text.encode())

    def words(texts: object) -> list[int]:
        return [len(str(one).split()) for one in texts]  # type: ignore[attr-defined]

    chunks = chunk(document, path=path, version="v1", count_tokens=words, most_tokens=150)
    return Source(path, "v1", document.title, document.text, tuple(chunks))


def said(text: str) -> list[tuple[str, str, str]]:
    return [(fact.kind, fact.subject, fact.value) for fact in facts(note(text))]


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        (
            "**Prefill** is the phase in which the model reads the whole prompt at once.",
            ("definition", "Prefill", "the phase in which the model reads the whole prompt at once"),
        ),
        (
            "A **warp** is a group of 32 threads that run together; half of it may idle.",
            ("definition", "warp", "a group of 32 threads that run together"),
        ),
        (
            "Watch the **model registry** of the team. It uses remote direct memory access (RDMA) for every transfer.",
            ("long form", "RDMA", "remote direct memory access"),
        ),
        ("An A100 has 108 SMs.", ("number", "A100", "108")),
        (
            "**Data labelling**: A tool that lets people mark what a picture shows.",
            ("definition", "Data labelling", "a tool that lets people mark what a picture shows"),
        ),
        (
            "- **Watermark** – the oldest time of an event that may still arrive; later ones are dropped.",
            ("definition", "Watermark", "the oldest time of an event that may still arrive"),
        ),
        (
            "Throughput refers to the number of requests that a server finishes in one second. Throughput and again "
            "throughput.",
            ("definition", "Throughput", "the number of requests that a server finishes in one second"),
        ),
        (
            "Immersion cooling is the placing of whole servers in a non-conducting liquid.",
            ("definition", "Immersion cooling", "the placing of whole servers in a non-conducting liquid"),
        ),
        (
            "A SuperNIC is an adapter tuned for traffic between the cards of two hosts.",
            ("definition", "SuperNIC", "an adapter tuned for traffic between the cards of two hosts"),
        ),
        (
            "A **datasheet** is a document that records how data was collected, what it holds, and how it may be used.",
            (
                "definition",
                "datasheet",
                "a document that records how data was collected, what it holds, and how it may be used",
            ),
        ),
        (
            "A **trait** is a lasting attribute of one single person and includes temperament in most schools.",
            ("definition", "trait", "a lasting attribute of one single person"),
        ),
        (
            "To find the cause, set `NCCL_DEBUG` before the job starts on all nodes.",
            ("code", "", "NCCL_DEBUG"),
        ),
    ],
)
def test_what_stands_in_a_plain_form_is_taken(text: str, fact: tuple[str, str, str]) -> None:
    assert said(f"# Notes\n\n{text}\n") == [fact]


@pytest.mark.parametrize(
    "text",
    [
        # what leans on its surroundings
        "It is a group of 32 threads that run together on one processor.",
        "This **warp** is a thing of the kind that was described above in the list.",
        "**Prefill** is the phase described above, in which these prompts are read.",
        "The **third** is the power limit, which decides how many cards a rack can feed.",
        "**Memory** is $\\max(0, 1 - y)$ for a label and a score of the model at hand.",
        "Suppose an A100 has 108 SMs and each SM runs 4 warps at the same time.",
        "## **Warp** is a heading that looks like a sentence of the notes.",
        "```\n**Warp** is a group of 32 threads that run together.\n```",
        # praise and advice
        "Appraisal is an active area of research and practice of the field. Appraisal, appraisal.",
        "A vision is an important part of what a team needs in order to move.",
        "**Step one**: Clean the data and look at the columns of the table.",
        "**Managerial**: in-depth, actionable understanding of what is known.",
        "A significant trigger is the feeling of being treated unfairly by others.",
    ],
)
def test_what_leans_on_its_surroundings_praises_or_advises_is_no_definition(text: str) -> None:
    assert said(f"# Notes\n\n{text}\n") == []


PAGE = """Cooling
Immersion cooling is the placing of whole servers in a non-conducting liquid, which takes up the heat of all
chips. A sentence (that is broken by the
Page) is no heading, and stays whole.
1. The cards
TDP (thermal design power) is the highest sustained power in watts that the cooling of a card must
remove. Other words follow.
"""


def test_a_heading_that_runs_into_its_text_as_in_pdfs_is_no_part_of_the_sentence() -> None:
    assert [(fact.kind, fact.subject) for fact in facts(note(PAGE, "gpu/page.txt"))] == [
        ("definition", "Immersion cooling"),
        ("definition", "TDP"),
        ("long form", "TDP"),
    ]


def test_a_definition_that_names_its_term_makes_no_card() -> None:
    text = "**Varney** is the tale of the vampire Sir Francis Varney of the penny dreadfuls.\n\n"
    text += "**Mount Logan** is the mountain that feeds both the Hubbard and the Logan Glacier.\n"
    assert made(note(f"# Notes\n\n{text}")) == []


def test_a_blank_takes_the_other_name_that_stands_beside_the_term() -> None:
    text = "IVF (inverted file index) is an index that clusters the vectors and searches only clusters near to a query."
    [item] = made(note(f"# Notes\n\n{text}\n"))
    assert (item.kind, item.answer, item.accepted) == ("cloze", "IVF", ("inverted file index",))


def test_a_definition_that_fits_many_things_makes_no_card() -> None:
    assert made(note("# Notes\n\n**Codeine** is a type of opioid with relatively low potency.\n")) == []


def test_front_matter_is_no_fact() -> None:
    text = "---\ntitle: A **warp** is a group of 32 threads that run together.\n---\n\n# Notes\n\nWords of no use.\n"
    assert said(text) == []


TABLE = """# Cards

| Card | Memory | Power limit | Verdict |
|---|---|---|---|
| T4 | 16 GB | 70 W | old |
| L4 | 24 GB | 72 W | cheap |
| L40S | 48 GB | 350 W | good |
| A100 | 80 GB | 400 W | solid |
"""


def made(source: Source, wanted: int = 50) -> list[Item]:
    embed = HashedEmbedder(dim=64).encode
    return [
        one for one in cards.make(facts(source), {"v1": source}, wanted=wanted, embed=embed) if isinstance(one, Item)
    ]


def test_a_table_asks_for_one_cell_a_row_with_the_column_as_choice() -> None:
    items = made(note(TABLE))
    assert len(items) == 3  # of one table no more are taken
    for item in items:
        assert item.kind == "mcq"
        assert "Verdict" not in item.question
        assert item.evidence.quote.startswith("| ")
        assert item.answer in item.evidence.quote
        assert len({option.split()[-1] for option in item.options}) == 1  # GB beside GB, W beside W


def test_an_abbreviation_is_asked_for_once_though_two_sections_explain_it() -> None:
    text = "It uses remote direct memory access (RDMA) for every transfer of the job.\n"
    items = made(note(f"# Networks\n\n## Cables\n\n{text}\n## Switches\n\nSee above.\n\n## Hosts\n\n{text}"))
    other = made(note(f"# Clusters\n\n## Nodes\n\n{text}", "gpu/other.md"))
    assert [item.question for item in items] == ["What does RDMA stand for? (Cables)"]
    assert not is_new(other[0], Ground("", "", items))


def test_a_row_of_data_is_nothing_to_learn() -> None:
    rows = "".join(
        f"| Hotel {name} | {n * 1117} |\n" for n, name in enumerate("Ada Bea Cleo Dora Edna".split(), start=9)
    )
    assert made(note(f"# Hotels\n\n| Hotel | Reviews |\n|---|---|\n{rows}")) == []


def test_marks_and_pointers_to_other_notes_are_no_words() -> None:
    assert plain("**KV cache**, see `vllm` (see [[model-serving]]) and [[gpu-cards|cards]].") == (
        "KV cache, see vllm and cards."
    )


def test_a_definition_of_the_same_thing_is_no_distractor() -> None:
    own = note(
        "# GPU\n\n**Warp** is a group of 32 threads that run together on one processor.\n\n"
        "**Bundle** is a group of 32 threads that run together on one SM processor.\n\n"
        "**Grid** is a group of many blocks that one kernel starts on the device.\n\n"
        "**Block** is a group of many threads that share memory on one processor.\n\n"
        "**Lane** is a group of registers that one thread owns while a kernel runs.\n\n"
    )
    [warp] = [fact for fact in facts(own) if fact.subject == "Warp"]
    pool = cards.Pool(facts(own), HashedEmbedder(dim=64).encode)
    drafts = [item for item in cards.drafts(warp, pool) if item.kind == MCQ]
    assert drafts
    assert not any("Bundle" in option for item in drafts for option in item.options)


def test_what_is_made_again_of_the_same_notes_reads_and_embeds_nothing_twice() -> None:
    text = "# GPU\n\n**Warp** is a group of 32 threads that run together on one processor.\n\n"
    text += "**Grid** is a group of many blocks that one kernel starts on the device.\n"
    embedded: list[str] = []
    embedder = HashedEmbedder()

    def embed(texts: list[str]) -> "Vectors":
        embedded.extend(texts)
        return embedder.encode(texts)

    for _ in range(2):
        source = note(text)
        assert len(list(cards.make(facts(source), {"v1": source}, wanted=2, embed=embed))) > 1
    assert facts(note(text)) is facts(note(text))
    assert len(embedded) == len(set(embedded)) > 1


# ------------------------------------------------------------------------------------------- the starter course


@pytest.fixture(scope="module")
def all_cards(corpus_home: Path, embedder: Embedder) -> tuple[list[Item], Counter[str], dict[str, Source]]:
    settings = AssistantSettings(home=corpus_home, notes=Path(__file__).parent.parent / "corpus")
    shelf = Shelf(settings, embedder=embedder)
    rows = shelf.ledger.notes().values()
    sources = [one for row in rows if (one := source(row, shelf.view(), shelf.ledger))]
    by_version = {one.version: one for one in sources}
    every: list[Fact] = [fact for one in sources for fact in facts(one)]
    found = list(cards.make(every, by_version, wanted=200, embed=embedder.encode, seed=1))
    rejected = Counter(one.reason for one in found if isinstance(one, Rejected))
    return [one for one in found if isinstance(one, Item)], rejected, by_version


Cards = tuple[list[Item], Counter[str], dict[str, Source]]


def test_two_hundred_cards_quote_exactly_and_have_distinct_options(all_cards: Cards) -> None:
    items, _, sources = all_cards
    assert len(items) == 200
    for item in items:
        evidence = item.evidence
        assert sources[evidence.version].text[evidence.start : evidence.end] == evidence.quote
        assert len({option.lower() for option in item.options}) == len(item.options)
        assert all(item.checks.values())
        assert item.made_by.startswith("rule: ")


def test_the_cards_cover_the_notes_evenly(all_cards: Cards) -> None:
    items = all_cards[0]
    per_note = Counter(item.evidence.path for item in items)
    assert len(per_note) >= 28  # of 31
    assert max(per_note.values()) <= 12
    assert len({item.kind for item in items}) == 4


def test_the_key_is_not_the_longest_option_more_often_than_chance(all_cards: Cards) -> None:
    choices = [item for item in all_cards[0] if item.kind == MCQ]
    longest = [len(item.answer) == max(map(len, item.options)) for item in choices]
    assert len(choices) > 60
    assert sum(longest) / len(longest) < 0.35


def test_a_changed_quote_a_second_copy_and_a_told_answer_are_rejected(all_cards: Cards) -> None:
    items, _, sources = all_cards
    item = next(one for one in items if one.kind == MCQ)
    text = sources[item.evidence.version].text
    ground = Ground(text, text)
    damaged: list[Callable[[Item], Item]] = [
        lambda one: replace(one, evidence=replace(one.evidence, quote=one.evidence.quote + " ")),
        lambda one: replace(one, options=(one.answer, "Grid", "grid", "Block")),
        lambda one: replace(one, question=f"{one.question} It is {one.answer}."),
    ]
    assert [checked(damage(item), ground)[1] for damage in damaged] == [
        "quote_exact",
        "options_distinct",
        "no_giveaway",
    ]
    assert checked(item, Ground(text, text, [replace(item, question=f"Say: {item.question}")]))[1] == "new"


def test_the_command_prints_ten_sound_items(corpus_settings: AssistantSettings, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for name in ("models", *[path.name for path in corpus_settings.home.iterdir() if path.name.startswith("index-")]):
        (home / name).symlink_to(corpus_settings.home / name)
    environment = {"STUDY_HOME": str(home), "STUDY_NOTES": str(corpus_settings.notes)}
    done = CliRunner().invoke(main, ["quiz", "--no-llm", "-n", "10", "--json"], env=environment)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert set(found) == {"items", "rejected"}
    assert len(found["items"]) == 10
    for item in found["items"]:
        assert set(item) == {
            *(
                "id",
                "kind",
                "question",
                "options",
                "answer",
                "explanation",
                "objective",
                "evidence",
                "checks",
                "made_by",
            )
        }
        assert set(item["evidence"]) == {"path", "locator", "quote", "start", "end"}
        assert all(item["checks"].values())
    again = CliRunner().invoke(main, ["quiz", "--no-llm", "-n", "10", "--json"], env=environment)
    assert [item["id"] for item in json.loads(again.stdout)["items"]] == [item["id"] for item in found["items"]]
    assert FLASHCARD in {item["kind"] for item in found["items"]}
