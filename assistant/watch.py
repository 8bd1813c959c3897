"""Watch an answer while it is written: keep thinking apart, stop what goes round in circles."""

import re

from assistant.errors import AnswerEndless

_LOOP_CHARS, _LOOP_TIMES = 600, 5


class Thinking:
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


def orphan_tag(text: str, new: int) -> re.Match[str] | None:
    """Return where, in the last `new` characters or so, a closing tag ends thinking that was never opened.

    Some chat templates put <think> into the prompt. The tag must have a line to itself.
    """
    found = re.compile(r"^</think>[ \t]*\n", re.MULTILINE).search(text, max(0, len(text) - new - 16))
    return found if found and "<think>" not in text[: found.start()] else None


class Watch:
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
            if period := _period(self._tail):
                raise AnswerEndless(self._model, "repeats itself", period=period)


def once(text: str, period: int) -> str:
    """Return a text that ends in copies of a piece of so many characters with the first of them alone."""
    start = len(text) - period
    while 0 < start < len(text) and text[start - 1] == text[start - 1 + period]:
        start -= 1
    return text[: start + period]


def _period(text: str) -> int:
    """Return the length of the piece that a text ends in five copies or more of, 600 characters or more; else 0."""
    for period in range(1, min(_LOOP_CHARS, len(text) // _LOOP_TIMES) + 1):
        piece = text[-period:]
        if text.endswith(piece, 0, len(text) - period):
            times = max(_LOOP_TIMES, -(-_LOOP_CHARS // period))
            if text.endswith(piece * times):
                return period
    return 0
