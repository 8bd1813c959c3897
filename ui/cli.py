"""The command: `ask "question"`. Parses, calls, prints.

Answers go to stdout, everything else to stderr. What is heavy is imported by the command that needs it.
"""

import contextlib
import gc
import io
import os
import signal
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import click

from ui import open as opening
from ui.group import Group

# pydantic would read the metadata of every installed package to look for plug-ins, at each start.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
# numpy would start threads that spin beside what is loaded meanwhile; our matrices are small.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

_EXAMPLES = """

\b
Examples:
  ask "What does an AI architect do?"
  ask "How does FSDP differ from DDP?" --explain
  ask ingest
  STUDY_NOTES=~/notes ask "What is on the exam?" --course nca-aiio
"""

_ELSEWHERE = {
    "add": "ui.add:add",
    "cert": "ui.cert:cert",
    "chat": "ui.chat:chat",
    "eval": "ui.evaluate:evaluate",
    "exam": "ui.exam:exam",
    "export": "ui.deck:export",
    "feedback": "ui.feedback:feedback",
    "import": "ui.deck:import_",
    "journal": "ui.journal:journal",
    "learners": "ui.learners:learners",
    "log": "ui.log:log",
    "nightly": "ui.nightly:nightly",
    "plan": "ui.plan:plan",
    "quiz": "ui.quiz:quiz",
    "review": "ui.review:review",
    "ui": "ui.serve:ui",
    "users": "ui.users:users",
}
"""Commands with a file of their own, imported when they are wanted: the module, and the command in it."""


@click.group(
    cls=Group,
    default="answer",
    default_if_no_args=False,
    elsewhere=_ELSEWHERE,
    help="Ask your own course notes; every claim in the answer leads to the exact passage." + _EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="study-assistant")
def main() -> None:
    """Set the streams up for any text; `ask … >&-` leaves none, and nobody to read it."""
    sys.stdout = sys.stdout or io.TextIOWrapper(io.BytesIO())
    sys.stderr = sys.stderr or io.TextIOWrapper(io.BytesIO())
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")


_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")


@main.command()
@click.argument("question", nargs=-1, required=True)
@click.option("-k", "top_k", type=click.IntRange(1, 50), default=None, help="Most passages to answer from.")
@click.option("--course", default="", help="Stay in this sub-folder of the notes.")
@click.option("--no-llm", is_flag=True, help="Quote the notes; ask no model.")
@click.option("--explain", is_flag=True, help="Show ranks, scores, the prompt and the time of each step.")
@_json_option
def answer(
    question: tuple[str, ...], top_k: int | None, course: str, no_llm: bool, explain: bool, as_json: bool
) -> None:
    """Answer a question from the notes (the default: `ask "…"` is `ask answer "…"`)."""
    from ui import client, show
    from ui.echo import print_answer

    asked_for = " ".join(" ".join(question).split())
    _hint_at_command(asked_for)
    options: dict[str, Any] = {"top_k": top_k or 0, "course": course, "use_model": not no_llm, "explain": explain}
    live = show.is_terminal() and not as_json
    if (events := client.ask(asked_for, live=live, **options)) is not None:
        with contextlib.suppress(client.AppGone):
            print_answer(events, live=live, as_json=as_json)
            return
    print_answer(_answer_here(asked_for, **options), live=live, as_json=as_json)


def _answer_here(
    question: str, *, top_k: int, course: str, use_model: bool, explain: bool
) -> Generator[dict[str, Any], None, None]:
    """Answer in this process; as `ui.client.ask`, which asks the running app."""
    settings = opening.settings()
    shelf = opening.shelf(settings)
    if shelf.ledger.generation:
        shelf.embedder.load_ahead()  # while the rest is imported and opened
    from assistant.answer import answer, check_question
    from assistant.remember import remembered
    from ui.tell import told

    question = check_question(question)
    opening.index_first(shelf)
    events = answer(question, shelf, settings, top_k=top_k, course=course, use_model=use_model)
    yield from told(remembered(events, settings, course=course), shelf, explain=explain)


def _hint_at_command(question: str) -> None:
    """Say which command a single word may have been meant for."""
    if " " in question:
        return
    from difflib import get_close_matches

    known = main.list_commands(click.get_current_context())
    for name in get_close_matches(question.lower(), known, n=1, cutoff=0.75):
        click.echo(f"asked as a question; if you meant the command: ask {name}", err=True)


