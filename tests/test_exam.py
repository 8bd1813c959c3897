"""A practice exam keeps the blueprint's proportions, loses no answer, stands still between a crash and going on."""

import json
import os
import random
import signal
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from assistant.author import AT_ONCE
from assistant.blueprint import Blueprint, load
from assistant.compose import Short, begin, choose, quotas, shortage, supply
from assistant.cover import Coverage, Covered, Serving, cover
from assistant.errors import ExamOver, JournalUnavailable, NoExam, NoSuchMiss, ServerStalled, TooFewItems
from assistant.exam import DONE, ENDED, TIME_UP, Exam
from assistant.items import CLOZE, Evidence, Item, Items
from assistant.journal import Journal
from assistant.review import EASY, GOOD, Reviews
from assistant.settings import AssistantSettings
from ingest.shelf import Shelf
from ingest.sync import sync
from tests.scripted import Scripted
from tests.test_author import ANIMALS, METALS
from tests.test_author import model as scripted
from tests.test_blueprint import SMALL, written
from tests.test_review import NOON, Clock
from ui.cli import main
from ui.exam import result_text


def item(domain: str, number: int, kind: str = "mcq") -> Item:
    evidence = Evidence(f"{domain}.md", "§ A", "A quote.", number * 10, number * 10 + 8, "v1", f"c-{domain}")
    options = ("wrong", "right", "worse", "worst") if kind == "mcq" else ()
    return Item(kind, f"Question {number} about {domain}?", "right", evidence, options, explanation="Because.")


POOL = [item("networks", n) for n in range(12)] + [item("storage", n) for n in range(8)]


@pytest.fixture
def blueprint(tmp_path: Path) -> Blueprint:
    return load(written(tmp_path, SMALL))


@pytest.fixture
def coverage() -> Coverage:
    def covered(domain: str) -> Covered:
        return Covered(True, 0.9, (Serving(f"c-{domain}", f"{domain}.md", "§ A", 100, 0.6),))

    return Coverage("my-exam", 1, {"rdma": covered("networks"), "tiers": covered("storage")})


@pytest.fixture
def reviews(tmp_path: Path) -> Reviews:
    return Reviews(Journal(tmp_path / "me"), AssistantSettings(), now=Clock())


@pytest.fixture
def clock() -> Clock:
    """Seconds that never go back."""
    return Clock(0.0)


@pytest.fixture
def sitting(reviews: Reviews, blueprint: Blueprint, coverage: Coverage, clock: Clock) -> Exam:
    """Ten questions in ten minutes."""
    return Exam.begin(reviews, blueprint, choose(blueprint, coverage, POOL, 10), 10, clock=clock)


# ------------------------------------------------------------------------------------------------------- choosing


def test_the_largest_remainders_get_what_is_left() -> None:
    nca = {"knowledge": 38, "infrastructure": 40, "operations": 22}
    assert quotas(nca, 60) == {"knowledge": 23, "infrastructure": 24, "operations": 13}
    assert quotas(nca, 50) == {"knowledge": 19, "infrastructure": 20, "operations": 11}
    assert quotas(nca, 1) == {"knowledge": 0, "infrastructure": 1, "operations": 0}


def test_every_number_of_questions_is_within_one_of_every_weight() -> None:
    chosen = random.Random(3)
    for _ in range(300):
        weights = {str(n): chosen.random() + 0.01 for n in range(chosen.randint(1, 9))}
        n = chosen.randint(1, 200)
        found = quotas(weights, n)
        whole = sum(weights.values())
        assert sum(found.values()) == n
        assert all(abs(found[id_] - n * weight / whole) < 1 for id_, weight in weights.items())


def test_an_exam_has_the_proportions_of_the_blueprint(blueprint: Blueprint, coverage: Coverage) -> None:
    found = choose(blueprint, coverage, POOL, 10)
    assert Counter(one.domain for one in found) == {"networks": 6, "storage": 4}
    assert len({one.item.id for one in found}) == 10
    assert found == choose(blueprint, coverage, POOL, 10)
    assert found != choose(blueprint, coverage, POOL, 10, seed=1)


