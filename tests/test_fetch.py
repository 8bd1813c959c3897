"""Pages come from small real servers on loopback; what must be refused, from a resolver that says where names lead."""

import datetime
import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from assistant.settings import AssistantSettings
from ingest.errors import PathOutsideNotes
from ingest.extract import tidy, to_markdown
from ingest.fetch import NotFetched, Page, fetch, is_public
from ingest.read.markdown import read as read_markdown
from ingest.save import NoteEdited, Saved, file_name, save
from ingest.shelf import Shelf
from ui.cli import main

PAGE = """<!doctype html><html><head><meta charset="utf-8"><title>Fully Sharded Data Parallel</title></head><body>
<nav><a href="/">Home</a> <a href="/b">Tutorials</a></nav><div class="cookie-banner">We use cookies.</div>
<main><h1>Fully Sharded Data Parallel<a class="headerlink" href="#x">¶</a></h1>
<p>FSDP shards <em>parameters</em>, gradients and optimizer states across all ranks. The
      <a href="/docs/ddp.html">DDP notes</a> tell the difference; 10<sup>9</sup> parameters need 16 GB.</p>
<h2>Strategies</h2>
<table><tr><th>Strategy</th><th>Bytes</th></tr><tr><td>DDP</td><td>16</td></tr>
<tr><td>FULL_SHARD</td><td>16/N</td></tr></table>
<pre>model = FSDP(model)
loss = model(batch).sum()
</pre></main><footer>© The Foundation. All rights reserved.</footer></body></html>"""

MARKDOWN = """# Fully Sharded Data Parallel

FSDP shards *parameters*, gradients and optimizer states across all ranks. The [DDP notes]({root}/docs/ddp.html) tell \
the difference; 10^9 parameters need 16 GB.

## Strategies

| Strategy | Bytes | 
|---|---|
| DDP | 16 | 
| FULL_SHARD | 16/N | 

```
model = FSDP(model)
loss = model(batch).sum()
```
"""

Answer = Callable[[BaseHTTPRequestHandler], None]


def says(body: bytes, kind: str = "text/html; charset=utf-8", status: int = 200, **headers: str) -> Answer:
    """Answer with this."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Type", kind)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return answer


def leads(to: str, status: int = 302) -> Answer:
    """Redirect."""
    return says(b"", status=status, Location=to)


@contextmanager
def site(pages: dict[str, Answer], context: ssl.SSLContext | None = None) -> Iterator[tuple[str, list[str]]]:
    """Serve pages by path; yield the root and, as they come, the requests with their headers."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(f"{self.path}\n{self.headers}")
            pages[self.path.partition("?")[0]](self)

        def log_message(self, format: str, *args: object) -> None: ...

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that hangs up is what some of these tests are about."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


# ----------------------------------------------------------------------------------------- who may be asked


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254"),
        *("100.64.0.1", "100.127.255.255", "192.0.0.8", "192.0.2.1", "198.18.0.1", "203.0.113.9", "192.88.99.1"),
        *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "ff0e::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "2002:7f00:1::", "2001::1"),
        *("64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "2001:db8::1", "3fff::1", "5f00::1", "100::1"),
        *("localhost", "", "8.8.8.8.8", "0x7f.1"),
    ],
)
def test_these_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "64:ff9b::808:808"]
)
def test_these_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.1/", "http://127.1/", "http://2130706433/", "http://0x7f000001/", "http://localhost:9/"),
        *("http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://169.254.169.254/latest/meta-data/", "http://0/"),
    ],
)
def test_addresses_of_this_machine_are_refused_however_they_are_written(url: str) -> None:
    with pytest.raises(NotFetched, match=r"not on the public internet.*STUDY_ADD_PRIVATE=1"):
        fetch(url)


def test_a_name_with_one_private_address_among_public_ones_is_refused() -> None:
    with pytest.raises(NotFetched, match=r"^notes\.example is not on the public internet"):
        fetch("https://notes.example/", resolve=lambda host, port: ["93.184.216.34", "10.0.0.7"])


