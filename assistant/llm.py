"""Ask the model that the user serves: the only file that knows the OpenAI protocol.

A streamed chat completion is server-sent events, one JSON object to a line:

    data: {"choices": [{"index": 0, "delta": {"content": "FSDP shards"}, "finish_reason": null}]}
    data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    data: {"choices": [], "usage": {"prompt_tokens": 812, "completion_tokens": 2}}
    data: [DONE]

It stands on http.client, which is there at once (httpx takes 145 ms to import, openai 590). Every request
has a thread and a connection of its own: so no step, looking up a name or a server's keep-alive comments
included, outlasts its deadline; callers on many threads share nothing; and closing an answer hangs up.
The server is talked to directly: notes do not pass through a proxy because a variable happens to be set.
"""

import json
import re
import socket
import ssl
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, IncompleteRead, RemoteDisconnected
from queue import Empty, SimpleQueue
from threading import Event, Thread
from time import monotonic
from typing import Any
from urllib.parse import quote, urlsplit

from assistant.errors import (
    AnswerCut,
    AnswerEmpty,
    AnswerEndless,
    AnswerJunk,
    AnswerUnparsable,
    ContextOverflow,
    ModelMissing,
    ServerBusy,
    ServerError,
    ServerFailed,
    ServerRefused,
    ServerStalled,
    ServerUnreachable,
)
from assistant.settings import AssistantSettings

Messages = Sequence[Mapping[str, str]]
"""Each with its role (system, user or assistant) and its content."""

_TICK_S = 0.5
_LINE_BYTES = 4 << 20
_LOOP_CHARS, _LOOP_TIMES = 600, 5
_DEFAULT_CONTEXT = 4096


@dataclass(frozen=True, slots=True)
class Usage:
    """What the server counted."""

    prompt_tokens: int
    completion_tokens: int
    """Thinking included."""
    cached_tokens: int
    """How many of the prompt's it did not have to compute again; 0 where it does not say."""


@dataclass(frozen=True, slots=True)
class Delta:
    """The next piece of an answer; with nothing in it, a sign that we still wait (twice a second)."""

    text: str = ""
    """Answer, as the model wrote it: control characters included."""
    reasoning: str = ""
    """Thinking, which is no part of the answer."""
    restart: bool = False
    """All text before this piece was thinking after all: forget it."""
    finish_reason: str | None = None
    """stop, length, …; set in the last piece and in no other."""
    usage: Usage | None = None
    """In the last piece, where the server counts."""


@dataclass(frozen=True, slots=True)
class Absent:
    """No model can be asked."""

    reason: str
    """One line: what happened and what to do."""


def find(settings: AssistantSettings) -> "LanguageModel | Absent":
    """Return the model to ask, or why there is none, within `llm_connect_ms`."""
    until = monotonic() + settings.llm_connect_ms / 1000
    try:
        server = _Server(settings)
        exchange = _Exchange(server, f"{server.path}/models", patience=settings.llm_connect_ms / 1000)
        try:
            listed = exchange.json(until)
        except Empty:
            stage = (
                "took the connection but did not say what it serves"
                if exchange.connected
                else "did not answer"
            )
            missing = f"{stage} within {settings.llm_connect_ms} ms"
            raise ServerStalled(server.url, missing, "STUDY_LLM_CONNECT_MS") from None
        try:
            models = {str(model["id"]): model.get("max_model_len") for model in listed["data"]}
        except (KeyError, TypeError, AttributeError) as error:
            raise AnswerJunk(server.url, "its list of models has another shape") from error
    except ServerError as error:
        return Absent(str(error))
    name = settings.llm_model or next(iter(models), "")
    if name not in models:
        has = f"it has: {', '.join(models)}" if models else "it has none: load one"
        return Absent(f"the model {name or '(any)'} is not served at {server.url}; {has}")
    told = models[name] if isinstance(models[name], int) else 0
    limits = [limit for limit in (settings.llm_context_tokens, told) if limit]
    return LanguageModel(settings, server, name, min(limits, default=_DEFAULT_CONTEXT))


