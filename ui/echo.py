"""An answer's events → the terminal: shown while it is written, printed when it is checked."""

import contextlib
from collections.abc import Callable, Generator, Iterator
from typing import Any

import click

from ui import open as opening

AT_WORK = "the model is at work …"
"""Shown while it reads the prompt, and while it thinks."""


def print_answer(events: Generator[dict[str, Any], None, None], *, live: bool, as_json: bool = False) -> dict[str, Any]:
    """Print an answer as its events come, and what else there is to say after it; return it.

    Args:
        events: As `ui.tell` tells them; they are closed.
        live: A person looks on: show the text while it is written.
        as_json: Print one JSON document.
    """
    from ui import show

    done: dict[str, Any] = {}
    with contextlib.closing(events):
        with _live(live) as write:
            for event in events:
                if event["event"] == "asked":
                    write("", False)
                elif event["event"] == "wrote":
                    write(event["text"], event["restart"])
                elif event["event"] == "error":
                    raise click.ClickException(event["error"])
                elif event["event"] == "answer":
                    done = event
                    break
        if live:
            show.print_answer(done["text"])
        elif not as_json:
            click.echo(done["text"])
        for event in events:
            if event["event"] == "changed":
                _say(event["notice"])
                if as_json:
                    opening.print_json(done["answer"] | {"changed_since_sync": event["count"]})
                if done["explain"]:
                    click.echo("\n" + done["explain"], err=as_json)
            elif event["event"] == "remembered":
                _say(event["notice"])
    answer: dict[str, Any] = done["answer"]
    return answer


def _say(notice: str) -> None:
    """Print a line beside the answer, where there is one."""
    from ui import show

    if notice:
        click.echo(show.line_of(notice), err=True)


@contextlib.contextmanager
def _live(on: bool) -> Iterator[Callable[[str, bool], None]]:
    """Show the answer while it is written; what is shown goes when the checked one is printed."""
    if not on:
        yield lambda text, restart: None
        return
    from rich.live import Live
    from rich.text import Text

    from assistant.visible import visible
    from ui import show

    screen = show.console()
    text = ""
    with contextlib.ExitStack() as stack:
        live: Live | None = None

        def write(piece: str, restart: bool) -> None:
            nonlocal text, live
            text = piece if restart else text + piece
            lines = Text(visible(text) if text.strip() else AT_WORK).wrap(screen, screen.width)
            shown = Text("\n").join(lines[-(screen.height - 2) :])  # the end, where it is taller than the screen
            if live is None:
                live = stack.enter_context(Live(shown, console=screen, transient=True, refresh_per_second=12))
            else:
                live.update(shown)

        yield write
