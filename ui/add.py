"""The command `ask add URL`: fetch a page, save it as a note, sync that note."""

from pathlib import Path

import click


@click.command()
@click.argument("url")
@click.option("--title", default="", help="Name the note so; by default as the page calls itself.")
@click.option("--course", default="", help="Put the note into this sub-folder of the notes.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def add(url: str, title: str, course: str, as_json: bool) -> None:
    """Save a web page as a note, with its address and date, and index it.

    HTML becomes Markdown; Markdown, plain text and PDFs are kept as they come. The same URL again updates the note
    that it made. This is the only command that writes into the notes folder.

    \b
    Examples:
      ask add https://docs.pytorch.org/docs/stable/fsdp.html --course infrastructure
      ask add https://arxiv.org/pdf/1706.03762 --title "Attention is all you need"
    """
    from ingest.fetch import fetch
    from ingest.save import save
    from ui import open as opening
    from ui import show

    settings = opening.settings()
    shelf = opening.shelf(settings)
    if not shelf.notes.is_dir():
        from ingest.errors import NotesMissing

        raise NotesMissing(shelf.notes)
    page = fetch(url, allow_private=settings.add_private)
    saved = save(page, shelf.notes, shelf.place / "added.json", title=title, course=course)
    click.echo(f"{saved.outcome}: {show.line_of(saved.path)}", err=True)
    # An index of this note alone would pass for one of all notes.
    report = opening.sync(shelf, within=[saved.path] if shelf.ledger.generation else [])
    note = next((note for note in report.notes if note.path == saved.path), None)
    if as_json:
        opening.print_json(
            {
                "path": saved.path,
                "outcome": saved.outcome,
                "title": saved.title,
                "source": saved.source,
                "state": note.state if note else "",
                "reason": note.reason if note else "",
                "chunks": note.chunks if note else 0,
                "generation": report.generation,
                "seconds": round(report.seconds, 3),
            }
        )
        return
    click.echo(f"{show.line_of(saved.title)}\n{shelf.notes / Path(saved.path)}")
    if note:
        click.echo(
            f"{note.state}, {show.counted(note.chunks, 'chunks')}"
            + (f": {show.line_of(note.reason)}" if note.reason else "")
        )
