"""Watch an answer while it is written: keep thinking apart, stop what goes round in circles."""

import re

from assistant.errors import AnswerEndless

_LOOP_CHARS, _LOOP_TIMES = 600, 5


_MARKS = {"<think>": "</think>", "<thinking>": "</thinking>", "[THINK]": "[/THINK]"}
"""What opens thinking, and what closes it."""
_CLOSING = re.compile("|".join(map(re.escape, _MARKS.values())))
_SENTENCE_ENDS = re.compile(r"(?:^|[.!?…][\"'”’)\]*]*)[ \t]*$")
_ANSWER_BEGINS = re.compile(r"[ \t]{0,8}(?:\n|[^\W_a-z]|[#*\[{$(-])")


class Thinking:
    """Parts thinking from the answer that follows, wherever the stream cuts the marks.

    Opened only before the answer's first word: an answer may well be about these marks. Some chat templates put the
    opening one into the prompt; then a closing one ends what was taken for the answer, where it stands between the two
    and not in a sentence or in code.
    """

    def __init__(self) -> None:
        self._held = ""
        self._awaited = ""
        """What closes the thinking that is being read; empty: none is."""
        self._answering = self._thought = False
        self._answer = ""

    def feed(self, content: str, reasoning: str = "", *, last: bool = False) -> tuple[str, str, bool]:
        """Return the answer and the thinking that are now certain, and whether all before was thinking after all.

        Args:
            content: What the model wrote.
            reasoning: What the server itself says is thinking.
            last: Whether nothing follows.
        """
        new, thought = self._parted(content, last)
        thought = reasoning + thought
        self._thought = self._thought or bool(thought)
        self._answer += new
        end = None if self._thought else _orphan(self._answer, len(new), last)
        if end is None:
            return new, thought, False
        before, rest = self._answer[: end.start()], self._answer[end.end() :]
        self._answering, self._thought = False, True
        new, thought = self._parted(rest, last)
        return new, before + thought, True

    def _parted(self, content: str, last: bool) -> tuple[str, str]:
        held, thought = self._held + content, ""
        while not self._answering:
            if self._awaited:
                inner, closed, after = held.partition(self._awaited)
                if not closed:
                    cut = len(held) if last else len(held) - _begun(held, self._awaited)
                    self._held = held[cut:]
                    return "", thought + held[:cut]
                thought, held, self._awaited = thought + inner, after, ""
                continue
            held = held.lstrip()
            if opened := next((mark for mark in _MARKS if held.startswith(mark)), ""):
                held, self._awaited = held.removeprefix(opened), _MARKS[opened]
            elif not last and any(mark.startswith(held) for mark in _MARKS):
                self._held = held
                return "", thought
            else:
                self._answering = True
        self._held = ""
        return held, thought


def _begun(text: str, mark: str) -> int:
    """Return how many characters of a mark a text ends with."""
    return next(n for n in range(len(mark) - 1, -1, -1) if text.endswith(mark[:n]))


def _orphan(text: str, new: int, last: bool) -> re.Match[str] | None:
    """Return the mark, in the last `new` characters or so, that closes thinking which nothing opened."""
    for found in _CLOSING.finditer(text, max(0, len(text) - new - 32)):
        before, after = text[: found.start()], text[found.end() :] + "\n" * last
        line = before.rpartition("\n")[2]
        if before.startswith("{") or any(mark in before for mark in _MARKS):
            return None
        if before.count("```") % 2 or line.count("`") % 2:
            continue
        glued = re.search(r"[\w.!?…)\]*]$", line) and re.match(r"\w", after)
        between = _SENTENCE_ENDS.search(line) and _ANSWER_BEGINS.match(after)
        if glued or between or re.match(r"[ \t]{0,8}\n[ \t]{0,8}\n", after):
            return found
    return None


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
