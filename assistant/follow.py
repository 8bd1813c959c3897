"""A follow-up question becomes one that can be asked by itself: what is searched for.

    What is FSDP? … And how does it differ from DDP?    →    How does FSDP differ from DDP?

By the served model; without one, or where it fails or dawdles, by a rule: a question that points back ('it',
'such a', 'and …'), or has no word of its own to search for, gets the words that the one before was about, in
brackets: 'And how does it differ from DDP? (FSDP)'. `python -m eval.followups` measures both.
"""

import json
import re
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from assistant.errors import ServerError, ServerStalled
from assistant.visible import visible
from assistant.words import NEGATIONS, STOP_WORDS, stems

if TYPE_CHECKING:
    from assistant.journal import Kept
    from assistant.llm import LanguageModel

TURNS = 4
"""How many of the last questions are looked back at."""
ANSWER_CHARACTERS = 500
"""How much of each earlier answer is."""
TOPIC_WORDS = 6
"""Most words that the rule carries over: more drown those of the question."""
REWRITE_S = 8.0
"""A model that has not rewritten the question within this time is not waited for; the rule is used. Seconds."""
REWRITE_TOKENS = 512
"""Thinking included: a model that always thinks first needs some for that."""
MOST_CHARACTERS = 400
"""A longer rewritten question is no question."""
_BACK = frozenset(
    "it its they them their that this those these he she one ones other others latter former both same each there "
    "such then so two instead".split()
)
"""Words that point back to what was said."""
_FIRST = frozenset("and but or so also then".split())
"""Words that begin what only goes on."""
_PLAIN = frozenset(
    """work works working mean means happen happens many much change changed changes large big small differ differs
    different difference cost costs make makes use used using need needs look way kind kinds thing things take takes
    get gets give does really better best most do deal possible example explain tell describe help helps keep kept
    quickly often high low question questions long""".split()
)
"""Words that questions are made of, whatever they are about."""
_WORD = re.compile(r"[^\W_][\w+./-]*\w|[^\W_]")
_SCHEMA = {
    "type": "object",
    "properties": {"question": {"type": "string"}},
    "required": ["question"],
    "additionalProperties": False,
}
_SYSTEM = """You rewrite the last question of a conversation so that it can be understood by itself.
Put what it points back to ('it', 'the other', 'and with two?') in its place, in the words of the conversation.
Change nothing else, add nothing, answer nothing, keep its language. A question that stands by itself stays as it is.
Reply with JSON: {"question": "…"}"""


@dataclass(frozen=True, slots=True)
class Turn:
    """One question of a conversation, and what came of it."""

    question: str
    answer: str
    """Empty where the notes did not say."""
    standalone: str = ""
    """What was searched for; empty: the question itself."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A question as it can be asked by itself; it may be the same."""

    question: str
    silence: float = 0.0
    """For how long the model had said nothing when it was given up, in seconds; 0: it was not."""


def turns(kept: "Sequence[Kept]") -> tuple[Turn, ...]:
    """Return answers of a journal as what was said, oldest first; only those that are looked back at."""
    return tuple(
        Turn(one.question, str(one.document["answer"]), str(one.document.get("standalone", "")))
        for one in kept[-TURNS:]
    )


def standalone(question: str, history: Sequence[Turn], model: "LanguageModel | None" = None) -> Rewritten:
    """Return the question as it can be asked by itself.

    Args:
        question: The follow-up.
        history: What was said before, oldest first.
        model: Who rewrites it; None: the rule does.
    """
    if not history:
        return Rewritten(question)
    found = _by_model(question, history, model) if model else Rewritten("")
    return found if found.question else replace(found, question=by_rule(question, history[-1]))


def by_rule(question: str, before: Turn) -> str:
    """Return the question, with the topic of the one before where it can't do without."""
    words = [word.lower() for word in _WORD.findall(question)]
    points_back = _BACK.intersection(words) or _FIRST.intersection(words[:1])
    if not points_back and _topic(question):
        return question
    own = stems(question)
    topic = [word for word in _topic(before.standalone or before.question) if not stems(word) & own]
    return f"{question} ({' '.join(topic[:TOPIC_WORDS])})" if topic else question


def _topic(question: str) -> list[str]:
    """Return the words that a question is about, as they stand in it."""
    skipped = STOP_WORDS | NEGATIONS | _BACK | _PLAIN
    return list(dict.fromkeys(word for word in _WORD.findall(question) if word.lower() not in skipped))


def _by_model(question: str, history: Sequence[Turn], model: "LanguageModel") -> Rewritten:
    """Return the model's rewriting; an empty one where there is none to use."""
    messages = [
        {"role": "system", "content": _SYSTEM},
        {"role": "user", "content": f"{told(history)}\n\nLast question: {visible(question)}"},
    ]
    text, spoke = "", time.monotonic()
    until = spoke + REWRITE_S
    try:
        with closing(model.stream(messages, max_tokens=REWRITE_TOKENS, schema=_SCHEMA)) as deltas:
            for delta in deltas:
                text = delta.text if delta.restart else text + delta.text
                if delta.text or delta.reasoning:
                    spoke = time.monotonic()
                if time.monotonic() > until:
                    return Rewritten("", time.monotonic() - spoke)
        found = json.loads(text)["question"]
    except ServerStalled:
        return Rewritten("", time.monotonic() - spoke)
    except (ServerError, ValueError, LookupError, TypeError):
        return Rewritten("")
    clean = " ".join(visible(found).split()) if isinstance(found, str) else ""
    return Rewritten(clean if len(clean) <= MOST_CHARACTERS and stems(clean) else "")


def told(history: Sequence[Turn], most_bytes: int = TURNS * 2 * ANSWER_CHARACTERS) -> str:
    """Return what was said as text, the last turns of it that fit.

    Counted in bytes of UTF-8, of which a token has three to four in any script.
    """
    parts: list[str] = []
    for turn in reversed(history[-TURNS:]):
        answer = " ".join(visible(turn.answer).split()) or "(the notes don't say)"
        if len(answer) > ANSWER_CHARACTERS:
            answer = f"{answer[:ANSWER_CHARACTERS].rsplit(' ', 1)[0]} …"
        part = f"Earlier question: {visible(turn.question)}\nEarlier answer: {_without_marks(answer)}"
        most_bytes -= len(part.encode(errors="replace"))
        if most_bytes < 0:
            break
        parts.insert(0, part)
    return "\n\n".join(parts)


def _without_marks(answer: str) -> str:
    """Return an answer without its citation marks: the passages of this time have other numbers."""
    return re.sub(r"\s*\[\d+\]", "", answer)