def test_too_few_items_make_a_shorter_exam_with_the_same_proportions(blueprint: Blueprint, coverage: Coverage) -> None:
    found = choose(blueprint, coverage, POOL[:12] + POOL[12:15], 60)
    assert Counter(one.domain for one in found) == {"networks": 5, "storage": 3}  # 8: 4.8 and 3.2
    with pytest.raises(TooFewItems, match="no questions for Storage, so there can be no exam of my-exam"):
        choose(blueprint, coverage, POOL[:12], 10)


def test_a_roadmaps_domain_without_questions_is_left_out_and_named(
    blueprint: Blueprint, coverage: Coverage, reviews: Reviews, settings: AssistantSettings
) -> None:
    roadmap, shelf = replace(blueprint, kind="roadmap", exam=None), Shelf(settings)
    assert Counter(one.domain for one in choose(roadmap, coverage, POOL[:12], 10)) == {"networks": 6}
    with pytest.raises(TooFewItems, match="no questions for Networks, Storage"):
        choose(roadmap, coverage, [], 10)
    items = Items.of(shelf.folder)
    items.add(POOL[:12])
    gap = replace(coverage, objectives={id_: replace(one, covered=False) for id_, one in coverage.objectives.items()})
    begun = begin(reviews, roadmap, gap, shelf, settings, items, n=10)
    assert begun.told()[1] == "Storage, 0 of 4: your notes don't cover tiers"
    text = result_text(begun.exam.result())
    assert "    0 of 6   0% (95%: 0% to 39%)" in text
    assert "    0 of 0   no questions                 Storage (40%)" in text


def test_an_exam_that_lacks_questions_says_where_why_and_what_to_do(
    blueprint: Blueprint, coverage: Coverage, reviews: Reviews, settings: AssistantSettings
) -> None:
    shelf = Shelf(settings)
    items = Items.of(shelf.folder)
    gap = replace(coverage, objectives=coverage.objectives | {"tiers": Covered(False, 0.1, ())})
    tiers = [replace(one, objective="my-exam/tiers") for one in POOL[12:15]]
    items.add(POOL[:12] + tiers)
    begun = begin(reviews, blueprint, gap, shelf, settings, items, n=10)
    assert begun.told() == (
        "8 questions instead of 10, in the blueprint's proportions, since there are too few for:",
        "Storage, 3 of 4: your notes give no more",
        "To have more: serve a model, which writes questions where rules find none; or add notes on these, "
        "and run ask ingest",
    )
    assert (begun.exam.minutes, len(begun.exam.questions)) == (9.6, 8)
    assert begin(reviews, blueprint, gap, shelf, settings, items, n=5).told() == ()
    assert shortage(blueprint, gap, POOL[:12], 10) == (Short("storage", "Storage", 4, 0, ("tiers",), ()),)
    assert shortage(blueprint, coverage, POOL[:12], 10) == (Short("storage", "Storage", 4, 0, (), ("tiers",)),)


def test_no_two_questions_rest_on_the_same_words_and_choices_come_first(
    blueprint: Blueprint, coverage: Coverage
) -> None:
    clozes = [item("networks", n, "cloze") for n in range(12)]
    cards = [item("storage", 20 + n, "flashcard") for n in range(9)]
    found = choose(blueprint, coverage, clozes + cards + POOL, 20)
    assert {one.item.kind for one in found} == {"mcq"}
    assert len(found) == 20


def test_what_was_never_asked_comes_before_what_was(blueprint: Blueprint, coverage: Coverage) -> None:
    last = {one.id: NOON for one in POOL[:6]}
    found = choose(blueprint, coverage, POOL, 10, last_asked=last)
    assert not {one.item.id for one in found} & set(last)


# ------------------------------------------------------------------------------------------------------- sitting


def test_answers_are_kept_at_once_and_nothing_tells_the_key(sitting: Exam, reviews: Reviews) -> None:
    shown = sitting.shown()
    assert (shown["number"], shown["of"], shown["time_left_s"], shown["over"]) == (1, 10, 600, "")
    assert set(shown["question"]) == {"id", "kind", "question", "options"}
    assert not sitting.answer("7")  # none of the options
    assert sitting.answer("1")
    assert [(one.given, one.correct, one.source) for one in reviews.log()] == [("1", False, "exam")]
    assert sitting.shown()["number"] == 2


