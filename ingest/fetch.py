"""An address becomes bytes: one page from the public web, and nothing else.

    page = fetch("https://docs.pytorch.org/docs/stable/fsdp.html")

A page that redirects, or a name that resolves, can point into the network of whoever asks (server-side request
forgery): so every host is resolved here, all its addresses must be public, and the connection goes to the very
address that was checked, after each redirect anew. No cookies, no credentials, no proxy.
"""

import contextlib
import ipaddress
import re
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import httpcore
from httpx import URL, InvalidURL

from ingest.errors import StudyError

MOST_BYTES = 10 << 20
"""Largest page, compressed or not."""
MOST_SECONDS = 20.0
"""Longest time for everything together, redirects and name look-ups included."""
MOST_REDIRECTS = 5
_AGENT = "study-assistant (ask add)"
_ACCEPT = "text/html, application/xhtml+xml, application/pdf, text/markdown, text/plain;q=0.9"

_KINDS = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "application/pdf": "pdf",
    "application/x-pdf": "pdf",
    "text/markdown": "markdown",
    "text/x-markdown": "markdown",
    "text/plain": "text",
}
_MARKDOWN_NAMES = (".md", ".markdown")
"""Servers call Markdown text/plain."""

_UNICAST = ipaddress.ip_network("2000::/3")
"""All of IPv6 that is handed out (IANA, IPv6 Global Unicast Address Space)."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
"""An IPv4 address in IPv6's clothes, on networks without IPv4 (RFC 6052)."""
_SPECIAL = tuple(
    map(
        ipaddress.ip_network,
        (
            # IANA special-purpose registries: what Python 3.11 calls global, or did before CVE-2024-4032
            *("192.0.0.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.175.48.0/24"),
            *("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
        ),
    )
)

_HOST = re.compile(r"[a-z0-9._:-]{1,253}")
"""A name or an address as it goes to the resolver."""

Resolve = Callable[[str, int], list[str]]
"""Returns the IP addresses of a host, given its port."""


class NotFetched(StudyError):
    """A page that can't, or must not, be had."""


@dataclass(frozen=True, slots=True)
class Page:
    """What an address gave."""

    asked: str
    """The address that was asked for, normalised, without a fragment."""
    address: str
    """Where it came from in the end, after redirects."""
    kind: str
    """html, pdf, markdown or text."""
    charset: str
    """As the server declares it; often empty."""
    data: bytes


def resolve(host: str, port: int) -> list[str]:
    """Return the IP addresses of a host, by the system's resolver.

    Raises:
        OSError: It has none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the public internet, for one receiver."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        if ip not in _UNICAST:
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved and not any(ip in net for net in _SPECIAL)


def fetch(
    address: str,
    *,
    allow_private: bool = False,
    resolve: Resolve = resolve,
    trust: ssl.SSLContext | None = None,
    most_bytes: int = MOST_BYTES,
    most_seconds: float = MOST_SECONDS,
) -> Page:
    """Get one page.

    Args:
        address: An http or https URL.
        allow_private: Also from private and loopback addresses.
        resolve: How a host's addresses are found.
        trust: Certificates to trust; none: those of the system and of certifi.
        most_bytes: Largest page, after decompression.
        most_seconds: Longest time for everything.

    Raises:
        NotFetched: The address is refused, does not answer in time, or gives something that is no note.
    """
    asked = url = _parse(address)
    deadline = time.monotonic() + most_seconds
    backend = _Checked(resolve, allow_private, deadline, most_seconds)
    with httpcore.ConnectionPool(ssl_context=trust, network_backend=backend, max_keepalive_connections=0) as pool:
        for _ in range(MOST_REDIRECTS + 1):
            with _errors(url, most_seconds), pool.stream("GET", _wire(url), headers=_headers(url)) as response:
                found = _read(url, response, most_bytes)
            if isinstance(found, bytes):
                kind, charset = _kind(url, response, found)
                return Page(str(asked), str(url), kind, charset, found)
            url = found
    raise NotFetched(f"{_shown(asked)} redirects more than {MOST_REDIRECTS} times; give the address that it leads to")


def _parse(address: str, base: URL | None = None) -> URL:
    try:
        url = base.join(address) if base else URL(address.strip())
        url = url.copy_with(fragment=None)
        host = url.raw_host.decode()
    except (InvalidURL, UnicodeError, ValueError, TypeError) as error:
        raise NotFetched(f"{_line(address)} is no web address; give one like https://example.org/page") from error
    if url.scheme not in ("http", "https") or not _HOST.fullmatch(host) or not 0 < (url.port or 80) < 65536:
        raise NotFetched(f"{_line(address)} is no web address; give one that begins with https:// or http://")
    if url.userinfo:
        raise NotFetched("the address holds a name or password; save the page yourself, in the notes folder")
    return url


def _line(text: str) -> str:
    return "".join(filter(str.isprintable, text))[:200]


def _shown(url: URL) -> str:
    """Return an address for a message: without its query, where a secret may stand."""
    return _line(str(url.copy_with(query=None)))


def _wire(url: URL) -> httpcore.URL:
    return httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)


def _headers(url: URL) -> Mapping[bytes | str, bytes | str]:
    return {
        "Host": url.netloc.decode("ascii"),
        "User-Agent": _AGENT,
        "Accept": _ACCEPT,
        "Accept-Encoding": "gzip",
        "Connection": "close",
    }


def _header(response: httpcore.Response, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in response.headers if key.lower() == name), "")


def _read(url: URL, response: httpcore.Response, most: int) -> bytes | URL:
    """Return the body, or where to go for it."""
    if response.status in (301, 302, 303, 307, 308) and (target := _header(response, b"location")):
        return _parse(target, url)
    if response.status != 200:
        raise NotFetched(f"{_shown(url)}: the server answered {response.status}; look at it in a browser")
    _kind(url, response, b"")
    too_large = NotFetched(f"{_shown(url)} is larger than {most >> 20} MiB; save the part that you need yourself")
    declared = _header(response, b"content-length")
    if declared.isascii() and declared.isdecimal() and int(declared[:20]) > most:
        raise too_large
    coding = _header(response, b"content-encoding").strip().lower()
    if coding not in ("", "identity", "gzip", "x-gzip"):
        raise NotFetched(f"{_shown(url)} comes compressed in a way that was not asked for ({_line(coding)})")
    unpack = zlib.decompressobj(wbits=31) if coding.endswith("gzip") else None
    body = bytearray()
    for part in response.iter_stream():
        if unpack:
            part = unpack.decompress(part, most + 1 - len(body))
        body += part
        if len(body) > most or (unpack and unpack.unconsumed_tail):
            raise too_large
    if unpack and not unpack.eof:
        raise NotFetched(f"{_shown(url)}: the answer breaks off; try again")
    return bytes(body)


def _kind(url: URL, response: httpcore.Response, data: bytes) -> tuple[str, str]:
    """Return what sort of page it is, and its declared charset; `data` are empty before they are read."""
    declared, _, rest = _header(response, b"content-type").partition(";")
    media = declared.strip().lower()
    charset = re.search(r"charset\s*=\s*[\"']?([\w.:-]{1,40})", rest, re.IGNORECASE)
    kind = _KINDS.get(media, "")
    suffix = PurePosixPath(url.path).suffix.lower()
    if kind == "text" and suffix in _MARKDOWN_NAMES:
        kind = "markdown"
    if suffix == ".pdf" and media in ("application/octet-stream", "binary/octet-stream", ""):
        kind = "pdf"
    if not kind:
        what = _line(media) or "something that the server does not name"
        raise NotFetched(f"{_shown(url)} is {what}; only HTML, PDF, Markdown and plain text can be added")
    if data and kind == "pdf" and b"%PDF-" not in data[:1024]:
        raise NotFetched(f"{_shown(url)} says that it is a PDF, and is none; look at it in a browser")
    return kind, charset[1].lower() if charset else ""


@contextlib.contextmanager
def _errors(url: URL, seconds: float) -> Iterator[None]:
    """Turn what the network raises into one line."""
    where = _shown(url)
    try:
        yield
    except (httpcore.TimeoutException, TimeoutError) as error:
        raise NotFetched(f"{where} did not come within {seconds:g} s; try again later") from error
    except zlib.error as error:
        raise NotFetched(f"{where}: what came is damaged; try again") from error
    except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
        if isinstance(error, ssl.SSLError) or isinstance(error.__context__, ssl.SSLError):
            raise NotFetched(f"{where}: its certificate is not to be trusted ({_reason(error)})") from error
        raise NotFetched(f"{where} does not answer ({_reason(error)}); look at the address") from error


def _reason(error: BaseException) -> str:
    return _line(next(iter(str(error).strip().splitlines()), type(error).__name__))


class _Checked(httpcore.NetworkBackend):
    """Opens connections to addresses that were checked, and to no others."""

    def __init__(self, resolve: Resolve, allow_private: bool, deadline: float, seconds: float) -> None:
        self._resolve, self._allow_private = resolve, allow_private
        self._deadline, self._seconds = deadline, seconds
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError("it has no address")
        for address in self._addresses(host, port):
            try:
                stream = self._backend.connect_tcp(address, port, _left(self._deadline), local_address, socket_options)
            except httpcore.ConnectError as error:
                failure = error
            else:
                return _Timed(stream, self._deadline)
        raise failure

    def _addresses(self, host: str, port: int) -> list[str]:
        """Resolve in a thread that is left behind where the resolver takes too long."""
        found: list[str] = []
        failures: list[OSError] = []

        def ask() -> None:
            try:
                found.extend(self._resolve(host, port))
            except (OSError, UnicodeError) as error:
                failures.append(OSError(f"no host of that name: {error}"))

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(_left(self._deadline))
        if thread.is_alive():
            raise httpcore.ConnectTimeout("the name was not resolved")
        if failures:
            raise failures[0]
        if not self._allow_private and not all(map(is_public, found)):
            raise NotFetched(
                f"{_line(host)} is not on the public internet; "
                "to add pages from your own network, set STUDY_ADD_PRIVATE=1"
            )
        return found


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("no time is left")
    return left


class _Timed(httpcore.NetworkStream):
    """A connection whose every step ends by one deadline, so that no slow trickle outlasts it."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Timed(self._stream.start_tls(ssl_context, server_hostname, _left(self._deadline)), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
