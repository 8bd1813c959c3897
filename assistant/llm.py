"""Ask the model that the user serves: the only file that knows the OpenAI protocol.

A streamed chat completion is server-sent events, one JSON object to a line:

    data: {"choices": [{"index": 0, "delta": {"content": "FSDP shards"}, "finish_reason": null}]}
    data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    data: {"choices": [], "usage": {"prompt_tokens": 812, "completion_tokens": 2}}
    data: [DONE]
"""

import re
import threading
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty
from time import monotonic
from typing import Any

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
)
from assistant.exchange import Exchange, Server, loads
from assistant.settings import AssistantSettings
from assistant.watch import Thinking, Watch, once

Messages = Sequence[Mapping[str, str]]
"""Each with its role (system, user or assistant) and its content."""

_TICK_S = 0.5
_COUNT_S = 0.5
_DEFAULT_CONTEXT = 4096


@dataclass(frozen=True, slots=True)
class Usage:
    """What the server counted."""

    prompt_tokens: int
    completion_tokens: int
    """Thinking included."""
    cached_tokens: int
    """How many of the prompt's it did not have to compute again; 0 where it does not say."""

    @property
    def told(self) -> dict[str, int]:
        """The same as answers, journals and figures have it."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "answer_tokens": self.completion_tokens,
        }


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
    kind: str = "ModelMissing"
    """Name of the error behind it."""


def find(settings: AssistantSettings) -> "LanguageModel | Absent":
    """Return the model to ask, or why there is none, within `llm_connect_ms`."""
    try:
        server = Server(settings)
        models = _models(server, settings)
    except ServerError as error:
        return Absent(str(error), type(error).__name__)
    if not models:
        return Absent(f"the server at {server.url} serves no model; load one")
    name = settings.llm_model or next(iter(models))
    if name not in models:
        has = server.said(", ".join(models))
        return Absent(f"the model {name} is not served at {server.url}; it has{has}; set STUDY_LLM_MODEL")
    limits = [limit for limit in (settings.llm_context_tokens, models[name]) if limit]
    return LanguageModel(settings, server, name, min(limits, default=_DEFAULT_CONTEXT))


class LanguageModel:
    """A model on a server that answered; safe to use from several threads."""

    def __init__(self, settings: AssistantSettings, server: Server, name: str, context_tokens: int) -> None:
        self._settings = settings
        self._server = server
        self._refusal = partial(_refusal, server, name)
        self._tokenizes = True
        self.name = name
        self.context_tokens = context_tokens
        """Most tokens of prompt and answer together."""
        self.spent = Counter[str]()
        """Tokens that the server counted since this was made: prompt_tokens, cached_tokens, answer_tokens."""
        self._counting = threading.Lock()

    def stream(
        self,
        messages: Messages,
        *,
        max_tokens: int | None = None,
        schema: Mapping[str, Any] | None = None,
        waited: float = 0.0,
    ) -> Generator[Delta, None, None]:
        """Yield the answer piece by piece; closing the generator hangs up, and so stops the server.

        Args:
            messages: The prompt.
            max_tokens: Most tokens to write, thinking included; by default `llm_max_answer_tokens`.
            schema: JSON schema that the answer must follow.
            waited: Seconds that this server was waited for in vain just before; the wait for the first token is
                so much shorter.

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
        if settings.llm_reasoning_effort:
            body["reasoning_effort"] = settings.llm_reasoning_effort
        if schema is not None:
            form = {"name": "answer", "schema": schema, "strict": True}
            body["response_format"] = {"type": "json_schema", "json_schema": form}

        text, finish, usage = "", "", None
        split, watch = Thinking(), Watch(self.name, most)
        try:
            with closing(self._events(body, waited)) as events:
                for event in events:
                    finish, usage = event.finish_reason or finish, event.usage or usage
                    watch.feed(event.text + event.reasoning)
                    new, thought, restart = split.feed(event.text, event.reasoning)
                    text = new if restart else text + new
                    yield Delta(new, thought, restart)
            self._count(usage)
            new, thought, restart = split.feed("", last=True)
            text = new if restart else text + new
            yield Delta(new, thought, restart)
            if finish in ("", "abort", "error"):
                raise AnswerCut(self._server.url)
            if not text.strip():
                raise AnswerEmpty(self.name, finish)
            yield Delta(finish_reason=finish, usage=usage)
        except ServerError as error:
            error.partial = once(text, error.period) if isinstance(error, AnswerEndless) else text
            raise

    def complete(
        self, messages: Messages, *, schema: Mapping[str, Any], max_tokens: int | None = None
    ) -> tuple[dict[str, Any], Usage | None]:
        """Return the JSON object that was asked for; nothing is mended, only a code fence taken off.

        Raises:
            AnswerUnparsable: The answer is whole and is no JSON object.
            ServerError: Any other kind.
        """
        text, last = "", Delta()
        with closing(self.stream(messages, max_tokens=max_tokens, schema=schema)) as deltas:
            for last in deltas:
                text = last.text if last.restart else text + last.text
        fenced = re.fullmatch(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", text, re.DOTALL)
        found = None
        with suppress(ValueError):
            found = loads(fenced[1] if fenced else text)
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
            with suppress(ServerError, Empty, LookupError, TypeError, ValueError):
                body = {"model": self.name, **what}
                exchange = Exchange(self._server, path, body, refusal=self._refusal)
                return int(exchange.json(monotonic() + _COUNT_S)["count"])
            self._tokenizes = False
        if isinstance(prompt, str):
            return estimate_tokens(prompt)
        return 64 + sum(16 + estimate_tokens(message["content"]) for message in prompt)

    def _count(self, usage: Usage | None) -> None:
        if usage:
            with self._counting:
                self.spent.update(usage.told)

    def _events(self, body: dict[str, Any], waited: float) -> Generator[Delta, None, None]:
        """Yield what the server sends, as it is, and an empty piece when nothing came for a while."""
        server, settings = self._server, self._settings
        first, stall = settings.llm_first_token_s, settings.llm_stall_s
        silence = f"sent no token within {first:g} s", "STUDY_LLM_FIRST_TOKEN_S"
        until, finished = monotonic() + first - waited, False
        path = f"{server.path}/chat/completions"
        exchange = Exchange(server, path, body, refusal=self._refusal, retries=2)
        try:
            while True:
                try:
                    line = exchange.line(min(until, monotonic() + _TICK_S))
                except Empty:
                    if monotonic() < until:
                        yield Delta()
                        continue
                    if finished:
                        return  # The answer is whole, though neither usage nor [DONE] came.
                    raise exchange.trouble or ServerStalled(server.url, *silence) from None
                except AnswerCut:
                    if finished:
                        return
                    raise
                if line is None:
                    return
                data = _data(server, line)
                if data == b"[DONE]":
                    if not finished:
                        yield Delta(finish_reason="stop")
                    return
                if data:
                    event = _piece(server, self.name, data)
                    yield event
                    if event.text or event.reasoning:
                        until = monotonic() + stall
                        silence = f"fell silent for {stall:g} s in mid-answer", "STUDY_LLM_STALL_S"
                    if event.finish_reason:
                        until, finished = min(until, monotonic() + 1), True
        finally:
            exchange.close()


def estimate_tokens(text: str) -> int:
    """Return a number of tokens that no usual tokenizer exceeds on prose, code or tables.

    One for three lower-case letters, with the capital before them; one for any other ASCII character, a
    single space before a letter excepted; one for each UTF-8 byte of the rest. On our notes that is 1.4 to
    2 times what tokenizers of 49,000 to 200,000 entries count. Only letters at random (base64) get more.
    """
    pieces = re.findall(r"[A-Z]?[a-z]{1,3}|[!-~]| {1,4}(?![A-Za-z])|[\0-\x1f\x7f]", text)
    return len(pieces) + len(text.encode(errors="replace")) - sum(map(str.isascii, text))


def _models(server: Server, settings: AssistantSettings) -> dict[str, int]:
    """Return the context of each model that is served, by name, in the server's order; 0: it does not say."""
    until = monotonic() + settings.llm_connect_ms / 1000
    refusal = partial(_refusal, server, settings.llm_model)
    exchange = Exchange(server, f"{server.path}/models", refusal=refusal)
    try:
        listed = exchange.json(until)["data"]
        return {model["id"] + "": int(model.get("max_model_len") or 0) for model in listed}
    except Empty:
        stage = "took the connection but did not say what it serves" if exchange.connected else "did not answer"
        missing = f"{stage} within {settings.llm_connect_ms} ms"
        raise ServerStalled(server.url, missing, "STUDY_LLM_CONNECT_MS") from None
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        raise AnswerJunk(server.url, "its list of models has another shape") from error


def _data(server: Server, line: bytes) -> bytes:
    """Return what a line of an event stream carries, empty where it carries nothing."""
    line = line.strip()
    if line.startswith(b"data:"):
        return line[5:].lstrip()
    if line and not line.startswith((b":", b"event:", b"id:", b"retry:")):
        raise AnswerJunk(server.url, f"not an event stream{server.said(line.decode(errors='replace'), 60)}")
    return b""


def _piece(server: Server, model: str, data: bytes) -> Delta:
    """Return an event's content (as text), reasoning, finish reason and usage."""
    try:
        event = loads(data)
        if fault := event.get("error"):
            code = fault.get("code") if isinstance(fault, dict) else None
            raise _refusal(server, model, code if isinstance(code, int) else 500, data.decode())
        counts, usage = event.get("usage"), None
        if counts:
            cached = (counts.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
            usage = Usage(int(counts["prompt_tokens"]), int(counts["completion_tokens"]), int(cached))
        if not event["choices"]:
            return Delta(usage=usage)
        choice = event["choices"][0]
        delta = choice["delta"]
        reasoning = delta.get("reasoning_content") or delta.get("reasoning") or ""
        finish = choice.get("finish_reason") or ""
        return Delta((delta.get("content") or "") + "", reasoning + "", finish_reason=finish + "", usage=usage)
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
        heard = server.said(data.decode(errors="replace"), 60)
        raise AnswerJunk(server.url, f"an event of another shape{heard}") from error


def _refusal(server: Server, model: str, status: int, body: str, retry_after: str = "") -> ServerError:
    """Return what a status that is not 200 means."""
    with suppress(ValueError, AttributeError):
        found = loads(body)
        found = found.get("error") or found
        body = str(found.get("message") or found.get("detail") or found) if isinstance(found, dict) else found
    said = server.said("" if str(body).lstrip().startswith("<") else str(body))
    if status in (401, 403):
        return ServerRefused(server.url, status)
    if status == 404:
        return ModelMissing(server.url, model, said)
    if status in (429, 503):
        wait = float(retry_after) if retry_after.isdecimal() else 0.5
        return ServerBusy(server.url, status, retry_after=wait if wait <= 5 else None)
    if re.search(r"context.?(length|size|window)", said, re.IGNORECASE):
        limit = re.search(r"context.?(?:length|size|window)\D{0,20}(\d+)", said)
        wanted = re.search(r"(\d+) (?:input tokens|in the messages)|request \((\d+) tokens", said)
        asked = int(wanted[1] or wanted[2]) if wanted else 0
        return ContextOverflow(server.url, said, limit=int(limit[1]) if limit else 0, wanted=asked)
    return ServerFailed(server.url, status, ": a redirect, which is not followed" if status < 400 else said)
