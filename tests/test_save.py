"""A page is kept as a note; what a person wrote is never overwritten."""

import datetime
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from assistant.settings import AssistantSettings
from ingest.errors import PathOutsideNotes
from ingest.fetch import NotFetched, Page
from ingest.read.markdown import read as read_markdown
from ingest.save import NoteEdited, Saved, file_name, save
from ingest.shelf import Shelf
from tests.site import MARKDOWN, PAGE, says, site
from ui.cli import main

DAY = datetime.date(2026, 3, 14)


def page(
    body: str, kind: str = "markdown", address: str = "https://docs.example/fsdp.html", charset: str = "utf-8"
) -> Page:
    return Page(address, address, kind, charset, body.encode())


def kept(found: Page, home: Path, **more: str) -> Saved:
    (home / "notes").mkdir(exist_ok=True)
    return save(found, home / "notes", home / "state" / "added.json", today=DAY, **more)


def test_a_note_says_where_and_when_it_was_fetched(tmp_path: Path) -> None:
    saved = kept(page(PAGE, "html"), tmp_path, course="infrastructure")
    assert saved == Saved(
        "infrastructure/fully-sharded-data-parallel.md",
        "added",
        "Fully Sharded Data Parallel",
        "https://docs.example/fsdp.html",
    )
    text = (tmp_path / "notes" / saved.path).read_text()
    assert text == (
        '---\ntitle: "Fully Sharded Data Parallel"\nsource: "https://docs.example/fsdp.html"\nfetched: 2026-03-14\n'
        "---\n\n" + MARKDOWN.format(root="https://docs.example")
    )
    document = read_markdown(Path("a.md"), text.encode())
    assert document.title == "Fully Sharded Data Parallel"
    assert [block.kind for block in document.blocks] == ["meta", "text", "table", "code"]


def test_the_same_address_updates_the_note_that_it_made(tmp_path: Path) -> None:
    first = kept(page("One thing."), tmp_path, title="Things")
    again = kept(page("Another thing."), tmp_path)
    assert (first.path, first.outcome, again.path, again.outcome) == ("things.md", "added", "things.md", "updated")
    assert [file.name for file in (tmp_path / "notes").iterdir()] == ["things.md"]
    assert "Another thing." in (tmp_path / "notes" / "things.md").read_text()


def test_a_page_that_says_what_it_said_leaves_its_note_untouched(tmp_path: Path) -> None:
    kept(page("One thing."), tmp_path)
    before = (tmp_path / "notes" / "fsdp.md").stat()
    (tmp_path / "notes").mkdir(exist_ok=True)
    memory = tmp_path / "state" / "added.json"
    later = save(page("One thing."), tmp_path / "notes", memory, today=DAY + datetime.timedelta(days=9))
    assert later.outcome == "unchanged"
    assert (tmp_path / "notes" / "fsdp.md").stat() == before


def test_a_note_that_was_moved_is_updated_where_it_is_now(tmp_path: Path) -> None:
    kept(page("One thing."), tmp_path)
    (tmp_path / "notes" / "course").mkdir()
    (tmp_path / "notes" / "fsdp.md").rename(tmp_path / "notes" / "course" / "sharding.md")
    assert kept(page("Another."), tmp_path).path == "course/sharding.md"


def test_a_note_that_the_user_edited_is_not_overwritten(tmp_path: Path) -> None:
    kept(page("One thing."), tmp_path)
    note = tmp_path / "notes" / "fsdp.md"
    note.write_text(note.read_text() + "My own remark.\n")
    with pytest.raises(NoteEdited, match=r"fsdp\.md was edited since it was fetched; rename it"):
        kept(page("Another."), tmp_path)
    assert "My own remark." in note.read_text()


def test_no_other_note_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "fsdp.md").write_text("mine")
    assert kept(page("One thing."), tmp_path).path == "fsdp-2.md"
    assert kept(page("Two.", address="https://other.example/fsdp.html"), tmp_path).path == "fsdp-3.md"
    assert (tmp_path / "notes" / "fsdp.md").read_text() == "mine"


def test_a_deleted_note_comes_back_when_its_address_is_added_again(tmp_path: Path) -> None:
    kept(page("One thing."), tmp_path)
    (tmp_path / "notes" / "fsdp.md").unlink()
    assert kept(page("One thing."), tmp_path).outcome == "added"


def test_a_damaged_memory_only_makes_a_second_file(tmp_path: Path) -> None:
    kept(page("One thing."), tmp_path)
    (tmp_path / "state" / "added.json").write_text('{"https://docs.example/fsdp.html": 3}')
    assert kept(page("One thing."), tmp_path).path == "fsdp-2.md"


