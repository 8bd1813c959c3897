"""Take the screenshots of docs/: `python -m tests.screens`. The app runs on corpus/, without a model server, for a
learner who has studied for three weeks (tests/lived.py) and measured a few nights."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ingest.shelf import Shelf
from ingest.sync import sync
from tests.browser import App, ask, find_chromium, opened, served, tab
from tests.lived import Learner
from ui.settings import UiSettings

ROOT = Path(__file__).resolve().parent.parent
NOBODY = "http://127.0.0.1:9/v1"
SIZES = {"wide": (1280, 860), "phone": (380, 760)}
QUESTION = "What limits how fast a GPU produces tokens for one user?"
NIGHTS = (("--limit", "60"), ("--limit", "100"), ("--limit", "140"))
"""What `ask eval` is told, one run after the other."""
GOLD = ROOT / "eval" / "gold" / "queries.jsonl"


def main(target: Path) -> None:
    """Take them all."""
    from playwright.sync_api import sync_playwright

    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        settings = UiSettings(home=Path(home), notes=ROOT / "corpus", llm_url=NOBODY)
        sync(Shelf(settings))
        Learner(settings).study()
        for options in NIGHTS:
            _run("eval", "--suite", "retrieval", "--no-llm", *options, home=home)
        with served(ROOT / "corpus", Path(home), STUDY_LLM_URL=NOBODY) as app:
            for line in GOLD.read_text().splitlines()[::12]:
                _run("answer", "--", json.loads(line)["question"], home=home)
            for name, (width, height) in SIZES.items():
                with opened(browser, app, width=width, height=height, dark=name == "phone") as page:
                    _shots(page, app, lambda part, name=name, page=page: _save(page, target / f"{part}-{name}.png"))
        browser.close()


def _shots(page: Any, app: App, save: Any) -> None:
    turn = ask(page, QUESTION)
    turn.locator(".chip").first.click()
    page.wait_for_selector("#panel mark, #panel img.page")
    save("ask")
    turn.get_by_role("button", name="Under the hood").click()
    page.wait_for_selector("#panel .hood")
    save("hood")
    for name in ("quiz", "review"):
        tab(page, name.capitalize())
        page.click(f"#{name}-start")
        page.wait_for_selector(f"#{name}-card h2 small")
        page.wait_for_timeout(500)
        if page.locator(f"#{name}-answer textarea").is_visible():
            page.keyboard.type("a cache")
            page.keyboard.press("Enter")
        elif page.locator(f"#{name}-card .option").count():
            page.keyboard.press("1")
        else:
            page.keyboard.press("Space")
        page.wait_for_selector(f"#{name}-card .verdict")
        save(name)
    tab(page, "Exam")
    page.get_by_role("button", name="Exams that you took").click()
    page.locator("#exams button").first.click()
    page.wait_for_selector("#exam-card table")
    save("exam")
    for name in ("Plan", "Notes", "Quality"):
        tab(page, name)
        page.wait_for_timeout(1500)
        save(name.lower())


def _run(*words: str, home: str) -> None:
    environment = os.environ | {"STUDY_HOME": home, "STUDY_NOTES": str(ROOT / "corpus"), "STUDY_LLM_URL": NOBODY}
    command = [sys.executable, "-c", "from ui.cli import run; run()", *words]
    subprocess.run(command, env=environment, cwd=ROOT, check=True, stdout=subprocess.DEVNULL, timeout=300)


def _save(page: Any, path: Path) -> None:
    page.wait_for_timeout(300)
    page.screenshot(path=path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "screens")
