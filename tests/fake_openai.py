"""A small real model server: chat completions streamed as vLLM does, and every way of going wrong.

    with FakeServer("Grace hashes both sides. [1]") as server:
        settings = AssistantSettings(llm_url=server.url)
    with FakeServer(lambda messages: messages[-1]["content"].upper()) as server: ...
    with FakeServer(["first answer", "second answer"], reasoning="Let me see.", pause=0.1) as server: ...
    with FakeServer(fault="stall-mid-stream") as server: ...
    with FakeServer(fault=["503", "503", ""]) as server: ...

A token is a word. The server keeps to max_tokens and to its context (refusing in vLLM's words), counts who
hangs up, and has /tokenize and /metrics. Its faults:

    429 (any status)  302  overflow  stall-before-headers  no-answer  not-http  body:TEXT (instead of a stream)
    stall-before-first-token  only-comments  stall-mid-stream  cut-mid-stream  raw:LINE (in mid-stream)
    no-finish  cut-after-finish  stall-after-finish  endless (the reply again and again, without limit)
"""

import json
import re
import select
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle
from threading import Event, Thread
from typing import Any, Self

Reply = str | Sequence[str] | Callable[[list[dict[str, str]]], str]


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    method: str
    path: str
    headers: dict[str, str]
    """By lower-case name."""
    body: dict[str, Any]


class HungUp(Exception):
    """The client closed the connection, or the test is over."""


