"""Pages come from small real servers on loopback; what must be refused, from a resolver that says where names lead."""

import datetime
import gzip
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ingest.fetch import NotFetched, Page, fetch, is_public
from tests.site import Answer, leads, says, site


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
