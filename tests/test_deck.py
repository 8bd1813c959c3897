"""Items out and in: what Anki, course systems and spreadsheets are given, and what is read of theirs."""

import csv
import io
import json
import re
import warnings
import xml.etree.ElementTree as ElementTree
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from assistant import deck
from assistant.bind import admit, bind
from assistant.cards import Rejected
from assistant.errors import DeckUnreadable, JournalUnavailable
from assistant.items import CLOZE, EXPLAIN, FLASHCARD, MCQ, ORDERING, SHORT, TRUE_FALSE, Item, Items
from assistant.journal import Journal
from assistant.review import AGAIN, GOOD, Reviews
from assistant.settings import AssistantSettings
from ingest.embed import Embedder
from ingest.shelf import Shelf
from ingest.sync import sync
from tests.scripted import choice, cloze, evidence, flashcard
from ui.cli import main

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from anki.collection import Collection, ImportAnkiPackageOptions, ImportAnkiPackageRequest

EVERY_KIND = [
    choice(),
    Item(TRUE_FALSE, "A warp has 32 threads.", "true", evidence(), explanation="It has 32."),
    Item(SHORT, "How many threads are in a warp?", "32", evidence(), accepted=("thirty-two",)),
    cloze("warp", "bundle"),
    Item(ORDERING, "In which order does a kernel start?", "2 3 1", evidence(), options=("c", "a", "b")),
    Item(EXPLAIN, "Why is divergence slow?", "Paths run in turn.", evidence(), rubric=("paths run in turn",)),
    flashcard(),
    Item(FLASHCARD, "What is <b>{x ~ y = z} & co: #1 \\ 2</b>?", "a & b < c [sound:a.mp3]", evidence()),
]


def imported(collection: Collection, path: Path) -> None:
    request = ImportAnkiPackageRequest(package_path=str(path), options=ImportAnkiPackageOptions())
    collection.import_anki_package(request)


def cards(collection: Collection) -> dict[str, list[str]]:
    notes = [collection.get_note(id_) for id_ in collection.find_notes("")]
    assert all(len(note.cards()) == 1 for note in notes)
    return {note.guid: list(note.fields) for note in notes}


@pytest.mark.filterwarnings("ignore")
def test_the_apkg_opens_in_anki_with_the_same_cards_after_two_exports(tmp_path: Path) -> None:
    collection = Collection(str(tmp_path / "collection.anki2"))
    try:
        deck.write_anki(EVERY_KIND, tmp_path / "one.apkg", "Study: notes", tmp_path)
        imported(collection, tmp_path / "one.apkg")
        first = cards(collection)
        ids = list(collection.find_cards(""))
        assert set(first) == {item.id for item in EVERY_KIND}
        assert first[choice().id][1] == "Warp"
        assert "<li>Block</li>" in first[choice().id][0]
        assert "gpu/warps.md, line 1</a>" in first[choice().id][3]
        deck.write_anki(EVERY_KIND, tmp_path / "two.apkg", "Study: notes", tmp_path)
        imported(collection, tmp_path / "two.apkg")
        assert cards(collection) == first
        assert list(collection.find_cards("")) == ids
        assert [one.name for one in collection.decks.all_names_and_ids()] == ["Default", "Study: notes"]
        assert [collection.get_card(id_).answer_av_tags() for id_ in ids] == [[]] * len(ids)  # no sound
        assert "kind::mcq" in collection.tags.all()
        assert "course::gpu" in collection.tags.all()
    finally:
        collection.close()


def test_csv_holds_every_item_and_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text(deck.to_csv(EVERY_KIND), encoding="utf-8", newline="")
    found = deck.read(path)
    assert [(one.kind, one.question, one.answer, one.options, one.accepted) for one in found] == [
        (one.kind, one.question, one.answer, one.options, one.accepted) for one in EVERY_KIND
    ]


def test_a_cell_is_never_a_formula() -> None:
    item = replace(flashcard(), answer="=1+1")
    [_, row] = csv.reader(io.StringIO(deck.to_csv([item])))
    assert "'=1+1" in row
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row)


