"""What the tests share: no test reads the user's settings, touches the user's data or prepares the model twice."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from assistant.settings import AssistantSettings
from eval.rig import is_built
from ingest import embed
from ingest.embed import Embedder
from ingest.shelf import Shelf
from ingest.sync import sync

if TYPE_CHECKING:
    from tests.planned import World

ROOT = Path(__file__).resolve().parent.parent
LEFT_OUT = pytest.StashKey[list[str]]()
NOBODY = "http://127.0.0.1:9/v1"
"""Nothing listens on the discard port."""
_KEPT = ("STUDY_EVALDATA", "STUDY_TEST_QDRANT_URL", "STUDY_NO_SKIP")


@pytest.fixture(autouse=True)
def _own_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the user's STUDY_* settings and `.env`, and keep state under the test's own folder."""
    for name in [name for name in os.environ if name.startswith("STUDY_") and name not in _KEPT]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STUDY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STUDY_LLM_URL", NOBODY)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the default embedding model, prepared once for the whole run."""
    home = tmp_path_factory.mktemp("prepared")
    embed.load(home)
    return home / "models"


@pytest.fixture(scope="session")
def embedder(models: Path) -> Embedder:
    """The real default model."""
    return embed.load(models.parent)


@pytest.fixture
def settings(tmp_path: Path, models: Path) -> AssistantSettings:
    """Settings of an empty installation whose model is prepared and whose model server is absent."""
    home, notes = tmp_path / "home", tmp_path / "notes"
    home.mkdir()
    notes.mkdir()
    (home / "models").symlink_to(models)
    return AssistantSettings(home=home, notes=notes, llm_url=NOBODY)


@pytest.fixture(scope="session")
def corpus_home(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Path:
    """A STUDY_HOME in which the starter course is indexed; not to be written to."""
    home = tmp_path_factory.mktemp("corpus")
    (home / "models").symlink_to(models)
    sync(Shelf(AssistantSettings(home=home, notes=ROOT / "corpus", llm_url=NOBODY)))
    return home


@pytest.fixture
def corpus_settings(corpus_home: Path) -> AssistantSettings:
    """Settings under which the starter course is indexed."""
    return AssistantSettings(home=corpus_home, notes=ROOT / "corpus", llm_url=NOBODY)


@pytest.fixture
def world(tmp_path: Path) -> "World":
    """A small plan and a learner who follows it."""
    from tests.planned import World

    return World(tmp_path)


@pytest.fixture
def zoo(settings: AssistantSettings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with three notes in corpus/ and four questions, and the settings in the environment."""
    from tests.scored import CASES, NOTES

    monkeypatch.setenv("STUDY_HOME", str(settings.home))
    folder = settings.home.parent / "set"
    for name, text in NOTES.items():
        path = folder / "corpus" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "queries.jsonl").write_text("".join(json.dumps(case) + "\n" for case in CASES))
    return folder


@pytest.fixture(scope="session")
def evaldata() -> Path:
    """The folder of question sets."""
    folder = os.environ.get("STUDY_EVALDATA", "")
    if not folder:
        pytest.skip("STUDY_EVALDATA names no folder of question sets")
    return Path(folder)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A Chromium without a window, a module long: while one lives no other test can have an event loop of its own."""
    from tests.browser import find_chromium

    program = find_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


def pytest_configure() -> None:
    """Feel interrupts: a shell that starts the tests in the background has them ignored, by all they start, too."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what needs something that is not there: Qdrant where none is named, vLLM without its rig, git."""
    absent = {} if os.environ.get("STUDY_TEST_QDRANT_URL") else {"qdrant": "STUDY_TEST_QDRANT_URL names no server"}
    if not (ROOT / ".git").exists():
        absent["git"] = "no .git here, so what is tracked can't be told"
    if not is_built() and not os.environ.get("STUDY_NO_SKIP"):
        absent["vllm"] = "no rig; build it with: make vllm-cpu"
    for mark, why in absent.items():
        without = [item for item in items if item.get_closest_marker(mark)]
        if without:
            config.hook.pytest_deselected(items=without)
            config.stash.setdefault(LEFT_OUT, []).append(f"{len(without)} tests marked {mark} left out: {why}")
            items[:] = [item for item in items if item not in without]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say in one line each what was left out."""
    for line in config.stash.get(LEFT_OUT, []):
        terminalreporter.write_line(line)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With STUDY_NO_SKIP=1, a run in which a test was skipped has failed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if reporter and skipped and os.environ.get("STUDY_NO_SKIP"):
        reporter.write_line(f"{len(skipped)} tests were skipped, and STUDY_NO_SKIP allows none", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
