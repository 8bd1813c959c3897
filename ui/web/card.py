"""A card: a question, or its answer with the reason and the place, in HTML; and where both stand on a page."""

from collections.abc import Callable
from typing import Any

import gradio as gr

from assistant.items import CLOZE, EXPLAIN, FLASHCARD, MCQ, ORDERING, SHORT, TRUE_FALSE, Item
from assistant.review import GOOD, RATINGS
from ui.web.parts import BESIDE, KEYS
from ui.web.render import empty, escaped, failed
from ui.web.round import Round

TYPED = {SHORT, CLOZE, EXPLAIN, ORDERING}
"""Kinds that are answered in words."""
HINTS = {
    CLOZE: "What belongs into the blank?",
    SHORT: "Answer in a few words.",
    EXPLAIN: "Explain it in your own words.",
    ORDERING: "Type the numbers in their right order.",
}


class Card:
    """Where a question stands: the card, the box beneath it for what is typed, and the passage beside it."""

    def __init__(self, name: str, start: Callable[[], None], nothing: str, side: str) -> None:
        """Lay it out.

        Args:
            name: Of its tab, for the page.
            start: Lays out what stands above the card.
            nothing: What the card says where no question is.
            side: What stands beside it where no passage is.
        """
        self._empty = empty(nothing, "question")
        self.nothing = empty(side)
        """What stands beside the card where no passage is."""
        with gr.Row(elem_classes="questions"):
            with gr.Column(scale=3):
                start()
                self.html = gr.HTML(self._empty, elem_id=f"{name}-card", elem_classes="card", js_on_load=KEYS)
                with gr.Row(visible=False, elem_classes="typed") as self.typing:
                    self.box = gr.Textbox(label="Your answer", lines=1, max_lines=6, scale=4, elem_id=f"{name}-answer")
                    self.give = gr.Button("Answer", variant="primary", scale=1, min_width=90)
            with gr.Column(scale=2, elem_classes="beside"):
                self.side = gr.HTML(self.nothing, elem_id=f"{name}-source", js_on_load=BESIDE)
        self.step = gr.State(0)
        """Which step of a round the page shows: what is typed is an answer to that one."""
        self.shown = [self.html, self.typing, self.box, self.side, self.step]

    def empty(self, told: str = "") -> dict[Any, Any]:
        """Show that there is no question, or a few words."""
        return self.plain(empty(told, "question") if told else self._empty) | {self.side: self.nothing}

    def doing(self, what: str) -> dict[Any, Any]:
        """Show what is going on before the first question."""
        return self.plain(f'<p class="doing" role="status">{escaped(what)}</p>') | {self.side: self.nothing}

    def plain(self, html: str) -> dict[Any, Any]:
        """Show something that is not answered in words."""
        return {self.html: html, self.typing: gr.update(visible=False), self.step: 0}

    def question(self, item: Item, html: str, step: int) -> dict[Any, Any]:
        """Show a question."""
        label = HINTS.get(item.kind, "Your answer")
        return {
            self.html: html,
            self.typing: gr.update(visible=item.kind in TYPED),
            self.box: gr.update(value="", label=label),
            self.side: self.nothing,
            self.step: step,
        }


def question_html(item: Item, number: int, step: int, told: str = "") -> str:
    """Return a question that waits for its answer: nothing here tells which one is right.

    Args:
        item: What is asked.
        number: Which question it is, from 1.
        step: Of the round or exam: what is pressed is an answer to that one.
        told: What was wrong with the last answer to it.
    """
    options = ""
    if item.kind in (MCQ, TRUE_FALSE):
        given = item.options if item.kind == MCQ else ("True", "False")
        options = "".join(
            f'<li><button type="button" class="option" data-do="answer" data-given="{escaped(said)}" '
            f'data-step="{step}" data-key="{n}"><kbd>{n}</kbd> <span>{escaped(option)}</span></button></li>'
            for n, option in enumerate(given, start=1)
            for said in [f"#{n}" if item.kind == MCQ else option.lower()]
        )
        options = f'<ol class="options">{options}</ol>'
    elif item.kind == ORDERING:
        listed = "".join(f"<li>{escaped(option)}</li>" for option in item.options)
        options = f'<ol class="order">{listed}</ol>'
    elif item.kind == FLASHCARD:
        options = (
            f'<p><button type="button" class="button main" data-do="answer" data-given="" data-step="{step}" '
            'data-key="enter">Show the answer <kbd>space</kbd></button></p>'
        )
    heading = f'<h2 tabindex="-1"><small>{number}</small> {escaped(item.question)}</h2>'
    return f'<section class="question">{heading}{options}{failed(told) if told else ""}</section>'