def test_the_connection_goes_to_the_address_that_was_checked_and_asks_the_resolver_once() -> None:
    asked: list[tuple[str, int]] = []

    def rebinding(host: str, port: int) -> list[str]:
        """Say what was asked for first, and something else from then on."""
        asked.append((host, port))
        return ["127.0.0.1"] if len(asked) == 1 else ["203.0.113.1"]

    with site({"/a": says(b"<p>Hello</p>")}) as (root, seen):
        port = int(root.rsplit(":", 1)[1])
        page = fetch(f"http://notes.example:{port}/a", allow_private=True, resolve=rebinding)
    assert page.data == b"<p>Hello</p>"
    assert asked == [("notes.example", port)]
    assert f"Host: notes.example:{port}\n" in seen[0]


def test_every_redirect_is_checked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.fetch.is_public", lambda address: address == "127.0.0.1")  # of all we have, loopback

    def resolver(host: str, port: int) -> list[str]:
        return ["127.0.0.1"] if host == "public.example" else ["10.0.0.1"]

    with site({"/a": leads("//metadata.internal/secret")}) as (root, _):
        url = f"http://public.example:{root.rsplit(':', 1)[1]}/a"
        with pytest.raises(NotFetched, match=r"^metadata\.internal is not on the public internet"):
            fetch(url, resolve=resolver)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("file:///etc/passwd", "is no web address"),
        ("ftp://example.org/a", "is no web address"),
        ("gopher://example.org/", "is no web address"),
        ("example.org/page", "is no web address"),
        ("http://", "is no web address"),
        ("https://exa mple.org/", "is no web address"),
        ("http://[::1", "is no web address"),
        ("https://example.org:99999/", "is no web address"),
        ("https://ada:secret@example.org/", "holds a name or password"),
        ("https://ada@example.org/", "holds a name or password"),
    ],
)
def test_what_is_no_plain_web_address_is_refused(url: str, why: str) -> None:
    with pytest.raises(NotFetched, match=why) as error:
        fetch(url, resolve=lambda host, port: pytest.fail("nothing is looked up"))
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("to", ["file:///etc/passwd", "http://ada:pw@127.0.0.1/", "javascript:alert(1)"])
def test_a_redirect_to_no_plain_web_address_is_refused(to: str) -> None:
    with site({"/a": leads(to)}) as (root, _), pytest.raises(NotFetched, match=r"no web address|name or password"):
        fetch(f"{root}/a", allow_private=True)


# ----------------------------------------------------------------------------------------- what is taken


def test_redirects_are_followed_and_the_last_address_is_told() -> None:
    pages = {"/a": leads("/b#part", 301), "/b": leads("c?x=1", 307), "/c": says(b"<p>Hi</p>")}
    with site(pages) as (root, _):
        page = fetch(f"{root}/a#top", allow_private=True)
    assert page == Page(f"{root}/a", f"{root}/c?x=1", "html", "utf-8", b"<p>Hi</p>")


def test_more_than_five_redirects_are_too_many() -> None:
    with site({"/a": leads("/a")}) as (root, seen):
        with pytest.raises(NotFetched, match="redirects more than 5 times"):
            fetch(f"{root}/a", allow_private=True)
        assert len(seen) == 6


def test_no_cookie_and_no_credentials_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    pages = {"/a": says(b"", status=302, Location="/b", Set_Cookie="id=1"), "/b": says(b"<p>Hi</p>")}
    with site(pages) as (root, seen):
        fetch(f"{root}/a", allow_private=True)
    names = {line.split(":")[0] for line in seen[1].splitlines()[1:] if line}
    assert names == {"Host", "User-Agent", "Accept", "Accept-Encoding", "Connection"}


