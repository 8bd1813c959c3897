import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.served import Served, api_alone, served, settings_in
from ui.web.guard import POLICY, hosts_of, is_loopback, with_nonce


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """An app without pages, which takes at most 1 MiB."""
    settings = settings_in(tmp_path_factory.mktemp("guard"), ui_hosts="notes.example.org", ui_upload_mb=1)
    with served(settings, load=page_alone) as running:
        yield running


def page_alone(desk: object, uploads: Path) -> object:
    """The API, and a page with a script."""
    from fastapi.responses import HTMLResponse

    made = api_alone(desk, uploads)  # type: ignore[arg-type]

    @made.get("/")
    def page() -> HTMLResponse:
        return HTMLResponse("<head><script>let a = 1</script><script type='module' src='x.js'></script></head>")

    @made.post("/echo")
    def echo(body: dict[str, str]) -> dict[str, str]:
        return body

    return made


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:7860", "127.0.0.1.evil.example", "0.0.0.0", ""),
        *("localhost.", "localhost.:80", "127.1", "2130706433", "0x7f.1", "::1", "[::ffff:127.0.0.1]", "[::1%25lo]"),
        *(
            "localhost:80:80",
            "localhost:x",
            "evil.example@localhost",
            "localhost@evil.example",
            "localhost evil.example",
        ),
        *("localhost/evil", "localhost#", "127.0.0.1,evil.example", "\u017flocalhost".encode().decode("latin-1")),
    ],
)
def test_a_name_that_is_not_ours_is_refused_since_it_may_have_been_rebound(app: Served, host: str) -> None:
    refused = app.api("GET", "/api/v1/status", host=host)
    assert refused.status == 421
    assert "STUDY_UI_HOSTS" in refused.text


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST:1234", "LocalHost", "127.0.0.1:80", "127.0.0.1:", "[::1]:7860", "[::1]"),
        *("notes.example.org", "NOTES.example.ORG:443"),
    ],
)
def test_our_own_names_are_answered(app: Served, host: str) -> None:
    assert app.api("GET", "/api/v1/here", host=host).status == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://localhost", "file://"]
)
def test_a_page_of_another_origin_is_refused_even_with_the_token(app: Served, origin: str) -> None:
    assert app.api("POST", "/api/v1/sync", {}, origin=origin).status == 403


def test_of_two_hosts_none_is_chosen(app: Served) -> None:
    import socket

    for first, second in (("localhost", "evil.example"), ("evil.example", "localhost")):
        with socket.create_connection(("127.0.0.1", app.port), timeout=10) as connection:
            connection.sendall(f"GET /ready HTTP/1.1\r\nHost: {first}\r\nHost: {second}\r\n\r\n".encode())
            assert connection.recv(64).split()[1] in (b"400", b"421"), (first, second)


def test_our_own_page_may_send_requests(app: Served) -> None:
    host = f"127.0.0.1:{app.port}"
    sent = app.request("POST", "/echo", {"a": "b"}, host=host, origin=f"http://{host}", sec_fetch_site="same-origin")
    assert (sent.status, sent.json) == (200, {"a": "b"})


def test_what_another_site_embeds_is_refused_while_a_link_may_be_followed(app: Served) -> None:
    image = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors", "sec_fetch_dest": "image"}
    frame = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "iframe"}
    link = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "navigate", "sec_fetch_dest": "document"}
    assert [app.request("GET", "/", **how).status for how in (image, frame, link)] == [403, 403, 200]
    assert app.request("POST", "/echo", {}, **link).status == 403


def test_a_page_may_load_and_send_nothing_but_from_and_to_here(app: Served) -> None:
    policy = app.request("GET", "/", accept="text/html").headers["content-security-policy"]
    told = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert told["default-src"] == "'self'"
    assert told["connect-src"] == told["form-action"] == told["base-uri"] == "'self'"
    assert told["img-src"] == told["media-src"] == "'self' data: blob:"
    assert told["object-src"] == told["frame-ancestors"] == told["frame-src"] == "'none'"
    assert "http" not in policy
    assert "'unsafe-inline'" not in told["script-src"]


def test_the_scripts_of_a_page_get_a_nonce_that_no_other_page_has(app: Served) -> None:
    first, second = (app.request("GET", "/", accept="text/html", accept_encoding="br, gzip") for _ in range(2))
    nonces = [set(re.findall(r'<script nonce="([^"]+)"', page.text)) for page in (first, second)]
    assert [len(found) for found in nonces] == [1, 1]
    assert nonces[0] != nonces[1]
    assert f"'nonce-{nonces[0].pop()}'" in first.headers["content-security-policy"]
    assert int(first.headers["content-length"]) == len(first.body)


def test_only_opening_tags_of_scripts_get_the_nonce() -> None:
    page = b"<script>a</script><scripted><p title='<script'>x</p>"
    assert with_nonce(page, "N") == b"<script nonce=\"N\">a</script><scripted><p title='<script'>x</p>"


def test_our_script_runs_before_those_of_gradio() -> None:
    page = b'<head><base href="./"><script type="module" src="gradio.js"></script></head>'
    assert with_nonce(page, "N") == (
        b'<head><script nonce="N" src="app.js"></script>\n<base href="./">'
        b'<script nonce="N" type="module" src="gradio.js"></script></head>'
    )


def test_every_answer_is_closed_and_kept_nowhere(app: Served) -> None:
    for found in (app.request("GET", "/"), app.request("GET", "/nothing"), app.request("GET", "/", host="evil")):
        assert found.headers["cache-control"] == "no-store"
        assert found.headers["x-content-type-options"] == "nosniff"
        assert found.headers["referrer-policy"] == "same-origin"
        assert found.headers["x-frame-options"] == "DENY"
        assert found.headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in found.headers
        assert not any(name.startswith("access-control") for name in found.headers)


def test_a_request_that_is_too_long_is_refused_before_it_is_read(app: Served) -> None:
    refused = app.request("POST", "/echo", content_length=str(2 << 20))
    assert refused.status == 413
    assert "at most 1 MiB" in refused.text


def test_a_request_that_hides_its_length_is_cut_off(app: Served) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 65536

    assert app.request("POST", "/echo", chunks(), content_type="application/json").status == 413


@pytest.mark.parametrize("length", ["-1", "1e3"])
def test_a_length_that_is_none_is_refused(app: Served, length: str) -> None:
    assert app.request("POST", "/echo", content_length=length).status in (400, 413)


@pytest.mark.parametrize(
    ("host", "alone"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("[::1]", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("example.org", False),
    ],
)
def test_only_this_machine_reaches_a_loopback_address(host: str, alone: bool) -> None:
    assert is_loopback(host) is alone


def test_the_names_of_an_address_are_its_own_and_those_allowed_but_never_a_wildcard() -> None:
    loopback = {"localhost", "127.0.0.1", "[::1]"}
    assert hosts_of("0.0.0.0", "") == loopback
    assert hosts_of("192.168.1.5", " Notes.example.org ,") == loopback | {"192.168.1.5", "notes.example.org"}
    assert hosts_of("fe80::1", "") == loopback | {"[fe80::1]"}


def test_the_policy_names_every_kind_of_source_that_could_tell_another_host() -> None:
    for kind in ("img-src", "media-src", "connect-src", "form-action", "font-src", "frame-src", "worker-src"):
        assert f"{kind} " in POLICY
