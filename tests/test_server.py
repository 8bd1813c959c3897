"""A Qdrant server that refuses, stalls, fails or is of another version gives one clear line."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version

import pytest

from ingest.errors import IndexUnavailable
from ingest.server import ServerStore, _ServerDraft, _ServerView
from tests.listening import listening
from tests.stores import notes

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant"),
    pytest.mark.filterwarnings("ignore:Local mode is not recommended"),
]


@contextmanager
def http_server(answer: Callable[[str], tuple[int, str]], delay: float = 0.0) -> Iterator[str]:
    """Serve what `answer` gives for a path; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(delay)
            length = int(self.headers.get("content-length", 0))
            self.rfile.read(length)
            status, body = answer(self.path)
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            with suppress(BrokenPipeError):
                self.wfile.write(body.encode())

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - names that http.server looks up

        def log_message(self, *args: object) -> None:
            pass

    with listening(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


def welcome(release: str) -> str:
    return f'{{"title": "qdrant - vector search engine", "version": "{release}"}}'


OURS = version("qdrant-client")
MAJOR, MINOR = map(int, OURS.split(".")[:2])


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (500, "{}", "answered 500"),
        (503, "upstream is down", "answered 503"),
        (404, "<html>nginx</html>", "answered 404"),
        (401, '{"status": "Must provide an API key"}', "refused the key; set STUDY_QDRANT_API_KEY"),
        (403, '{"status": "Forbidden"}', "refused the key; set STUDY_QDRANT_API_KEY"),
        (200, "junk", "does not answer as it should"),
        (200, "{}", "does not answer as it should"),
        (200, '{"title": 1, "version": null}', "does not answer as it should"),
        (200, welcome("newest"), "does not answer as it should"),
        (200, welcome(f"{MAJOR}.{MINOR + 2}.0"), f"use a server of version {MAJOR}.{MINOR}$"),
        (200, welcome(f"{MAJOR}.{MINOR - 2}.9"), f"use a server of version {MAJOR}.{MINOR}$"),
        (200, welcome(f"{MAJOR + 1}.{MINOR}.0"), f"use a server of version {MAJOR}.{MINOR}$"),
    ],
)
def test_a_server_that_can_not_be_used_gives_one_clear_line(status: int, body: str, message: str) -> None:
    with http_server(lambda path: (status, body)) as url, pytest.raises(IndexUnavailable, match=message) as caught:
        ServerStore.connect(url, "a key", "study-test")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("release", [OURS, f"{MAJOR}.{MINOR + 1}.0-dev", f"{MAJOR}.{MINOR - 1}.3"])
def test_a_server_of_about_our_version_will_do(release: str) -> None:
    with http_server(lambda path: (200, welcome(release))) as url:
        ServerStore.connect(url, "", "study-test")


def test_a_refused_connection_says_how_to_do_without() -> None:
    with pytest.raises(IndexUnavailable, match="unset STUDY_QDRANT_URL to use the embedded one"):
        ServerStore.connect("http://127.0.0.1:9", "", "study-test")


@pytest.mark.parametrize("url", ["not a url", "http://", "ftp://x", "http://[::1"])
def test_an_address_that_is_none_is_told(url: str) -> None:
    with pytest.raises(IndexUnavailable):
        ServerStore.connect(url, "", "study-test")


def test_a_server_that_stalls_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.server.SERVER_SECONDS", 1)
    with http_server(lambda path: (200, welcome(OURS)), delay=3) as url, pytest.raises(IndexUnavailable, match="time"):
        ServerStore.connect(url, "", "study-test")


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [(500, "{}", "answered 500"), (403, "no", "refused the key"), (200, "junk", "as it should"), (200, "{}", "as it")],
)
def test_a_server_that_fails_later_gives_one_clear_line_from_every_call(status: int, body: str, message: str) -> None:
    with http_server(lambda path: (200, welcome(OURS)) if path == "/" else (status, body)) as url:
        store = ServerStore.connect(url, "", "study-test")
        # As if the server had failed after they were opened.
        view = _ServerView(store._client, "study-test-1", 1)
        draft = _ServerDraft(store, store._client, "study-test-1", 1)
        calls: list[Callable[[], object]] = [
            lambda: store.view(1),
            lambda: store.draft(1, 0, 16),
            lambda: store.keep_only(1),
            lambda: view.nearest([0.5] * 16, 3),
            lambda: view.matching("words", 3),
            lambda: view.rarity("words"),
            lambda: view.fetch([notes()[0].chunk.id]),
            lambda: list(view.scroll()),
            view.count,
            lambda: draft.add(notes()),
            lambda: draft.remove([notes()[0].chunk.id]),
            lambda: draft.finish(3, []),
            draft.discard,
        ]
        for call in calls:
            with pytest.raises(IndexUnavailable, match=message) as caught:
                call()
            assert "\n" not in str(caught.value)