def test_a_compressed_page_is_unpacked() -> None:
    with site({"/a": says(gzip.compress(b"<p>Hi</p>"), Content_Encoding="gzip")}) as (root, _):
        assert fetch(f"{root}/a", allow_private=True).data == b"<p>Hi</p>"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (says(b"x" * 5000), "is larger than"),
        (says(b"x", Content_Length="99999999999"), "is larger than"),
        (says(gzip.compress(b"\0" * 1_000_000), Content_Encoding="gzip"), "is larger than"),
        (says(gzip.compress(b"<p>Hi</p>")[:-9], Content_Encoding="gzip"), "breaks off"),
        (says(b"not gzip", Content_Encoding="gzip"), "damaged"),
        (says(b"x", Content_Encoding="br"), r"was not asked for \(br\)"),
        (says(b"x", Content_Length="99"), "does not answer"),
        (says(b"gone", status=404), "answered 404"),
        (says(b"", status=302), "answered 302"),
        (says(b"...", kind="image/png"), "is image/png; only HTML, PDF"),
        (says(b"...", kind="application/zip"), "is application/zip; only HTML, PDF"),
        (says(b"<p>no</p>", kind="application/pdf"), "says that it is a PDF, and is none"),
        (lambda request: request.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n"), "does not answer"),
        (lambda request: None, "does not answer"),
    ],
)
def test_what_can_not_be_a_note_is_refused_in_one_line(answer: Answer, why: str) -> None:
    with site({"/a": answer}) as (root, _), pytest.raises(NotFetched, match=why) as error:
        fetch(f"{root}/a?token=hush", allow_private=True, most_bytes=4096)
    assert "\n" not in str(error.value)
    assert "hush" not in str(error.value)


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("/a", "text/html", "html"),
        ("/a", "application/xhtml+xml; charset=utf-8", "html"),
        ("/a.md", "text/plain; charset=utf-8", "markdown"),
        ("/a", "text/markdown", "markdown"),
        ("/a", "text/plain", "text"),
        ("/a.pdf", "application/octet-stream", "pdf"),
        ("/a", "Application/PDF", "pdf"),
    ],
)
def test_the_kind_of_a_page_follows_from_its_type_and_name(path: str, kind: str, expected: str) -> None:
    with site({path: says(b"%PDF-1.7 ...", kind)}) as (root, _):
        assert fetch(f"{root}{path}", allow_private=True).kind == expected


