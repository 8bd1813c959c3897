"""The command `ask eval keep`: an answer that was wrong becomes a case of the learner's own."""

import contextlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from assistant.journal import Feedback, Kept
    from assistant.settings import AssistantSettings


@click.command()
@click.argument("answer_id", metavar="[ANSWER]", type=int, required=False)
@click.option("--note", default="", help="The note that has the right answer, relative to the notes folder.")
@click.option("--answer", default="", help="The right answer.")
@click.option("--not-in-notes", is_flag=True, help="The right answer is that your notes don't say.")
def keep(answer_id: int | None, note: str, answer: str, not_in_notes: bool) -> None:
    """Make a wrong answer a case of your own: by default the last one you gave a thumbs-down.

    \b
    Examples:
      ask eval keep --note networking/ports.md
      ask eval keep 17 --not-in-notes
    """
    from eval.mine import case_from, cases_path, keep_case
    from ui import open as opening
    from ui.show import line_of

    settings = opening.settings()
    kept, feedback = _wrong_answer(settings, answer_id)
    if note:
        with contextlib.closing(opening.shelf(settings)) as shelf:
            note = shelf.relative(Path(note))
            if not shelf.ledger.note(note):
                raise click.ClickException(f"{line_of(note)} is no note; see: ask status")
    case = case_from(kept, feedback, note=note, answer=answer, not_in_notes=not_in_notes)
    path = cases_path(settings)
    new = keep_case(path, case)
    click.echo(f"{'kept' if new else 'kept anew'}: {case['id']} in {path}; `ask eval --mine` scores it")


def _wrong_answer(settings: "AssistantSettings", answer_id: int | None) -> "tuple[Kept, Feedback | None]":
    from assistant.errors import NoSuchAnswer
    from assistant.journal import Journal

    with contextlib.closing(Journal.of(settings)) as journal:
        down = [one for one in journal.feedbacks(answer_id or 0) if not one.good]
        if not down and answer_id is None:
            raise click.ClickException("no answer has a thumbs-down yet; name one: ask eval keep ANSWER")
        wanted = answer_id if answer_id is not None else down[-1].answer
        feedback = _together([one for one in down if one.answer == wanted])
        found = journal.answer(wanted)
    if found is None:
        raise NoSuchAnswer(wanted)
    return found, feedback


def _together(said: "list[Feedback]") -> "Feedback | None":
    """Return all that was said of an answer, the last word of each kind."""
    if not said:
        return None
    wrong, note = (next(filter(None, (getattr(one, name) for one in reversed(said))), "") for name in ("wrong", "note"))
    return replace(said[-1], wrong=wrong, note=note)
