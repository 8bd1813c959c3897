from pydantic import SecretStr

from assistant.settings import AssistantSettings
from ingest import trace
from ingest.shelf import Shelf
from ingest.sync import sync
from tests.conftest import NOBODY
from tests.fake_openai import FakeServer
from tests.fakes import HashedEmbedder
from ui.show import counted, remarks_text
from ui.status import gather


def test_before_the_first_sync_there_is_nothing_and_it_is_said_so(settings: AssistantSettings) -> None:
    found = gather(Shelf(settings), settings)
    assert (found["generation"], found["chunks"], found["by_state"], found["runs"]) == (0, 0, {}, [])
    assert found["model_server"].startswith(f"no model server at {NOBODY}: nothing listens there")
    assert "answerable refused" in found["calibration"]


def test_nothing_is_prepared_or_loaded_to_tell_how_things_stand(settings: AssistantSettings) -> None:
    fresh = settings.model_copy(update={"home": settings.home / "fresh"})
    shelf = Shelf(fresh)
    assert "answerable refused" in gather(shelf, fresh)["calibration"]  # the default model's weights are known
    other = fresh.model_copy(update={"embed_model": "intfloat/e5-small"})
    assert gather(Shelf(other), other)["calibration"] == ""
    assert "embedder" not in vars(shelf)
    assert not (fresh.home / "models").exists()


def test_what_is_indexed_what_is_not_and_why(settings: AssistantSettings) -> None:
    (settings.notes / "animals").mkdir()
    (settings.notes / "animals" / "zebra.md").write_text("# Zebras\n\nZebras have stripes.\n")
    (settings.notes / "empty.md").touch()
    (settings.notes / "photo.jpg").write_bytes(b"\xff\xd8")
    shelf = Shelf(settings, embedder=HashedEmbedder())
    sync(shelf)
    found = gather(shelf, settings)
    assert found["by_state"] == {"empty": 1, "indexed": 1, "skipped": 1}
    assert (found["courses"], found["chunks"], found["generation"]) == (["animals"], 1, 1)
    assert [(note["path"], note["state"], note["reason"]) for note in found["problems"]] == [
        ("empty.md", "empty", "the file has no bytes"),
        ("photo.jpg", "skipped", "no reader for .jpg"),
    ]
    assert found["calibration"] == ""  # the stand-in's vectors were never measured
    assert [(run["generation"], run["error"], run["report"]["files"]) for run in found["runs"]] == [(1, "", 3)]


def test_the_model_server_is_named_where_there_is_one(settings: AssistantSettings) -> None:
    with FakeServer() as server:
        served = settings.model_copy(update={"llm_url": server.url, "llm_connect_ms": 5000})
        assert gather(Shelf(served), served)["model_server"] == f"fake-model at {server.url}"


def test_many_files_skipped_alike_are_one_line_and_failed_ones_are_named() -> None:
    hidden = [("skipped", f".git/{number}", "hidden") for number in range(11)]
    odd = [("skipped", "a.doc", "no reader for .doc"), *(("failed", f"{n}.pdf", "damaged") for n in range(12))]
    lines = remarks_text([*hidden, *odd])
    assert lines[:3] == [
        "  skipped: 11 files: hidden",
        "  skipped: a.doc: no reader for .doc",
        "  failed: 0.pdf: damaged",
    ]
    assert len(lines) == 14
    assert remarks_text(hidden[:10])[9] == "  skipped: .git/9: hidden"


def test_traces_that_do_not_arrive_are_told_of(settings: AssistantSettings) -> None:
    assert gather(Shelf(settings), settings)["traces"] == ""
    keys = {
        "langfuse_public_key": "pk",
        "langfuse_secret_key": SecretStr("sk-1"),
        "langfuse_host": "http://127.0.0.1:9",
    }
    traced = settings.model_copy(update=keys)
    assert gather(Shelf(traced), traced)["traces"] == "sent to http://127.0.0.1:9"
    (settings.home / "traces").mkdir(parents=True)
    (settings.home / "traces" / "failed").touch()
    trace.score(traced, "a" * 32, "thumb", 1.0)
    assert gather(Shelf(traced), traced)["traces"] == (
        "sent to http://127.0.0.1:9; 1 wait to be sent, the last ones were not taken: check STUDY_LANGFUSE_*"
    )


def test_one_is_no_plural() -> None:
    assert (counted(1, "notes"), counted(0, "notes"), counted(1200, "notes")) == ("1 note", "0 notes", "1,200 notes")
    assert (counted(1, "embedded"), counted(2, "embedded")) == ("1 embedded", "2 embedded")