def _trickle(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n")
    for _ in range(200):
        request.wfile.write(b"X")
        time.sleep(0.02)


def _trickle_body(request: BaseHTTPRequestHandler) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 200\r\n\r\n")
    for _ in range(200):
        request.wfile.write(b"X")
        time.sleep(0.02)


@pytest.mark.parametrize("answer", [_trickle, _trickle_body, lambda request: time.sleep(1)])
def test_a_page_that_trickles_in_is_given_up_in_time(answer: Answer) -> None:
    with site({"/a": answer}) as (root, _):
        started = time.monotonic()
        with pytest.raises(NotFetched, match=r"did not come within 0\.3 s"):
            fetch(f"{root}/a", allow_private=True, most_seconds=0.3)
        assert time.monotonic() - started < 0.9


def test_a_resolver_that_hangs_is_given_up_in_time() -> None:
    hang = threading.Event()

    def resolver(host: str, port: int) -> list[str]:
        hang.wait(5)
        return []

    with pytest.raises(NotFetched, match=r"did not come within 0\.2 s"):
        fetch("https://notes.example/", resolve=resolver, most_seconds=0.2)
    hang.set()


def test_a_host_without_address_and_a_closed_port_are_told_apart_from_a_page() -> None:
    def nobody(host: str, port: int) -> list[str]:
        raise socket.gaierror(-2, "Name or service not known")

    with pytest.raises(NotFetched, match=r"https://no\.example does not answer \(no host of that name"):
        fetch("https://no.example", resolve=nobody)
    with pytest.raises(NotFetched, match="does not answer"):
        fetch("http://127.0.0.1:9/", allow_private=True)


def _certificate(host: str, folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Return what a server of this name shows, and what a client that trusts it believes."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    (folder / "both.pem").write_bytes(private + pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "both.pem")
    return server, ssl.create_default_context(cadata=pem.decode())


def test_tls_checks_the_name_though_the_connection_goes_to_an_address(tmp_path: Path) -> None:
    shown, trust = _certificate("notes.example", tmp_path)
    with site({"/a": says(b"<p>Hi</p>")}, shown) as (root, _):
        port = root.rsplit(":", 1)[1]

        def get(host: str, trust: ssl.SSLContext | None) -> Page:
            return fetch(
                f"https://{host}:{port}/a", allow_private=True, resolve=lambda host, port: ["127.0.0.1"], trust=trust
            )

        assert get("notes.example", trust).data == b"<p>Hi</p>"
        with pytest.raises(NotFetched, match="its certificate is not to be trusted"):
            get("other.example", trust)
        with pytest.raises(NotFetched, match="its certificate is not to be trusted"):
            get("notes.example", None)


# ----------------------------------------------------------------------------------------- what it becomes


def test_a_page_becomes_markdown_with_its_table_links_and_code() -> None:
    title, markdown = to_markdown(PAGE.encode(), charset="utf-8", address="https://docs.example/fsdp.html")
    assert title == "Fully Sharded Data Parallel"
    assert markdown == MARKDOWN.format(root="https://docs.example")


def test_where_code_would_be_lost_our_own_reader_is_taken() -> None:
    hidden = "<div class='hidden' style='display:none'><pre>def kept(): return 1</pre></div>"
    figure = "<figure><div><button>copy</button><div><pre>listing = [1, 2]</pre></div></div></figure>"
    page = f"<main><h1>Drop</h1><p>{'The drop trait runs code on cleanup. ' * 9}</p><h2>Use</h2>{figure}{hidden}</main>"
    _, markdown = to_markdown(page.encode())
    assert "```\nlisting = [1, 2]\n```" in markdown
    assert markdown.startswith("# Drop\n")
    assert "## Use\n" in markdown


@pytest.mark.parametrize(
    ("charset", "data"),
    [
        ("windows-1252", "<p>naïve café – 5 €</p>".encode("cp1252")),
        ("iso-8859-1", "<p>naïve café – 5 €</p>".encode("cp1252")),
        ("shift_jis", "<p>訓練と推論</p>".encode("shift_jis")),
        ("no-such-charset", "<p>naïve</p>".encode()),
        ("punycode", "<p>naïve</p>".encode()),
        ("", '<meta charset="shift_jis"><p>訓練と推論</p>'.encode("shift_jis")),
    ],
)
def test_the_server_says_how_a_page_is_encoded(charset: str, data: bytes) -> None:
    assert to_markdown(data, charset=charset)[1].strip() in ("naïve café – 5 €", "訓練と推論", "naïve")


def test_markdown_is_tidied_outside_code_only() -> None:
    assert tidy("# A[¶](https://a.example#x)\n\nFULL\\_SHARD x<sub>1</sub>\n      goes on\n") == (
        "# A\n\nFULL_SHARD x1 goes on\n"
    )
    code = "```\nFULL\\_SHARD\n      <sup>2</sup>\n```\n"
    assert tidy(code) == code
    assert tidy("- a\n    - b\n      c\n") == "- a\n    - b c\n"


# ----------------------------------------------------------------------------------------- where it is kept

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
    assert found["chunks"] > 0
    assert again.stdout.endswith(f"unchanged, {found['chunks']} chunks\n")
    assert gone.stderr == f"Error: {root}/gone: the server answered 410; look at it in a browser\n"
    notes = Shelf(settings).ledger.notes()
    assert sorted(notes) == ["infrastructure/fully-sharded-data-parallel.md", "other.md"]