def test_gift_says_what_moodle_expects_and_comes_back(tmp_path: Path) -> None:
    text = deck.to_gift(EVERY_KIND)
    assert f"::{choice().id}::[plain]What is a group of 32 threads called? {{" in text
    assert "\n\t=Warp" in text
    assert "\n\t~Block" in text
    assert "A {\n\t=warp\n\t=bundle" in text
    assert r"\{x \~ y \= z\} & co\: \#1 \\ 2" in text
    path = tmp_path / "items.gift"
    path.write_text(text)
    found = {item.question: item for item in deck.read(path)}
    assert (found[choice().question].kind, found[choice().question].answer) == (MCQ, "Warp")
    assert sorted(found[choice().question].options) == ["Block", "Grid", "Kernel", "Warp"]
    assert found["A warp has 32 threads."].answer == "true"
    assert found["How many threads are in a warp?"].accepted == ("thirty-two",)
    assert found[cloze().question].answer == "warp"
    assert found["What is <b>{x ~ y = z} & co: #1 \\ 2</b>?"].kind == FLASHCARD


def test_a_card_comes_back_from_gift_with_its_own_answer_and_its_explanation_apart(tmp_path: Path) -> None:
    file = tmp_path / "cards.gift"
    file.write_text(deck.to_gift([replace(flashcard(), explanation="A warp is a group: 32 threads.")]))
    (back,) = deck.read(file)
    assert back.answer == "a group of 32 threads that run together"
    assert back.explanation.startswith("A warp is a group: 32 threads.")


ODD = ("a:b{c}=~#d\\e", "x\ny", "map<int> &amp; 'q'", "Größe – ß", r"\(x^2\)", "%50%", "f -> g", "# a: b", "::t::", "T")


@pytest.mark.parametrize("name", ["odd.csv", "odd.gift"])
@pytest.mark.parametrize("odd", ODD)
def test_no_character_of_an_answer_is_lost_on_the_way_out_and_back(tmp_path: Path, name: str, odd: str) -> None:
    there = evidence()
    items = [
        Item(MCQ, f"Which {odd}?", odd, there, options=("one", f"{odd}{odd}", "three", odd)),
        Item(FLASHCARD, f"What is {odd}?", odd, there, explanation=odd),
        Item(SHORT, f"Say {odd}?", odd, there),
    ]
    (tmp_path / name).write_text(deck.to_csv(items) if name == "odd.csv" else deck.to_gift(items), newline="")
    found = deck.read(tmp_path / name)
    assert [" ".join(one.answer.split()) for one in found] == [" ".join(odd.split())] * 3
    assert found[0].answer in found[0].options
    assert len(found[0].options) == 4


def test_what_an_xml_file_may_not_hold_is_left_out_of_qti(tmp_path: Path) -> None:
    deck.write_qti([Item(SHORT, "What\x00 is\x0c it?", "a\ufffe", evidence())], tmp_path / "odd.zip")
    with zipfile.ZipFile(tmp_path / "odd.zip") as package:
        [item] = [ElementTree.fromstring(package.read(name)) for name in package.namelist() if "items/" in name]
    assert "What is it?" in "".join(item.itertext())


@pytest.mark.parametrize(
    ("answers", "kind", "answer"),
    [
        ("#1..5", "range of numbers", "#1..5"),
        ("#3.14:0.01", SHORT, "3.14"),
        ("~%50%a ~%50%b ~%-100%c", "several right answers", "~%50%a ~%50%b ~%-100%c"),
        ("=%50%Grant =Ulysses Grant", SHORT, "Ulysses Grant"),
        ("~%100%a ~b ~c ~d", MCQ, "a"),
        ("=%.%a ~%1.2.3%b ~%99.99999%c", MCQ, "%.%a"),
    ],
)
def test_a_gift_answer_in_part_or_in_a_range_is_not_taken_for_a_right_one(
    tmp_path: Path, answers: str, kind: str, answer: str
) -> None:
    (tmp_path / "of.gift").write_text(f"Which? {{{answers}}}\n")
    [found] = deck.read(tmp_path / "of.gift")
    assert (found.kind, found.answer) == (kind, answer)


def test_gift_of_others_is_read(tmp_path: Path) -> None:
    path = tmp_path / "moodle.gift"
    path.write_text(
        "$CATEGORY: tom/dick\n\n// a comment\n::Q1:: Who's buried in Grant's tomb? {=Grant ~nobody ~Churchill#no!}\n\n"
        "The sun rises in the east.{TRUE}\n\nWhen was Ulysses S. Grant born? {#1822}\n\n"
        "Match. {=a -> 1 =b -> 2}\n\n[html]Two plus {=two =2} equals four.\n"
    )
    assert [(one.kind, one.question, one.answer) for one in deck.read(path)] == [
        ("mcq", "Who's buried in Grant's tomb?", "Grant"),
        ("true_false", "The sun rises in the east.", "true"),
        ("short", "When was Ulysses S. Grant born?", "1822"),
        ("matching", "Match.", "=a -> 1 =b -> 2"),
        ("cloze", "Two plus ____ equals four.", "two"),
    ]