@main.command()
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option("--fresh", is_flag=True, help="Read and embed everything again, with the settings in force.")
@click.option("--yes", is_flag=True, help="Go on though more than half of the notes would be removed.")
@click.option("--wait", is_flag=True, help="Wait while another sync of these notes is running.")
@click.option(
    "--engine", type=click.Choice(["local", "ray"]), default="local", help="Read and embed here, or with Ray."
)
@_json_option
def ingest(
    paths: tuple[Path, ...], dry_run: bool, fresh: bool, yes: bool, wait: bool, engine: str, as_json: bool
) -> None:
    """Make the index equal to the notes folder, or to the PATHs in it.

    \b
    Examples:
      ask ingest
      ask ingest infrastructure --dry-run
    """
    from ingest.errors import TooManyRemovals
    from ui import show

    if fresh and paths:
        raise click.UsageError("--fresh rebuilds the whole index; leave the paths out")
    shelf = opening.shelf(opening.settings())
    within = [shelf.relative(path) for path in paths]
    known = shelf.ledger.notes() if within else {}
    for name in within:
        if not (shelf.notes / name).exists() and not any(path == name or path.startswith(f"{name}/") for path in known):
            raise click.ClickException(f"there is no {show.line_of(name)} in {show.line_of(str(shelf.notes))}")
    options: dict[str, Any] = {
        "within": within,
        "fresh": fresh,
        "dry_run": dry_run,
        "wait": wait,
    }
    if engine == "ray":
        from ingest.spread import Ray

        options["engine"] = Ray()
    try:
        report = opening.sync(shelf, remove_many=yes, **options)
    except TooManyRemovals as error:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise
        click.confirm(f"{str(error).split(';')[0]}. Remove them from the index?", abort=True, err=True)
        report = opening.sync(shelf, remove_many=True, **options)
    if as_json:
        opening.print_json(report.as_json())
        if report.remark:
            click.echo(show.line_of(report.remark), err=True)
    else:
        click.echo(show.report_text(report))


@main.command()
@_json_option
def status(as_json: bool) -> None:
    """Show what is indexed, what is not and why, and the last syncs."""
    from ui import show
    from ui.figures import lines
    from ui.status import gather

    settings = opening.settings()
    shelf = opening.shelf(settings)
    found = gather(shelf, settings)
    if as_json:
        opening.print_json(found)
        return
    rows = [(name, show.line_of(str(found[name]))) for name in ("notes", "home", "generation", "built_with")]
    if not Path(found["notes"]).is_dir():
        rows[0] = ("notes", f"{rows[0][1]} (not there; mount it, or set STUDY_NOTES)")
    rows.append(("files", ", ".join(f"{count} {state}" for state, count in found["by_state"].items()) or "none"))
    rows.append(("courses", ", ".join(show.line_of(name) for name in found["courses"]) or "none"))
    rows += [("chunks", str(found["chunks"])), ("model server", show.line_of(found["model_server"]))]
    rows += [("traces", show.line_of(found["traces"]))] if found["traces"] else []
    rows.append(("refusal", "calibrated" if found["calibration"] else "off: run ask calibrate"))
    click.echo(show.table(rows))
    for line in show.remarks_text(
        (note["state"], note["path"], "; ".join(filter(None, (note["reason"], *note["pages_lost"][:3]))))
        for note in found["problems"]
    ):
        click.echo(line)
    for line in lines(found["answers"]):
        click.echo(show.line_of(line) if not line.startswith(" ") else line)
    if found["nights"]:
        from ui.nightly import night_line

        click.echo("last nights")
        click.echo("\n".join(f"  {show.line_of(night_line(night))}" for night in found["nights"]))
    if found["runs"]:
        click.echo("last syncs")
        click.echo("\n".join(show.runs_text(shelf.ledger.runs(5))))


@main.command()
@click.argument("path", type=click.Path(path_type=Path))
def text(path: Path) -> None:
    """Print the text that was read of a note, exactly: citations count its code points."""
    shelf = opening.shelf(opening.settings())
    name = shelf.relative(path)
    note = shelf.ledger.note(name)
    stored = shelf.ledger.text(note.version) if note and note.version else None
    if stored is None:
        why = f" ({note.state}: {note.reason})" if note else ""
        raise click.ClickException(f"{name} is not indexed{why}; run: ask ingest")
    if sys.stdout.isatty():
        # One for one, so that places can still be counted by eye.
        click.echo("".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in stored), nl=False)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(stored.encode())


@main.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False))
def calibrate(folders: tuple[Path, ...]) -> None:
    """Choose how much evidence an answer needs, for the embedding model that is set.

    Each FOLDER holds corpus/, queries.jsonl and, if there is one, ood_queries.jsonl (see eval/cases.py).
    """
    from assistant.refuse import save_calibration
    from eval.calibrate import calibrate as fit

    opening.collect()
    settings = opening.settings()
    found = fit(settings, folders)
    click.echo(found.measured.replace("; ", "\n"))
    click.echo(str(save_calibration(found, settings.home.expanduser() / "calibration")))


def run() -> None:
    """Be the command.

    What is imported stays: looking for garbage in it, again and again, takes a twentieth of a cold answer; `collect` is
    for what stays longer. What is left at the end goes with the process.
    """
    gc.disable()
    try:
        main()
    finally:
        gc.freeze()
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # all is said: Ctrl-C ends what is left, without a traceback