def test_after_a_crash_the_exam_goes_on_where_it_was_and_the_clock_stood_still(
    sitting: Exam, reviews: Reviews, clock: Clock
) -> None:
    for given in ("2", "1", "b"):
        sitting.next()
        clock.now += 30
        sitting.answer(given)
    sitting.next()
    clock.now += 10
    sitting.lap()
    sitting.lap()
    clock.now += 20  # and then the machine fails
    again = Exam.resume(reviews, clock=Clock(5_000.0))
    assert (again.id, again.answered, again.number, again.time_left) == (sitting.id, 3, 4, 500.0)
    assert again.next() == sitting.questions[3].item
    assert [one.whole.right for one in (again.result(), sitting.result())] == [2, 2]


def test_when_the_time_is_up_no_answer_is_taken(sitting: Exam, clock: Clock, reviews: Reviews) -> None:
    sitting.next()
    clock.now += 601
    with pytest.raises(ExamOver, match="the time is up; the exam takes no answer any more"):
        sitting.answer("2")
    assert (sitting.over, sitting.time_left, reviews.log()) == (TIME_UP, 0.0, [])
    with pytest.raises(NoExam, match="no exam was left unfinished; begin one: ask exam --plan NAME"):
        Exam.resume(reviews)


def test_the_clock_runs_while_a_question_is_put_off(sitting: Exam, reviews: Reviews, clock: Clock) -> None:
    first = sitting.next()
    clock.now += 60
    sitting.skip()
    assert sitting.time_left == 540.0
    assert sitting.next() != first
    again = Exam.resume(reviews, clock=clock)  # no time comes back, and the question stays behind the others
    for _ in range(9):
        again.answer("2")
    assert (again.next(), again.time_left) == (first, 540.0)
    clock.now += 15
    again.answer("2")
    assert (again.next(), again.over, again.time_left) == (None, DONE, 525.0)
    assert [one.took_ms for one in reviews.log()][-1] == 75_000


def test_the_score_has_its_interval_and_every_miss_its_passage(sitting: Exam, reviews: Reviews) -> None:
    while sitting.next() is not None:
        sitting.answer("2" if sitting.questions[sitting.number - 1].domain == "storage" else "3")
    found = sitting.result()
    assert [(one.id, one.asked, one.right) for one in found.domains] == [("networks", 6, 0), ("storage", 4, 4)]
    assert (found.whole.share, found.ended) == (0.4, DONE)
    assert (round(found.whole.low, 3), round(found.whole.high, 3)) == (0.168, 0.687)
    miss = found.misses[0]
    assert (miss.given, miss.answer, miss.path, miss.quote) == ("worse", "right", "networks.md", "A quote.")
    assert len(found.misses) == 6
    reviews.now = Clock(NOON + 3600)
    assert {one.item for one in reviews.due([one.id for one in POOL])} >= {
        one.item.id for one in sitting.questions if one.domain == "networks"
    }
    json.dumps(found.as_json())


def test_what_was_not_answered_counts_as_wrong_and_is_due_though_it_is_no_review(
    sitting: Exam, reviews: Reviews
) -> None:
    known = sitting.questions[5].item
    reviews.add(known, EASY, correct=True)
    sitting.answer("2")
    sitting.finish()
    left = {one.item.id for one in sitting.questions[1:]} - {known.id}
    assert {one.item for one in reviews.due([one.id for one in POOL])} == left
    late = next(iter(left))
    reviews.add(next(one for one in POOL if one.id == late), GOOD, correct=True)
    assert late not in {one.item for one in reviews.due([one.id for one in POOL])}
    found = sitting.result()
    assert (found.whole.right, found.whole.asked, found.whole.answered, found.ended) == (1, 10, 1, ENDED)
    assert [(one.answered, one.quote) for one in found.misses] == [(False, "A quote.")] * 9
    assert len(reviews.log()) == 3


def test_the_learner_may_have_been_right_after_all(sitting: Exam, reviews: Reviews) -> None:
    sitting.answer("1")
    sitting.finish()
    sitting.overrule(1)
    assert Exam.last(reviews).result().whole.right == 1
    with pytest.raises(NoSuchMiss, match="no wrong answer of the last exam has the number 1"):
        sitting.overrule(1)


def test_an_exam_that_goes_on_is_not_shown_with_its_answers(sitting: Exam, reviews: Reviews) -> None:
    sitting.answer("1")
    with pytest.raises(NoExam, match="no exam was finished yet; begin one: ask exam --plan NAME"):
        Exam.last(reviews)


