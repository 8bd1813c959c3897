"""A small real web site on loopback, and a page of it."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.listening import listening

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
"""What `PAGE` becomes."""

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

    server = Server(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    with listening(server):
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}", seen
