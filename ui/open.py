"""What every command opens: the settings, the notes, a sync with its progress shown."""

import contextlib
import gc
import json
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ingest.settings import IngestSettings
    from ingest.shelf import Shelf
    from ingest.sync import Report
    from ui.settings import UiSettings


def collect() -> None:
    """Look for garbage from now on, where the start did without; what was imported until now stays."""
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def settings() -> "UiSettings":
    """Return what the user set, or fail in one line."""
    from pydantic import ValidationError

    from ui.settings import UiSettings

    try:
        return UiSettings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "STUDY_" + "_".join(str(part) for part in first["loc"]).upper()
        raise click.ClickException(f"{name}: {first['msg'].removeprefix('Value error, ')}") from error


def shelf(of: "IngestSettings") -> "Shelf":
    """Return the notes that the settings name."""
    from ingest.shelf import Shelf

    return Shelf(of)


def sync(of: "Shelf", **options: Any) -> "Report":
    """Make the index equal to the folder; where a person looks on, with progress bars."""
    from ingest.sync import sync

    collect()
    options.setdefault("on_change", partial(refresh_items, of))
    with bars() as tell:
        return sync(of, progress=tell, **options)


@contextlib.contextmanager
def bars() -> "Iterator[Callable[[str, int, int], None]]":
    """Show how far the steps of something are, told a step's name, what is done and the total; 0: not known yet."""
    if not sys.stderr.isatty():
        yield lambda step, done, total: None
        return
    from rich import progress

    from ui import show

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TimeElapsedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=show.console(stderr=True), transient=True) as drawn:
        tasks: dict[str, progress.TaskID] = {}

        def tell(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = drawn.add_task(step, total=total or None)
            drawn.update(tasks[step], completed=done, total=total or None)

        yield tell


def refresh_items(of: "Shelf", _: object = None) -> None:
    """Bring the quiz items in line with the notes, where there are any: what a sync calls when something changed.

    What rests is verified or written anew by rule at once, and the learner told; a model is asked at night.
    """
    from assistant.items import FLAGGED, Items, path_of
    from ingest.errors import StudyError

    if path_of(of.folder).exists():
        from assistant.stale import mend, refresh

        # The sync went well whatever becomes of this; the next quiz or review tries again.
        with contextlib.suppress(StudyError), contextlib.closing(Items.of(of.folder)) as items:
            told = refresh(items, of)
            if told.flagged or told.retired:
                mended = f"{mend(items, of)}, {len(items.every(FLAGGED))} still rest"
                retired = f"{len(told.retired)} retired with their note"
                click.echo(f"questions whose words changed: {len(told.flagged)}; {mended}; {retired}", err=True)


def index_first(shelf: "Shelf") -> None:
    """Index the notes where that was never done; say what could not be read."""
    if shelf.ledger.generation:
        return
    from ui import show

    if shelf.notes.is_dir():
        click.echo(f"indexing {show.line_of(str(shelf.notes))} for the first time …", err=True)
    report = sync(shelf, wait=True)  # another first question may be at it
    click.echo(show.report_text(report), err=True)
    if not report.chunks:
        raise click.ClickException(
            f"there is no note to answer from in {show.line_of(str(shelf.notes))}; put some there, or set STUDY_NOTES"
        )


def print_json(document: Any) -> None:
    """Print one document on stdout."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=1))
