"""A stand-in for a model server, which writes at a steady pace: what is timed with it is ours.

    python -m eval.bench_stub WAIT_S PIECES PACE_S     listens on a free port, prints it, and serves until killed

The first of PIECES comes after WAIT_S, one more each PACE_S; the last names its source: [1].
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from eval.command import parser_of


class _Writer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.0"
    wait_s, pieces, pace_s = 0.0, 1, 0.0

    def do_GET(self) -> None:
        self._begin()
        self.wfile.write(json.dumps({"data": [{"id": "stub", "max_model_len": 8192}]}).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._begin()
        if self.path.endswith("/tokenize"):
            self.wfile.write(json.dumps({"count": len(body) // 4}).encode())
            return
        time.sleep(self.wait_s)
        with suppress(BrokenPipeError):  # who asked has hung up
            for number in range(self.pieces):
                self._say({"content": f" word{number}"}, None)
                time.sleep(self.pace_s)
            self._say({"content": " [1]."}, "stop")
            self.wfile.write(b"data: [DONE]\n\n")

    def _begin(self) -> None:
        self.send_response(200)
        self.end_headers()

    def _say(self, delta: dict[str, str], end: str | None) -> None:
        event = {"choices": [{"index": 0, "delta": delta, "finish_reason": end}]}
        self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@contextmanager
def model_server(*, wait_s: float = 0.0, pieces: int = 1, pace_s: float = 0.0) -> Iterator[str]:
    """Run one in a process of its own; yield its address."""
    command = [sys.executable, "-m", "eval.bench_stub", *map(str, (wait_s, pieces, pace_s))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            yield f"http://127.0.0.1:{server.stdout.readline().strip()}/v1"
        finally:
            server.kill()


def main() -> None:
    """Serve until killed."""
    parser = parser_of("bench_stub", __doc__)
    parser.add_argument("wait_s", type=float)
    parser.add_argument("pieces", type=int)
    parser.add_argument("pace_s", type=float)
    for name, value in vars(parser.parse_args()).items():
        setattr(_Writer, name, value)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Writer)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