def test_the_qti_package_is_well_formed_and_names_every_file(tmp_path: Path) -> None:
    deck.write_qti(EVERY_KIND, tmp_path / "items.zip")
    with zipfile.ZipFile(tmp_path / "items.zip") as package:
        manifest = ElementTree.fromstring(package.read("imsmanifest.xml"))
        named = {one.attrib["href"] for one in manifest.iter("{http://www.imsglobal.org/xsd/imscp_v1p1}file")}
        assert named == set(package.namelist()) - {"imsmanifest.xml"}
        assert len(named) == len(EVERY_KIND)
        space = "{http://www.imsglobal.org/xsd/imsqti_v2p1}"
        found = ElementTree.fromstring(package.read(f"items/{choice().id}.xml"))
        choices = {one.attrib["identifier"]: one.text for one in found.iter(f"{space}simpleChoice")}
        [right] = found.iter(f"{space}value")
        assert choices[str(right.text)] == "Warp"
        for name in named:
            ElementTree.fromstring(package.read(name))


def test_ankis_text_export_is_read_without_its_marks(tmp_path: Path) -> None:
    path = tmp_path / "anki.txt"
    path.write_text(
        "#separator:tab\n#html:true\n#tags column:3\n"
        "What is a <b>warp</b>?\t32 threads<br>that run&nbsp;together\tgpu hard\n"
        '"A {{c1::warp::name}} has {{c2::32}} threads"\t\tgpu\n'
    )
    assert [(one.kind, one.question, one.answer) for one in deck.read(path)] == [
        ("flashcard", "What is a warp?", "32 threads that run together"),
        ("cloze", "A ____ has 32 threads", "warp"),
    ]


def test_ankis_text_keeps_lines_that_look_like_its_head_and_words_that_look_like_html(tmp_path: Path) -> None:
    path = tmp_path / "cards.txt"
    path.write_text("#separator:tab\n#html:false\nmap<int>\ta map\n#include <x>: what?\ta header\n")
    assert [(one.question, one.answer) for one in deck.read(path)] == [
        ("map<int>", "a map"),
        ("#include <x>: what?", "a header"),
    ]


def test_text_with_tabs_and_no_head_is_read_as_ankis(tmp_path: Path) -> None:
    path = tmp_path / "old.txt"
    path.write_text(
        "What is a <b>warp</b>?\t32 threads, together\n"
        'Who said "grid", first?\tNobody\tgpu\n'
        "A {{c1::block}} has warps\t\n"
    )
    assert [(one.kind, one.question, one.answer) for one in deck.read(path)] == [
        ("flashcard", "What is a warp?", "32 threads, together"),
        ("flashcard", 'Who said "grid", first?', "Nobody"),
        ("cloze", "A ____ has warps", "block"),
    ]


def test_a_table_of_another_separator_is_read(tmp_path: Path) -> None:
    for n, text in enumerate(
        ("Front;Back\nWhat is a warp?;32 threads, together\n", "question\tanswer\nWhat is a warp?\tx, y\n")
    ):
        path = tmp_path / f"{n}.csv"
        path.write_text(text)
        [item] = deck.read(path)
        assert (item.kind, item.question) == ("flashcard", "What is a warp?")
        assert "," in item.answer


def test_a_persons_scoring_is_left_to_a_person_in_qti(tmp_path: Path) -> None:
    deck.write_qti(EVERY_KIND, tmp_path / "items.zip")
    with zipfile.ZipFile(tmp_path / "items.zip") as package:
        for item in EVERY_KIND:
            text = package.read(f"items/{item.id}.xml").decode()
            by_person = item.kind in (EXPLAIN, FLASHCARD)
            assert ("<responseProcessing" in text) is not by_person, item.kind
            assert ("<correctResponse>" in text) is not by_person
            assert ('<rubricBlock view="scorer">' in text) is by_person
            assert (deck._MAPPED in text) is (item.kind in (SHORT, CLOZE))


