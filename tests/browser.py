"""The app as a process of its own, and a browser that looks at it: for the tests of the pages."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@dataclass
class App:
    """A running app."""

    url: str
    notes: Path
    home: Path


@contextmanager
def served(notes: Path, home: Path, **settings: str) -> Iterator[App]:
    """Run `ask ui` on a free port until the end of the block."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("STUDY_")}
    environ |= {"STUDY_NOTES": str(notes), "STUDY_HOME": str(home), "PYTHONPATH": str(ROOT), **settings}
    command = [sys.executable, "-c", "from ui.cli import run; run()", "ui", "--port", "0"]
    log = home / "app.log"
    with log.open("w") as stderr:
        process = subprocess.Popen(command, cwd=home, env=environ, stdin=subprocess.DEVNULL, stderr=stderr)
    try:
        yield App(_address(process, log), notes, home)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: "subprocess.Popen[bytes]", log: Path) -> str:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"the app is at (http://\S+?);", log.read_text()):
            return found[1]
        time.sleep(0.05)
    raise AssertionError(f"the app did not start: {log.read_text()}")


def find_chromium() -> str:
    """Return the browser's program, or skip the test."""
    found = os.environ.get("STUDY_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), "")
    if not found:
        pytest.skip("no Chromium on this machine: the tests of the pages need one (apt-get install chromium)")
    return found


@contextmanager
def opened(browser: Any, app: App, *, width: int = 1280, height: int = 800, dark: bool = False) -> Iterator[Any]:
    """Open the app in a window of its own; fail on an error in the console and on a request to another host."""
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))

    def seen(request: Any) -> None:
        if not request.url.startswith((app.url, "data:", "blob:")):
            wrong.append(f"request to {request.url}")

    def left(frame: Any) -> None:
        """What Gradio says of the streams that it cuts when its page is left is no fault of the page."""
        if frame == page.main_frame:
            wrong[:] = [one for one in wrong if "AbortError" not in one and "Connection errored out" not in one]

    page.on("request", seen)
    page.on("framenavigated", left)
    page.set_default_timeout(20_000)
    page.goto(app.url)
    page.wait_for_selector("#question textarea")
    page.wait_for_function("window.gradio_config !== undefined && document.querySelector('#past p, #past ul')")
    try:
        yield page
        assert not wrong, wrong
    finally:
        context.close()


def again(page: Any) -> None:
    """Load the page again, as a person does: a moment after the last thing that happened."""
    page.wait_for_timeout(500)
    page.reload()
    page.wait_for_selector("#question textarea")
    page.wait_for_function("document.querySelector('#past p, #past ul')")


def ask(page: Any, question: str) -> Any:
    """Ask, wait for the answer, and return its turn."""
    before = page.locator("#log .turn").count()
    page.fill("#question textarea", question)
    page.keyboard.press("Enter")
    page.wait_for_function(f"document.querySelectorAll('#log .turn').length === {before + 1}")
    return page.locator("#log .turn").nth(before)


def tab(page: Any, name: str) -> None:
    """Go to a tab; on a narrow screen the last ones are behind a button."""
    named = re.compile(rf"^{name}( \(\d+\))?$")  # the tab of the reviews says how many are due
    found = page.get_by_role("tab", name=named)
    if not found.is_visible():
        page.get_by_label("More tabs").click()
        found = page.locator(".overflow-dropdown button", has_text=named)
    found.click()


def fits(page: Any) -> bool:
    """Return whether nothing that is shown is cut off at the right."""
    within: bool = page.evaluate(
        "[...document.querySelectorAll('.gradio-container, #tabs, #banner p, .turn, #bar, #panel, .hood')]"
        ".concat([...document.querySelectorAll('.question, .plan, #tree')])"
        ".filter(one => one.offsetParent).every(one => one.getBoundingClientRect().right <= innerWidth)"
    )
    return within