def test_an_exam_keeps_its_questions_as_they_were(sitting: Exam, reviews: Reviews) -> None:
    with pytest.raises(JournalUnavailable, match="exams stay"), reviews.journal.transaction() as db:
        db.execute("UPDATE exams SET minutes = 1000")
    assert Exam.resume(reviews).questions == sitting.questions


def sit_until_killed(folder: Path, told: int) -> None:
    """Answer twice, and tell after each answer: four of these don't come to the end of ten questions."""
    sitting = Exam.resume(Reviews(Journal(folder), AssistantSettings()))
    for _ in range(2):
        sitting.next()
        sitting.answer("2")
        os.write(told, b".")
    signal.pause()


def test_no_acknowledged_answer_is_lost_when_the_exam_is_killed(
    sitting: Exam, reviews: Reviews, tmp_path: Path
) -> None:
    chosen, acknowledged = random.Random(5), 0
    for _ in range(4):
        read, write = os.pipe()
        if not (child := os.fork()):
            try:
                sit_until_killed(tmp_path / "me", write)
            finally:
                os._exit(1)
        os.close(write)
        time.sleep(chosen.uniform(0.0, 0.02))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while told := os.read(read, 100):
            acknowledged += len(told)
        os.close(read)
    found = Exam.resume(reviews)
    assert found.answered >= acknowledged
    assert len({one.id for one in reviews.log()}) == len(reviews.log()) == found.answered


# ---------------------------------------------------------------------------------------- what a model makes for it

NORTH = "Walkers in the northern mountains cross three rivers and sleep in a hut of stone that is never locked. "
SOUTH = "Boats to the southern islands leave at dawn, and wait in the harbour while a storm is on the sea. "
TOLD = {
    "networks": (NORTH, "Say what is guarded where walkers cross the rivers of the northern mountains.", 0),
    "storage": (SOUTH, "Say what is guarded where boats to the southern islands wait in the harbour.", 5),
}


def test_questions_that_are_missing_are_made_by_the_model_for_the_domain_that_lacks_them(
    settings: AssistantSettings, tmp_path: Path
) -> None:
    north, south = TOLD["networks"][1], TOLD["storage"][1]
    text = SMALL.replace("Explain RDMA.", north).replace("Choose storage tiers.", south)
    plan = load(written(tmp_path, text))
    for domain, (filler, _, first) in TOLD.items():
        parts = [
            f"## Place {n}\n\n{filler * 3}The {ANIMALS[n]} of valley {n} guards a {METALS[n]} hammer.\n"
            for n in range(first, first + 5)
        ]
        (settings.notes / f"{domain}.md").write_text("\n".join(parts))
    shelf = Shelf(settings)
    sync(shelf)
    items, found = Items.of(shelf.folder), cover(plan, shelf, settings)
    made = list(supply(plan, found, shelf, settings, items, 5, model=scripted()))
    kept = [one for one in made if isinstance(one, Item)]
    assert {one.made_by.split(",")[0] for one in kept} == {"model scripted"}
    assert Counter(one.objective for one in kept) == {"my-exam/rdma": 3, "my-exam/tiers": 3}
    assert Counter(one.domain for one in choose(plan, found, items.active(), 5)) == {"networks": 3, "storage": 2}
    assert list(supply(plan, found, shelf, settings, items, 5, model=scripted())) == []


# --------------------------------------------------------------------------------------------------- the command


NOTES = """# Networks and storage

## RDMA, InfiniBand and RoCE

**RoCE** is a protocol that carries RDMA over converged Ethernet networks.
**InfiniBand** is a network technology with credit-based flow control that was built for RDMA.
**Congestion control** is the slowing of senders before the queues of a switch overflow.
**Adaptive routing** is the choice of another path for packets when a link is busy.

## Storage tiers for checkpoints

**Object storage** is a store of whole objects that are read and written by name over HTTP.
**Parallel file system** is a file system that spreads each file over many storage servers.
**Local NVMe** is a fast solid-state drive inside the server itself, lost when the server is.
**Checkpoint** is a copy of the state of training from which it can go on after a failure.
"""