def test_what_is_left_out_of_an_import_is_told_with_its_reason(settings: AssistantSettings, embedder: Embedder) -> None:
    (settings.notes / "gpu.md").write_text("# GPUs\n\nA **warp** is a group of 32 threads that run together.\n")
    shelf = Shelf(settings, embedder=embedder)
    sync(shelf)
    three = replace(choice(), options=("Block", "Grid", "Warp"))
    twins = replace(choice("Which group has 32 threads in it?"), options=("Block", "block", "Grid", "Warp"))
    long = replace(choice("What is it that holds 32 threads?"), options=("Block " * 12, "Grid " * 12, "Kernel", "Warp"))
    statement = Item(TRUE_FALSE, "A warp has 32 threads.", "true", evidence())
    found = list(
        admit(
            [three, twins, choice(), choice(), long, statement, Item("matching", "Match.", "=a", evidence())], shelf, []
        )
    )
    assert [one.reason if isinstance(one, Rejected) else one.kind for one in found] == [
        "a multiple choice has 4 options here, not 3",
        "two options say the same",
        "mcq",
        "there already",
        "mcq",
        "true_false",
        "there is no form here for “matching”",
    ]
    kept = [one for one in found if isinstance(one, Item)]
    assert kept[0].evidence.path == "gpu.md"
    assert all(kept[0].checks.values())
    assert "quote_exact" not in kept[0].checks
    assert not kept[1].checks["options_same_length"]  # noted, not left out
    assert not kept[2].checks["reason_given"]


def test_what_holds_no_question_is_refused_in_one_line(tmp_path: Path) -> None:
    for name, data in (("a.csv", b"one column\n"), ("b.gift", b"no braces"), ("c.txt", b"\xff\xfe\x00")):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DeckUnreadable, match="can't be imported"):
            deck.read(tmp_path / name)


def test_an_imported_question_is_bound_to_the_words_that_bear_it_out(
    settings: AssistantSettings, embedder: Embedder
) -> None:
    (settings.notes / "gpu.md").write_text("# GPUs\n\nA **warp** is a group of 32 threads that run together.\n")
    shelf = Shelf(settings, embedder=embedder)
    sync(shelf)
    bound = bind(replace(flashcard(), evidence=evidence(path="")), shelf)
    assert bound.evidence.quote == "A **warp** is a group of 32 threads that run together."
    assert bound.evidence.path == "gpu.md"
    strange = bind(
        replace(flashcard(), question="Who wrote Ulysses?", answer="James Joyce", evidence=evidence(path="")), shelf
    )
    assert not strange.checks["key_supported"]


# ------------------------------------------------------------------------------------------------ the journal


def test_a_whole_journal_goes_out_as_json_and_comes_back(tmp_path: Path) -> None:
    one = Journal(tmp_path / "one")
    mine = Reviews(one, AssistantSettings())
    review = mine.add(choice(), AGAIN, correct=False, given="Grid")
    mine.overrule(review.id, GOOD, correct=True)
    one.start("GPUs")
    dumped = json.loads(json.dumps(one.dump()))
    other = Journal(tmp_path / "other")
    assert other.load(dumped) == 3
    assert Reviews(other, AssistantSettings()).log() == mine.log()
    assert other.conversations() == one.conversations()
    assert json.loads(json.dumps(other.dump())) == dumped


def test_a_journal_with_something_in_it_is_not_written_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    Reviews(journal, AssistantSettings()).add(choice(), GOOD, correct=True)
    with pytest.raises(JournalUnavailable, match="is not empty; import into another learner"):
        journal.load(journal.dump())
    with pytest.raises(JournalUnavailable, match="the file is no export"):
        journal.load({"tables": {"strangers": {}}})


def test_the_commands_write_and_read_files(settings: AssistantSettings, tmp_path: Path) -> None:
    (settings.notes / "gpu.md").write_text("# GPUs\n\nA **warp** is a group of 32 threads that run together.\n")
    environment = {"STUDY_HOME": str(settings.home), "STUDY_NOTES": str(settings.notes)}

    def ask(*words: str) -> str:
        done = CliRunner().invoke(main, list(words), env=environment)
        return done.output

    assert "there is no item to export; make some with: ask quiz" in ask("export", "none.csv")
    shelf = Shelf(settings)
    sync(shelf)
    Items.of(shelf.folder).add(EVERY_KIND)
    for name in ("d.apkg", "d.csv", "d.gift", "d.zip"):
        assert ask("export", name) == f"8 items: {name}\n"
        assert Path(name).stat().st_size > 100
    assert "is there; name another file, or say --force" in ask("export", "d.csv")
    assert "d.odt says no format" in ask("export", "d.odt")
    assert re.match(r"\d+ of \d+ questions read; the notes bear out \d+ of them\n", ask("import", "d.gift"))
    assert " left out: there already (“" in ask("import", "d.gift")
    assert ask("export", "journal.json").startswith("0 rows")
    assert Path("journal.json").stat().st_mode & 0o777 == 0o600
    assert CLOZE in {item.kind for item in Items.of(shelf.folder).active()}
