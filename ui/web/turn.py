"""A question and its answer → what stands in the conversation."""

from collections.abc import Mapping, Sequence
from typing import Any

from assistant.answer import NO_MODEL, NOT_IN_THE_NOTES
from ui.web.render import answer_html, chip, escaped, failed, footnotes, sentence

_THUMBS = (("up", "This answer helped"), ("down", "Something is wrong with this answer"))
_THUMB = (
    '<svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true" class="{name}"><path fill="none" '
    'stroke="currentColor" stroke-width="2" stroke-linejoin="round" d="M7 10v11H3V10h4zm0 0 4-8c2 0 3 1 3 3l-1 '
    '4h6a2 2 0 0 1 2 2l-2 8a3 3 0 0 1-3 2H7"/></svg>'
)


def waiting_html(question: str, doing: str) -> str:
    """Return a turn that has nothing to show yet."""
    return _turn("", question, f'<p class="doing" role="status">{escaped(doing)}</p>')


def writing_html(question: str, text: str, passages: Sequence[Mapping[str, Any]], doing: str) -> str:
    """Return a turn whose answer is being written, above the passages that it is made from.

    Args:
        question: As it was asked.
        text: What the model has written so far.
        passages: As in `Answer.as_json`.
        doing: What is going on, in a few words.
    """
    written = f'<div class="answer">{answer_html(text)}</div>' if text else ""
    status = f'<p class="doing" role="status">{escaped(doing)}</p>'
    return _turn("", question, written + status + _sources("Passages found", passages))


def failed_html(question: str, reason: str) -> str:
    """Return a turn that came to nothing."""
    return _turn("", question, failed(reason))


def answered_html(answer: Mapping[str, Any], turn: int | str, thumb: str = "") -> str:
    """Return a turn with its answer.

    Args:
        answer: As `Answer.as_json` gives it, with its `marked` text.
        turn: What names it in the journal.
        thumb: "up" or "down" where the learner said so.
    """
    notice = _notice(answer["notice"]) if answer["notice"] else ""
    searched = answer.get("standalone")
    understood = f'<p class="notice">Understood as: {escaped(searched)}</p>' if searched else ""
    if answer["outcome"] == NOT_IN_THE_NOTES:
        body = _not_in_notes(answer["nearest"])
    else:
        body = f'<div class="answer">{answer_html(answer["marked"], answer["citations"])}</div>'
        body += (
            _sources("Sources", answer["citations"])
            if answer["citations"]
            else _sources("No passage is cited. The nearest ones", answer["passages"][:3], action="passage")
        )
    return _turn(str(turn), answer["question"], understood + notice + body + _tools(answer, thumb))


def _notice(notice: str) -> str:
    """The page says at its top which server is missing, so an answer needn't say it again."""
    short = NO_MODEL if notice.startswith(f"{NO_MODEL}: no model server") else notice
    return f'<p class="notice">{escaped(sentence(short))}.</p>'


def _not_in_notes(nearest: Sequence[str]) -> str:
    notes = "".join(
        f'<li><button type="button" class="link" data-do="note" data-note="{name}">{name}</button></li>'
        for name in map(escaped, nearest)
    )
    near = f"<p>The nearest notes:</p><ul>{notes}</ul>" if notes else ""
    return f'<div class="answer refused"><p><strong>Your notes don’t say.</strong></p>{near}</div>'


def _sources(title: str, citations: Sequence[Mapping[str, Any]], action: str = "source") -> str:
    items = "".join(
        f"<li>{chip(one['n'], one['path'], action)}<span>{escaped(one['path'])} · {escaped(one['locator'])}</span></li>"
        for one in citations
    )
    return f'<div class="sources"><h3>{title}</h3><ol>{items}</ol></div>' if items else ""


def _tools(answer: Mapping[str, Any], thumb: str) -> str:
    thumbs = "".join(
        f'<button type="button" data-do="{name}" aria-label="{label}" title="{label}" '
        f'aria-pressed="{str(thumb == name).lower()}">{_THUMB.format(name=name)}</button>'
        for name, label in _THUMBS
    )
    copied = escaped(footnotes(answer["marked"], answer["citations"]))
    buttons = (
        f'<button type="button" data-do="copy" data-text="{copied}">Copy as Markdown</button>'
        '<button type="button" data-do="quiz">Quiz me on this</button>'
        '<button type="button" data-do="hood">Under the hood</button>'
    )
    return f'<div class="tools">{thumbs}{buttons}</div>'


def _turn(name: str, question: str, body: str) -> str:
    return (
        f'<article class="turn" data-turn="{escaped(name)}"><h2 class="asked">{escaped(question)}</h2>{body}</article>'
    )