class LanguageModel:
    """A model on a server that answered; safe to use from several threads."""

    def __init__(
        self, settings: AssistantSettings, server: "_Server", name: str, context_tokens: int
    ) -> None:
        self._settings = settings
        self._server = server
        self._tokenizes = True
        self.name = name
        self.context_tokens = context_tokens
        """Most tokens of prompt and answer together."""

    def stream(
        self,
        messages: Messages,
        *,
        max_tokens: int | None = None,
        schema: Mapping[str, Any] | None = None,
        stop: Sequence[str] = (),
    ) -> Generator[Delta, None, None]:
        """Yield the answer piece by piece; closing the generator hangs up, and so stops the server.

        Args:
            messages: The prompt.
            max_tokens: Most tokens to write, thinking included; by default `llm_max_answer_tokens`.
            schema: JSON schema that the answer must follow.
            stop: Texts that end the answer.

        Raises:
            ServerError: Any of its kinds; `partial` holds the text so far.
        """
        settings = self._settings
        most = max_tokens or settings.llm_max_answer_tokens
        body: dict[str, Any] = {
            "model": self.name,
            "messages": [dict(message) for message in messages],
            "max_tokens": most,
            "temperature": settings.llm_temperature,
            "seed": settings.llm_seed,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if schema is not None:
            form = {"name": "answer", "schema": schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": form}
        if stop:
            body["stop"] = list(stop)

        text, finish, usage = "", None, None
        split, loop = _Thinking(), _Loop(self.name, most)
        first, stall = settings.llm_first_token_s, settings.llm_stall_s
        exchange = _Exchange(
            self._server, f"{self._server.path}/chat/completions", body, patience=max(first, stall), retries=2
        )
        until = monotonic() + first
        silence = f"sent no token within {first:g} s", "STUDY_LLM_FIRST_TOKEN_S"
        try:
            while True:
                try:
                    line = exchange.line(min(until, monotonic() + _TICK_S))
                except Empty:
                    if monotonic() < until:
                        yield Delta()
                        continue
                    if finish:
                        break  # Whole, though neither usage nor [DONE] came.
                    raise exchange.trouble or ServerStalled(self._server.url, *silence) from None
                except AnswerCut:
                    if finish:
                        break
                    raise
                if line is None:
                    break
                data = self._server.data(line)
                if data == b"[DONE]":
                    finish = finish or "stop"
                    break
                if not data:
                    continue
                content, reasoning, reason, counted = self._server.piece(data)
                finish, usage = reason or finish, counted or usage
                if content or reasoning:
                    until = monotonic() + stall
                    silence = f"fell silent for {stall:g} s in mid-answer", "STUDY_LLM_STALL_S"
                    loop.feed(content + reasoning)
                    new, thought = split.feed(content)
                    text += new
                    if closed := _orphan(text, len(new)):
                        thought, text = text[: closed.start()], text[closed.end() :].lstrip()
                        yield Delta(text, reasoning + thought, restart=True)
                    elif new or thought or reasoning:
                        yield Delta(new, reasoning + thought)
                if finish:
                    until = min(until, monotonic() + 1)
            new, thought = split.feed("", last=True)
            text += new
            if finish in (None, "abort", "error"):
                raise AnswerCut(self._server.url)
            if not text.strip():
                raise AnswerEmpty(self.name, finish)
            yield Delta(new, thought, finish_reason=finish, usage=usage)
        except ServerError as error:
            error.partial = text
            raise
        finally:
            exchange.close()

    def complete(
        self, messages: Messages, *, schema: Mapping[str, Any], max_tokens: int | None = None
    ) -> tuple[dict[str, Any], Usage | None]:
        """Return the JSON object that was asked for; nothing of it is repaired but a code fence taken off.

        Raises:
            AnswerUnparsable: The answer is whole and is no JSON object.
            ServerError: Any other kind.
        """
        text, last = "", Delta()
        with closing(self.stream(messages, max_tokens=max_tokens, schema=schema)) as deltas:
            for last in deltas:
                text = last.text if last.restart else text + last.text
        fenced = re.fullmatch(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", text, re.DOTALL)
        try:
            found = _loads(fenced[1] if fenced else text)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            error = AnswerUnparsable(self.name, last.finish_reason)
            error.partial = text
            raise error
        return found, last.usage

    def count_tokens(self, prompt: str | Messages) -> int:
        """Return the prompt's length by the server's own tokenizer (vLLM has /tokenize), else an estimate."""
        if self._tokenizes:
            what = {"prompt": prompt} if isinstance(prompt, str) else {"messages": [dict(m) for m in prompt]}
            path = f"{self._server.path.removesuffix('/v1')}/tokenize"
            with suppress(ServerError, Empty):
                exchange = _Exchange(self._server, path, {"model": self.name, **what}, patience=2)
                found = exchange.json(monotonic() + 2)
                count = found.get("count") if isinstance(found, dict) else None
                if isinstance(count, int):
                    return count
            self._tokenizes = False
        if isinstance(prompt, str):
            return estimate_tokens(prompt)
        return 64 + sum(16 + estimate_tokens(message["content"]) for message in prompt)


def estimate_tokens(text: str) -> int:
    """Return a number of tokens that no usual tokenizer exceeds on text, code or tables.

    One for three lower-case letters, with the capital before them; one for any other ASCII character, a
    single space before a letter excepted; one for each UTF-8 byte of the rest. On our notes that is 1.4 to
    2 times what tokenizers of 49,000 to 200,000 entries count. Only letters at random (base64) get more.
    """
    ascii_tokens = len(re.findall(r"[A-Z]?[a-z]{1,3}|[!-~]| {1,4}(?![A-Za-z])|[\0-\x1f]", text))
    return ascii_tokens + len(text.encode(errors="replace")) - sum(map(str.isascii, text))


class _Server:
    """Where STUDY_LLM_URL leads, and what its messages mean."""

    def __init__(self, settings: AssistantSettings) -> None:
        self._key = settings.llm_api_key
        self._model = settings.llm_model
        self.url = settings.llm_url.strip().rstrip("/").rpartition("@")[2]
        """For messages: without user name and password."""
        try:
            parts = urlsplit(settings.llm_url.strip())
            self.host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise ServerUnreachable(self.url, f"that is no address ({error})", "set STUDY_LLM_URL") from error
        if parts.scheme not in ("http", "https") or not re.fullmatch(r"[\w.:%-]+", self.host):
            remedy = "set STUDY_LLM_URL to http://host:port/v1 or https://host/v1"
            raise ServerUnreachable(self.url, "that is no address", remedy)
        if "@" in parts.netloc:
            raise ServerUnreachable(self.url, "its address holds a password", "use STUDY_LLM_API_KEY instead")
        key = self._key.get_secret_value()
        if not (key.isascii() and key.isprintable()):
            raise ServerUnreachable(self.url, "the key is not printable ASCII", "set STUDY_LLM_API_KEY anew")
        self.tls = ssl.create_default_context() if parts.scheme == "https" else None
        self.port = port or (443 if self.tls else 80)
        path = quote(parts.path.rstrip("/"), safe="/%~")
        self.path = path if re.search(r"/v\d", path) else f"{path}/v1"

    def headers(self) -> dict[str, str]:
        key = self._key.get_secret_value()
        auth = {"Authorization": f"Bearer {key}"} if key else {}
        return {"Content-Type": "application/json", "User-Agent": "study-assistant", **auth}

    def said(self, text: str) -> str:
        """Return the server's words as the end of a message: one short line, without the key."""
        line, key = " ".join(text.split()), self._key.get_secret_value()
        line = line.replace(key, "***") if key else line
        return f": {line[:200]}" if line and not line.startswith("<") else ""

    def data(self, line: bytes) -> bytes:
        """Return what a line of an event stream carries, empty where it carries nothing."""
        line = line.strip()
        if line.startswith(b"data:"):
            return line[5:].lstrip()
        if line and not line.startswith((b":", b"event:", b"id:", b"retry:")):
            raise AnswerJunk(self.url, f"not an event stream{self.said(line.decode(errors='replace'))[:60]}")
        return b""

    def piece(self, data: bytes) -> tuple[str, str, str | None, Usage | None]:
        """Return an event's content, reasoning, finish reason and usage."""
        try:
            event = _loads(data)
            if fault := event.get("error"):
                code = fault.get("code") if isinstance(fault, dict) else None
                raise self.refusal(code if isinstance(code, int) else 500, data.decode(errors="replace"))
            counts, usage = event.get("usage"), None
            if counts:
                cached = (counts.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
                usage = Usage(int(counts["prompt_tokens"]), int(counts["completion_tokens"]), int(cached))
            if not event["choices"]:
                return "", "", None, usage
            choice = event["choices"][0]
            delta = choice["delta"]
            content = delta.get("content") or ""
            reasoning = delta.get("reasoning_content") or delta.get("reasoning") or ""
            return content + "", reasoning + "", choice.get("finish_reason"), usage
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            heard = self.said(data.decode(errors="replace"))[:60]
            raise AnswerJunk(self.url, f"an event of another shape{heard}") from error

    def refusal(self, status: int, body: str, retry_after: str = "") -> ServerError:
        """Return what a status that is not 200 means."""
        with suppress(ValueError, AttributeError):
            found = _loads(body)
            found = found.get("error") or found
            body = (
                str(found.get("message") or found.get("detail") or found)
                if isinstance(found, dict)
                else found
            )
        said = self.said(str(body))
        if status in (401, 403):
            return ServerRefused(self.url, status)
        if status == 404:
            return ModelMissing(self.url, self._model, said)
        if status in (429, 503):
            wait = float(retry_after) if retry_after.isdecimal() else 0.5
            return ServerBusy(self.url, status, retry_after=wait if wait <= 5 else None)
        if re.search(r"context.?(length|size|window)", said, re.IGNORECASE):
            limit = re.search(r"context.?(?:length|size|window)\D{0,20}(\d+)", said)
            wanted = re.search(r"(\d+) (?:input tokens|in the messages)|request \((\d+) tokens", said)
            asked = int(wanted[1] or wanted[2]) if wanted else 0
            return ContextOverflow(self.url, said, limit=int(limit[1]) if limit else 0, wanted=asked)
        return ServerFailed(self.url, status, said)


class _Exchange:
    """One request and its answer, line by line; all of it but the waiting happens on another thread."""

    def __init__(
        self, server: _Server, path: str, body: object = None, *, patience: float, retries: int = 0
    ) -> None:
        self._server = server
        self._lines: SimpleQueue[bytes | Exception | None] = SimpleQueue()
        self._socket: socket.socket | None = None
        self._closed = Event()
        self.connected = False
        self.trouble: ServerError | None = None
        """Why the last try failed, while the next is awaited."""
        Thread(target=self._run, args=(path, body, patience, retries), daemon=True).start()

    def line(self, until: float) -> bytes | None:
        """Return the next line, None after the last; raises Empty at `until`, a time of `monotonic`."""
        item = self._lines.get(timeout=max(0.0, until - monotonic()))
        if isinstance(item, Exception):
            raise item
        return item

    def json(self, until: float) -> Any:
        """Return the whole answer as JSON; raises Empty at `until`."""
        try:
            return _loads(b"\n".join(iter(lambda: self.line(until), None)))
        except ValueError as error:
            raise AnswerJunk(self._server.url, "not JSON") from error
        finally:
            self.close()

    def close(self) -> None:
        """Hang up, whatever the thread is at."""
        self._closed.set()
        if self._socket:
            with suppress(OSError):  # It is closed already.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _run(self, path: str, body: object, patience: float, retries: int) -> None:
        while True:
            try:
                self._talk(path, body, patience)
                return self._lines.put(None)
            except Exception as error:  # Whatever it is, the thread that waits must hear of it.
                self.trouble = self._ours(error)
                again = self.trouble.retry_after if self.trouble and retries else None
                if again is None or self._closed.wait(again):
                    return self._lines.put(self.trouble or error)
                retries -= 1

    def _talk(self, path: str, body: object, patience: float) -> None:
        server = self._server
        with closing(HTTPConnection(server.host, server.port)) as connection:
            plain = socket.create_connection((server.host, server.port), timeout=patience)
            connection.sock = self._socket = plain
            if server.tls:
                tls = server.tls.wrap_socket(
                    plain, server_hostname=server.host, do_handshake_on_connect=False
                )
                connection.sock = self._socket = tls
                tls.do_handshake()
            if self._closed.is_set():
                return
            self.connected = True
            method = "GET" if body is None else "POST"
            connection.request(method, path, json.dumps(body).encode() if body else None, server.headers())
            with connection.getresponse() as answer:
                if answer.status != 200:
                    said = answer.read(65536).decode(errors="replace")
                    raise server.refusal(answer.status, said, answer.headers.get("Retry-After", ""))
                rest = b""
                while data := answer.read1(65536):
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        self._lines.put(line)
                    if len(rest) > _LINE_BYTES:
                        raise AnswerJunk(server.url, "a line without end")
                self._lines.put(rest)

    def _ours(self, error: Exception) -> ServerError | None:
        """Return our name for a fault of the network, None for what is no such fault."""
        ours: ServerError | None = None
        url = self._server.url
        if isinstance(error, ServerError):
            return error
        if self.connected:
            if isinstance(error, OSError | IncompleteRead | RemoteDisconnected):
                ours = AnswerCut(url)
            elif isinstance(error, HTTPException | ValueError):
                ours = AnswerJunk(url, f"not HTTP: {type(error).__name__}")
        elif isinstance(error, ssl.SSLCertVerificationError):
            trust = "set SSL_CERT_FILE to the certificate of its authority"
            ours = ServerUnreachable(url, f"its certificate is not trusted ({error.verify_message})", trust)
        elif isinstance(error, ssl.SSLError):
            ours = ServerUnreachable(url, f"TLS failed ({error.reason})", "does STUDY_LLM_URL mean http://?")
        elif isinstance(error, socket.gaierror | UnicodeError):
            ours = ServerUnreachable(url, "its name is not known", "check STUDY_LLM_URL")
        elif isinstance(error, ConnectionRefusedError):
            ours = ServerUnreachable(url, "nothing listens there", retry_after=0.25)
        elif isinstance(error, OSError):
            ours = ServerUnreachable(url, error.strerror or "no connection")
        if ours:
            ours.__cause__ = error
        return ours


class _Thinking:
    """Parts <think>…</think> from the answer that follows, wherever the stream cuts the tags.

    Only before the answer's first word: an answer may well be about these tags.
    """

    def __init__(self) -> None:
        self._held = ""
        self._place = "before"

    def feed(self, content: str, *, last: bool = False) -> tuple[str, str]:
        """Return the answer and the thinking that are now certain."""
        held, thought = self._held + content, ""
        while self._place != "after":
            if self._place == "before":
                held = held.lstrip()
                if held.startswith("<think>"):
                    held, self._place = held.removeprefix("<think>"), "inside"
                elif "<think>".startswith(held) and not last:
                    break
                else:
                    self._place = "after"
            else:
                inner, closed, after = held.partition("</think>")
                if not closed:
                    keep = 0 if last else next(n for n in range(7, -1, -1) if held.endswith("</think>"[:n]))
                    cut = len(held) - keep
                    self._held = held[cut:]
                    return "", thought + held[:cut]
                thought, held, self._place = thought + inner, after, "before"
        self._held = "" if self._place == "after" else held
        return held if self._place == "after" else "", thought


def _orphan(text: str, new: int) -> re.Match[str] | None:
    """Return where, in the last `new` characters or so, a closing tag ends thinking that was never opened.

    Some chat templates put <think> into the prompt. The tag must have a line to itself.
    """
    found = re.compile(r"^</think>[ \t]*\n", re.MULTILINE).search(text, max(0, len(text) - new - 16))
    return found if found and "<think>" not in text[: found.start()] else None


class _Loop:
    """Notices a model that goes round in circles, and a server that ignores its limit."""

    def __init__(self, model: str, max_tokens: int) -> None:
        self._model = model
        self._most = 1000 + 16 * max_tokens
        self._size = self._checked = 0
        self._tail = ""

    def feed(self, said: str) -> None:
        self._size += len(said)
        self._tail = (self._tail + said)[-_LOOP_TIMES * _LOOP_CHARS :]
        if self._size > self._most:
            raise AnswerEndless(self._model, "wrote more than it was allowed")
        if self._size >= self._checked + 200:
            self._checked = self._size
            if _repeats(self._tail):
                raise AnswerEndless(self._model, "repeats itself")


def _repeats(text: str) -> bool:
    """Return whether a text ends in five copies or more of one piece, 600 characters or more in all."""
    for period in range(1, min(_LOOP_CHARS, len(text) // _LOOP_TIMES) + 1):
        piece = text[-period:]
        if text.endswith(piece, 0, len(text) - period):
            times = max(_LOOP_TIMES, -(-_LOOP_CHARS // period))
            if text.endswith(piece * times):
                return True
    return False


def _loads(text: str | bytes) -> Any:
    """Parse JSON that may be hostile: deep nesting is an error, half a surrogate pair becomes '?'."""
    try:
        found = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if b"\\ud" in text.lower() if isinstance(text, bytes) else "\\ud" in text.lower():
        return json.loads(json.dumps(found, ensure_ascii=False).encode(errors="replace"))
    return found