def graded_html(of: Round, due: str) -> str:
    """Return a question with what was answered, what is right, and why.

    Args:
        of: A round in which a question was just answered.
        due: When the question comes back, in words.
    """
    item, graded = of.item, of.graded
    assert item is not None
    assert graded is not None
    right = of.review.correct if of.review else graded.correct
    verdict = {True: "Right", False: "Not right", None: "The answer"}[right]
    kind = {True: "right", False: "wrong", None: "open"}[right]
    said = f"<p>You said: {escaped(of.given)}</p>" if of.given and item.kind in TYPED else ""
    why = f"<p>{escaped(graded.why)}</p>" if graded.why else ""
    points = "".join(f"<li>{escaped(point)}</li>" for point in item.rubric)
    rubric = f"<p>It had to say:</p><ul>{points}</ul>" if points else ""
    explained = f"<p>{escaped(item.explanation)}</p>" if item.explanation else ""
    return (
        f'<section class="question"><h2>{escaped(item.question)}</h2>{_answers(of)}'
        f'<div class="verdict {kind}" role="status" tabindex="-1"><p><strong>{verdict}.</strong> '
        f"{_answer_text(item)}</p></div>{said}{why}{rubric}{explained}{_place(item)}{_going_on(of)}"
        f'<p class="remark">{escaped(due)} {f"Made by {escaped(item.made_by)}." if item.made_by else ""}</p></section>'
    )


def ended_html(of: Round, more: str) -> str:
    """Return how a round went.

    Args:
        of: The round.
        more: What else there is to say, in HTML.
    """
    links = "".join(
        f'<li><button type="button" class="link" data-do="passage" data-n="{n}">{escaped(item.question)}</button>'
        f"<br><small>{escaped(item.evidence.path)} · {escaped(item.evidence.locator)}</small></li>"
        for n, item in enumerate(of.wrong)
    )
    wrong = f"<h3>To look at again</h3><ul>{links}</ul>" if links else ""
    return (
        f'<section class="question" role="status"><h2 tabindex="-1">{of.right} of {len(of.outcomes)} right</h2>'
        f"{more}{wrong}</section>"
    )


def cited(item: Item) -> dict[str, Any]:
    """Return what an item rests on, as a citation is told."""
    evidence = item.evidence
    names = ("path", "locator", "quote", "start", "end", "version")
    return {name: getattr(evidence, name) for name in names} | {"text": evidence.quote}


def _answer_text(item: Item) -> str:
    return escaped(item.answer.capitalize() if item.kind == TRUE_FALSE else item.in_words)


def _answers(of: Round) -> str:
    """Return the options, the right and the chosen one marked."""
    item = of.item
    assert item is not None
    if item.kind != MCQ:
        return ""
    rows = []
    for n, option in enumerate(item.options, start=1):
        kind = "right" if option == item.answer else "wrong" if of.given == f"#{n}" else ""
        mark = {"right": " ✓", "wrong": " ✗", "": ""}[kind]
        rows.append(f'<li class="option {kind}"><kbd>{n}</kbd> <span>{escaped(option)}{mark}</span></li>')
    return f'<ol class="options">{"".join(rows)}</ol>'


def _place(item: Item) -> str:
    if not item.evidence.path:
        return ""
    place = f"{escaped(item.evidence.path)} · {escaped(item.evidence.locator)}"
    return f'<p class="place"><button type="button" class="link" data-do="beside">{place}</button></p>'


def _going_on(of: Round) -> str:
    if of.to_rate:
        asked = "Were you right?" if of.by_learner and of.item and of.item.kind != FLASHCARD else "How did it go?"
        buttons = "".join(
            f'<button type="button" class="button" data-do="rate" data-rating="{n}" data-step="{of.step}" '
            f'data-key="{f"{n} enter" if n == GOOD else n}"><kbd>{n}</kbd> {name}</button>'
            for n, name in RATINGS.items()
        )
        return f'<div class="rate"><p>{asked}</p>{buttons}</div>'
    after_all = (
        f'<button type="button" class="button" data-do="overrule" data-step="{of.step}">I was right</button>'
        if of.review and of.review.correct is False
        else ""
    )
    return (
        f'<div class="rate"><button type="button" class="button main" data-do="next" data-step="{of.step}" '
        f'data-key="enter">Next <kbd>Enter</kbd></button>{after_all}</div>'
    )
