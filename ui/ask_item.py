"""One item at the terminal: the question, the answer, whether it was right and why, and when it comes back."""

import datetime
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from ui.show import counted, line_of

if TYPE_CHECKING:
    from assistant.grade import Grade, Model
    from assistant.items import Item
    from assistant.review import Review, Reviews

QUIT, RIGHT_AFTER_ALL = "q", "!"
HINTS = {
    "mcq": "1–4",
    "true_false": "t or f",
    "ordering": "the numbers in their right order",
    "cloze": "what belongs into the blank",
    "flashcard": "Enter shows the answer",
}
IN_WORDS = ("cloze", "short", "explain")
"""Kinds whose answer may be what ends elsewhere: the letter of a matrix."""


class Asking:
    """Asks items one by one, and keeps every graded answer before it is told how it went."""

    def __init__(self, reviews: "Reviews", model: "Model | None", *, source: str) -> None:
        self._reviews, self._model, self._source = reviews, model, source
        self._last: tuple[Review, Item] | None = None
        self.asked = self.right = 0

    def ask_all(self, items: "Iterable[Item]") -> bool:
        """Ask items until there are no more, and tell how it went; return whether the learner did not end before."""
        try:
            whole = all(map(self._ask, items))
            if whole and self._last_was_wrong:
                click.echo(f"   [Enter ends; {RIGHT_AFTER_ALL} says that you were right] ", nl=False)
                if self._read() == RIGHT_AFTER_ALL:
                    self._overrule()
        finally:
            if self.asked:
                click.echo(
                    f"\n{self.right} of {self.asked} right. “!” after a wrong one says that you were right after all."
                )
        return whole

    def _ask(self, item: "Item") -> bool:
        """Ask one item; return whether to go on."""
        from assistant.grade import grade
        from assistant.items import FLASHCARD
        from assistant.review import AGAIN, rating_of

        click.echo(f"\n{self.asked + 1}. {line_of(item.question)}")
        for number, option in enumerate(item.options, start=1):
            click.echo(f"   {number}  {line_of(option)}")
        started = time.monotonic()
        given = self._answer(item)
        if given is None:
            return False
        took_ms = int((time.monotonic() - started) * 1000)
        graded = grade(item, given, self._model)
        while graded.unread:
            click.echo(f"   {line_of(graded.why)}")
            given = self._answer(item)
            if given is None:
                return False
            graded = grade(item, given, self._model)
        if graded.correct is not None:
            self._keep(item, given, graded, took_ms, rating_of(graded.correct), correct=graded.correct)
        self._tell(item, graded)
        rating = self._rating(item, graded)
        if graded.correct is None and rating is not None:
            correct = None if item.kind == FLASHCARD else rating > AGAIN
            self._keep(item, given, graded, took_ms, rating, correct=correct)
        elif rating is not None and self._last is not None:
            self._last = self._reviews.rate(self._last[0], rating), item
        if rating is not None:
            self._tell_next(item)
        return rating is not None

    def _keep(
        self, item: "Item", given: str, graded: "Grade", took_ms: int, rating: int, *, correct: bool | None
    ) -> None:
        """Keep an answer: nothing is told that could be lost."""
        from assistant.review import AGAIN

        by = graded.by if graded.correct is not None else "learner"
        review = self._reviews.add(
            item, rating, correct=correct, given=given, by=by, why=graded.why, took_ms=took_ms, source=self._source
        )
        self._last = review, item
        self.asked += 1
        self.right += correct if correct is not None else rating > AGAIN

    def _tell(self, item: "Item", graded: "Grade") -> None:
        from assistant.facts import plain

        answer = line_of(item.in_words)
        verdict = {True: "Right.", False: f"Wrong: {answer}", None: answer}[graded.correct]
        click.echo(f"   {verdict}")
        if graded.correct and item.kind not in ("mcq", "true_false"):
            click.echo(f"   {answer}")
        if item.kind == "true_false" and item.explanation:
            click.echo(f"   {line_of(item.explanation)}")
        for point in item.rubric:
            click.echo(f"   · {line_of(point)}")
        if graded.why:
            click.echo(f"   ({line_of(graded.why)})")
        evidence = item.evidence
        if evidence.path:
            said = item.explanation if evidence.quote.startswith("|") else plain(evidence.quote)
            click.echo(f"   “{line_of(said)}”\n   {line_of(evidence.path)}, {line_of(evidence.locator)}")
        elif item.explanation and item.kind != "true_false":
            click.echo(f"   {line_of(item.explanation)}")

    def _rating(self, item: "Item", graded: "Grade") -> int | None:
        """Return 1 to 4; None where the learner ends."""
        from assistant.review import AGAIN, GOOD, RATINGS

        if graded.correct is False:
            return AGAIN
        if graded.correct is True and self._source != "review":
            return GOOD
        if graded.correct is None and item.kind != "flashcard":
            said = self._line("   were you right? [y/n] ")
            return None if said is None else GOOD if said.lower().startswith(("y", "j", "r")) else AGAIN
        names = "  ".join(f"{number} {name}" for number, name in RATINGS.items())
        while True:
            said = self._line(f"   [{names}; Enter: good] ")
            if said is None or said == "":
                return GOOD if said == "" else None
            found = [n for n, name in RATINGS.items() if said.lower() in (str(n), name, name[0])]
            if found:
                return found[0]
            click.echo("   say 1, 2, 3 or 4")

    def _tell_next(self, item: "Item") -> None:
        card = self._reviews.card(item.id)
        if card is not None:
            click.echo(f"   next: {when(card.due.timestamp(), self._reviews.now())}")

    def _answer(self, item: "Item") -> str | None:
        """Return what the learner answers; None where they end."""
        prompt = f"[{HINTS.get(item.kind, 'answer')}; q ends] "
        if item.kind not in IN_WORDS:
            return self._line(prompt)
        said = self._line(prompt, quits=False)  # it may be the answer: the letter of a matrix
        if said is None or said.lower() != QUIT:
            return said
        click.echo(f"   “{said}” ends; Enter ends, a gives it as your answer ", nl=False)
        return said if self._read() == "a" else None

    def _line(self, prompt: str, *, quits: bool = True) -> str | None:
        """Return what the learner types; None where they end, or the input does."""
        while True:
            click.echo(prompt, nl=False)
            said = self._read()
            if said is None or (quits and said.lower() == QUIT):
                return None
            if said != RIGHT_AFTER_ALL:
                return said
            self._overrule()

    def _read(self) -> str | None:
        """Return a line without the white space around it; None at the end of the input."""
        sys.stdout.flush()
        line = sys.stdin.readline()
        if not sys.stdin.isatty():
            click.echo()
        return line.strip() if line else None

    def _overrule(self) -> None:
        from assistant.review import GOOD

        if not self._last_was_wrong:
            click.echo("   there is no wrong answer to overrule")
            return
        assert self._last is not None
        review, item = self._last
        self._reviews.overrule(review.id, GOOD, correct=True)
        self._last = None
        self.right += 1
        click.echo(f"   noted: you were right about “{line_of(item.question)}”")
        self._tell_next(item)

    @property
    def _last_was_wrong(self) -> bool:
        return self._last is not None and self._last[0].correct is False


def when(due: float, now: float) -> str:
    """Return a time from now on, as people say it."""
    away = due - now
    if away <= 0:
        return "now"
    if away < 5400:
        return f"in {max(1, round(away / 60))} min"
    if away < 86400:
        return f"in {round(away / 3600)} h"
    day = datetime.datetime.fromtimestamp(due).strftime("%Y-%m-%d")
    return f"in {counted(round(away / 86400), 'days')} ({day})"
