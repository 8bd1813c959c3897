"""A model that says what a script tells it, and items to ask about: no server, no luck."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from assistant.items import CLOZE, FLASHCARD, MCQ, Evidence, Item

PASSAGE = "A **warp** is a group of 32 threads that run together. An A100 has 108 SMs."
QUOTE = "A **warp** is a group of 32 threads that run together."


class Scripted:
    """Answers by a function of what it is asked; keeps every question."""

    name = "scripted"

    def __init__(self, say: Callable[[str], Any]) -> None:
        self._say = say
        self.heard: list[str] = []

    def complete(
        self, messages: Sequence[Mapping[str, str]], *, schema: Mapping[str, Any], max_tokens: int | None = None
    ) -> tuple[dict[str, Any], Any]:
        """Return what the script says, as a server would: through JSON."""
        self.heard.append(messages[-1]["content"])
        said: dict[str, Any] = json.loads(json.dumps(self._say(messages[-1]["content"])))
        return said, None


def evidence(quote: str = QUOTE, text: str = PASSAGE, *, path: str = "gpu/warps.md", version: str = "v1") -> Evidence:
    """Return a quote's place in a text."""
    start = text.index(quote)
    return Evidence(path, "line 1", quote, start, start + len(quote), version, "chunk-1")


def choice(question: str = "What is a group of 32 threads called?", key: str = "Warp") -> Item:
    """Return a sound multiple-choice item."""
    return Item(MCQ, question, key, evidence(), options=("Block", "Grid", "Kernel", key), made_by="rule: test")


def cloze(answer: str = "warp", *accepted: str) -> Item:
    """Return a cloze."""
    return Item(CLOZE, "A ____ is a group of 32 threads that run together.", answer, evidence(), accepted=accepted)


def flashcard() -> Item:
    """Return a card to turn."""
    return Item(FLASHCARD, "What is meant by “Warp”?", "a group of 32 threads that run together", evidence())