def test_a_pdf_is_kept_as_it_came(tmp_path: Path) -> None:
    data = "%PDF-1.7 not really"
    first = kept(page(data, "pdf", "https://arxiv.example/pdf/1706.03762"), tmp_path, title="Attention is all you need")
    assert first.path == "attention-is-all-you-need.pdf"
    assert (tmp_path / "notes" / first.path).read_bytes() == data.encode()
    assert kept(page(data, "pdf", "https://arxiv.example/pdf/1706.03762"), tmp_path).outcome == "unchanged"
    assert kept(page(data + "2", "pdf", "https://arxiv.example/pdf/1706.03762v2"), tmp_path).path == "1706.pdf"


def test_markdown_keeps_its_own_front_matter(tmp_path: Path) -> None:
    saved = kept(page("---\ntitle: Own\ntags: [a]\n---\n# Other\n", "markdown", "https://e.example/r.md"), tmp_path)
    assert (tmp_path / "notes" / saved.path).read_text() == (
        '---\nsource: "https://e.example/r.md"\nfetched: 2026-03-14\ntitle: Own\ntags: [a]\n---\n\n# Other\n'
    )
    assert saved.title == "Own"


def test_plain_text_keeps_every_character(tmp_path: Path) -> None:
    saved = kept(page("# not a heading\r\n*not* emphasis", "text", "https://e.example/a%20b.txt"), tmp_path)
    assert saved.path == "a-b.txt"
    assert (tmp_path / "notes" / saved.path).read_text().endswith("---\n\n# not a heading\n*not* emphasis\n")


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("What is FSDP?", "what-is-fsdp"),
        ("../../etc/passwd", "etc-passwd"),
        (".hidden", "hidden"),
        ("Größe & Maß: 分散学習", "größe-maß-分散学習"),
        ("a\0b\n\u202ec", "a-b-c"),
        ("CON", "con-page"),
        ("🙂", "page-1"),
        ("", "page-1"),
        ("x" * 500, "x" * 120),
    ],
)
def test_a_title_becomes_a_file_name(title: str, name: str) -> None:
    assert file_name(title, "https://docs.example/a/page_1.html") == name


@pytest.mark.parametrize("course", ["..", "/etc", "a/../..", ".git", "a/.hidden"])
def test_a_course_is_a_folder_in_the_notes(course: str, tmp_path: Path) -> None:
    with pytest.raises(PathOutsideNotes):
        kept(page(PAGE), tmp_path, course=course)
    assert not list((tmp_path / "notes").rglob("*"))


@pytest.mark.parametrize("body", ["", "<html><body><div id=app></div><script>x()</script></body></html>"])
def test_a_page_without_text_is_no_note(body: str, tmp_path: Path) -> None:
    with pytest.raises(NotFetched, match=r"docs\.example/fsdp\.html"):
        kept(page(body, "html"), tmp_path)
    assert not list((tmp_path / "notes").iterdir())


# -------------------------------------------------------------------------------------------------- the command


def test_ask_add_saves_a_page_and_indexes_it(settings: AssistantSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    (settings.notes / "other.md").write_text("# Another note\n\nIt is indexed too, since nothing was yet.\n")
    monkeypatch.setenv("STUDY_HOME", str(settings.home))
    monkeypatch.setenv("STUDY_NOTES", str(settings.notes))

    def add(*words: str) -> Result:
        return CliRunner().invoke(main, ["add", *words])

    with site({"/fsdp.html": says(PAGE.encode()), "/gone": says(b"", status=410)}) as (root, _):
        refused = add(f"{root}/fsdp.html")
        monkeypatch.setenv("STUDY_ADD_PRIVATE", "1")
        added = add(f"{root}/fsdp.html", "--course", "infrastructure", "--json")
        again = add(f"{root}/fsdp.html")
        gone = add(f"{root}/gone")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == (
        "Error: 127.0.0.1 is not on the public internet; to add pages from your own network, set STUDY_ADD_PRIVATE=1\n"
    )
    found = json.loads(added.stdout)
    assert (found["path"], found["outcome"]) == ("infrastructure/fully-sharded-data-parallel.md", "added")
    assert (found["state"], found["source"]) == ("indexed", f"{root}/fsdp.html")
    assert found["chunks"] == 1
    assert again.stdout.endswith("unchanged, 1 chunk\n")
    assert gone.stderr == f"Error: {root}/gone: the server answered 410; look at it in a browser\n"
    notes = Shelf(settings).ledger.notes()
    assert sorted(notes) == ["infrastructure/fully-sharded-data-parallel.md", "other.md"]