def ask(*arguments: str, given: str = "") -> Result:
    return CliRunner().invoke(main, list(arguments), input=given)


@pytest.fixture
def notes(settings: AssistantSettings, monkeypatch: pytest.MonkeyPatch) -> AssistantSettings:
    monkeypatch.setenv("STUDY_NOTES", str(settings.notes))
    (settings.notes / "networks.md").write_text(NOTES)
    text = SMALL.replace("Explain RDMA.", "Explain RDMA, InfiniBand and RoCE.").replace(
        "Choose storage tiers.", "Choose storage tiers for checkpoints: NVMe, file system, object storage."
    )
    (settings.home / "plans").mkdir()
    (settings.home / "plans" / "my-exam.yaml").write_text(text)
    return settings


def test_an_exam_is_taken_left_resumed_and_shown_again(notes: AssistantSettings) -> None:
    begun = ask("exam", "--plan", "my-exam", "-n", "5", "--no-llm", given="1\nq\n")
    assert "left with 1 of 5 answered; go on: ask exam --resume" in begun.stdout, begun.output
    assert "Right" not in begun.stdout
    resumed = ask("exam", "--resume", given="s\n" + "1\n" * 6)
    assert "My exam: 4 questions and " in resumed.stdout
    assert "every question was answered" in resumed.stdout
    told = json.loads(ask("exam", "--last", "--json").stdout)
    assert [(one["id"], one["asked"]) for one in told["domains"]] == [("networks", 3), ("storage", 2)]
    assert told["whole"]["right"] + len(told["misses"]) == 5
    for miss in told["misses"]:
        assert miss["quote"] in NOTES
    done = ask("exam", "--right", str(told["misses"][0]["number"]))
    assert f"My exam: {told['whole']['right'] + 1} of 5 right" in done.stdout


def test_an_exam_begun_beside_one_that_was_left_says_so(notes: AssistantSettings) -> None:
    assert "was left" not in ask("exam", "--plan", "my-exam", "-n", "5", "--no-llm", given="1\nq\n").stderr
    second = ask("exam", "--plan", "my-exam", "-n", "2", "--no-llm", given="1\n1\n")
    assert "My exam was left with 1 of 5 answered; it waits until the new exam is over\n" in second.stderr
    assert "My exam: 4 questions and " in ask("exam", "--resume", given="q\n").stdout


def test_an_exam_needs_a_plan_and_something_to_resume(notes: AssistantSettings) -> None:
    assert "name the plan: ask exam --plan NAME" in ask("exam").stderr
    assert "no exam was left unfinished" in ask("exam", "--resume").stderr
    assert "there is no plan nonsense" in ask("exam", "--plan", "nonsense").stderr


def test_where_the_server_fails_an_exam_is_made_by_rule_and_says_so_and_the_server_is_left_in_peace(
    notes: AssistantSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: str) -> object:
        raise ServerStalled("http://127.0.0.1:1/v1", "fell silent", "STUDY_LLM_STALL_S")

    model = Scripted(fail)
    monkeypatch.setattr("ui.quiz.model_or_none", lambda _: model)
    begun = ask("exam", "--plan", "my-exam", "-n", "5", given="q\n")
    assert begun.exit_code == 0, begun.output
    assert begun.stderr.count("the model failed, so the questions that are missing are made by rule: ") == 1
    assert "left with 0 of 5 answered" in begun.stdout
    assert 1 <= len(model.heard) <= AT_ONCE


@pytest.mark.parametrize(
    ("typed", "kept"),
    [("q\na\n", "q"), ("s\na\n", "s"), ("end\na\n", "end"), ("q\n\n", ""), ("paging\nq\n\n", "paging")],
)
def test_a_blank_may_be_answered_with_a_letter_that_means_something_else_elsewhere(
    notes: AssistantSettings, monkeypatch: pytest.MonkeyPatch, typed: str, kept: str
) -> None:
    monkeypatch.setattr("assistant.compose.CHOICES", ())
    monkeypatch.setattr("assistant.compose.KINDS", (CLOZE,))
    begun = ask("exam", "--plan", "my-exam", "-n", "2", "--no-llm", given=typed)
    assert begun.exit_code == 0, begun.output
    log = Reviews(Journal.of(notes), notes).log()
    assert [(one.given, one.correct) for one in log] == [(kept, False)] * bool(kept)