class FakeServer(ThreadingHTTPServer):
    """Serves on loopback from `with` to its end."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        reply: Reply = "The notes say so. [1]",
        *,
        fault: str | Sequence[str] = "",
        reasoning: str = "",
        reasoning_as: str = "reasoning_content",
        models: Sequence[str] = ("fake-model",),
        context: int | None = 4096,
        tells_context: bool = True,
        key: str = "",
        pause: float = 0.0,
        models_pause: float = 0.0,
        tokenizes: bool = True,
        tokenize_pause: float = 0.0,
        retry_after: str = "0",
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Bind.

        Args:
            reply: What to answer: always this, each of these in turn (then the last again), or by call.
            fault: What to do wrong: each time, or each of these in turn (then nothing); '' is nothing.
            reasoning: Sent before the reply.
            reasoning_as: By which name: `reasoning_content`, or `reasoning` as vLLM does.
            models: What /v1/models lists.
            context: The context of each, in tokens; None: there is no end to it.
            tells_context: Whether /v1/models says it.
            key: API key to insist on.
            pause: Seconds before each token.
            models_pause: Seconds before /v1/models answers.
            tokenizes: Whether /tokenize is there.
            tokenize_pause: Seconds before it answers.
            retry_after: Header sent with 429 and 503.
            host: Loopback address, of version 4 or 6.
            tls: Speak https.
        """
        self.reply, self.fault, self.reasoning, self.models = reply, fault, reasoning, models
        self.reasoning_as = reasoning_as
        self.context, self.key, self.pause, self.models_pause = context, key, pause, models_pause
        self.tells_context = tells_context
        self.tokenizes, self.tokenize_pause, self.retry_after, self.tls = tokenizes, tokenize_pause, retry_after, tls
        self.requests: list[Request] = []
        self.disconnects = 0
        """Answers that a client did not wait for."""
        self.running = 0
        """Answers being written now."""
        self.stopping = Event()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, 0), _Handler)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        name = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if tls else 'http'}://{name}:{self.server_port}/v1"

    @property
    def chats(self) -> list[dict[str, Any]]:
        """The bodies of the chat requests, in order."""
        return [request.body for request in self.requests if request.path.endswith("/chat/completions")]

    def server_bind(self) -> None:
        """Bind without looking up our own name, which may take seconds."""
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "fake", self.socket.getsockname()[1]

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no news."""

    def __enter__(self) -> Self:
        Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: FakeServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._serve({})

    def do_POST(self) -> None:
        self._serve(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _serve(self, body: dict[str, Any]) -> None:
        fake, number = self.server, len(self.server.chats)
        headers = {name.lower(): value for name, value in self.headers.items()}
        fake.requests.append(Request(self.command, self.path, headers, body))
        try:
            if fake.key and headers.get("authorization") != f"Bearer {fake.key}":
                self._answer(401, {"error": {"message": f"{headers.get('authorization')} is wrong"}})
            elif self.path == "/v1/models":
                self._wait(fake.models_pause)
                limit = {"max_model_len": fake.context} if fake.context and fake.tells_context else {}
                self._answer(200, {"object": "list", "data": [{"id": name, **limit} for name in fake.models]})
            elif self.path == "/tokenize" and fake.tokenizes:
                self._wait(fake.tokenize_pause)
                self._answer(200, {"count": _tokens(body.get("messages") or body["prompt"])})
            elif self.path == "/metrics":
                self._answer(200, f"vllm:num_requests_running {fake.running}\nvllm:num_requests_waiting 0\n")
            elif self.path == "/v1/chat/completions":
                fault = fake.fault if isinstance(fake.fault, str) else [*fake.fault, ""][number:][:1]
                self._chat(body, number, fault if isinstance(fault, str) else "".join(fault))
            else:
                self._answer(404, {"detail": "Not Found"})
        except (HungUp, ConnectionError, ssl.SSLError):
            fake.disconnects += 1
            self.close_connection = True

    def _chat(self, body: dict[str, Any], number: int, fault: str) -> None:
        fake, prompt, most = self.server, _tokens(body["messages"]), body["max_tokens"]
        if body["model"] not in fake.models:
            self._answer(404, {"error": {"message": f"The model `{body['model']}` does not exist."}})
        elif fault == "overflow" or (fake.context and prompt + most > fake.context):
            told = f"This model's maximum context length is {fake.context} tokens. However, you requested "
            told += f"{most} output tokens and your prompt contains at least {prompt} input tokens."
            self._answer(400, {"error": {"message": told, "type": "BadRequestError", "code": 400}})
        elif fault.isdecimal():
            self._answer(int(fault), {"error": {"message": f"fault {fault}"}})
        elif fault.startswith("body:"):
            self._answer(200, fault.removeprefix("body:"))
        elif fault in ("no-answer", "not-http"):
            self.wfile.write(b"" if fault == "no-answer" else b"SSH-2.0-OpenSSH_9.6\r\n")
            self.close_connection = True
        else:
            self._wait(60 if fault == "stall-before-headers" else 0)
            fake.running += 1
            try:
                self._stream(body, number, fault)
            finally:
                fake.running -= 1

    def _stream(self, body: dict[str, Any], number: int, fault: str) -> None:
        fake, most = self.server, body["max_tokens"]
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._delta({"role": "assistant", "content": ""})
        self._wait(60 if fault == "stall-before-first-token" else 0)
        while fault == "only-comments":
            self._wait(0.1)
            self._send(b": keep-alive\n\n")

        replies = [fake.reply] if isinstance(fake.reply, str) else fake.reply
        text = replies(body["messages"]) if callable(replies) else replies[min(number, len(replies) - 1)]
        words, written = re.findall(r"\s*\S+\s*", text), 0
        for thought in fake.reasoning.split()[:most]:
            self._delta({fake.reasoning_as: f"{thought} "})
            most -= 1
        for word in cycle([*words, "\n"]) if fault == "endless" else words[:most]:
            self._wait(fake.pause)
            self._delta({"content": word})
            written += 1
            if written == 2 and fault.startswith("raw:"):
                self._send(fault.removeprefix("raw:").encode() + b"\n\n")
            if written == 2 and fault == "cut-mid-stream":
                return
            self._wait(60 if written == 2 and fault == "stall-mid-stream" else 0)
        if fault != "no-finish":
            self._delta({}, "stop" if len(words) <= most else "length")
            self._wait(60 if fault == "stall-after-finish" else 0)
            if fault == "cut-after-finish":
                return
            usage = {"prompt_tokens": _tokens(body["messages"]), "completion_tokens": written}
            if body.get("stream_options", {}).get("include_usage"):
                self._send(f"data: {json.dumps({'choices': [], 'usage': usage})}\n\n".encode())
            self._send(b"data: [DONE]\n\n")
        self._send(b"")

    def _answer(self, status: int, body: object) -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Retry-After", self.server.retry_after)
        self.send_header("Location", "http://elsewhere.example/v1/chat/completions")
        self.end_headers()
        self.wfile.write(data)

    def _delta(self, delta: dict[str, str], finish: str | None = None) -> None:
        event = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
        self._send(f"data: {json.dumps(event, ensure_ascii=False)}\n\n".encode())

    def _send(self, data: bytes) -> None:
        self._wait(0)
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def _wait(self, seconds: float) -> None:
        """Wait, and notice it when the client hangs up or the test is over."""
        until = time.monotonic() + seconds
        while True:
            left = until - time.monotonic()
            heard = select.select([self.connection], [], [], max(0.0, min(left, 0.02)))[0]
            if self.server.stopping.is_set() or (heard and not self.server.tls and self._gone()):
                raise HungUp
            if left <= 0:
                return

    def _gone(self) -> bool:
        return not self.connection.recv(1, socket.MSG_PEEK)


def _tokens(prompt: str | list[dict[str, str]]) -> int:
    return len(prompt.split()) if isinstance(prompt, str) else sum(_tokens(m["content"]) for m in prompt)
