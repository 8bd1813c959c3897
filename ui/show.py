"""What people read in a terminal: rich where it is one, plain text where it is not.

Text of notes and models passes `visible` first, so that no escape sequence reaches the terminal.
"""

import sys
import textwrap
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from assistant.visible import visible

if TYPE_CHECKING:
    from rich.console import Console

    from assistant.answer import Answer, Asked, Found
    from assistant.retrieve import Passage
    from ingest.ledger import Run
    from ingest.sync import Report


def line_of(text: str) -> str:
    """Return text on one line, safe to print."""
    return " ".join(visible(text).split())


def wrapped(text: str, first: str = "", rest: str = "") -> list[str]:
    """Return text as lines of at most 80 columns, words whole, as a terminal shows them.

    Args:
        text: Made one line, safe to print.
        first: Stands before the first line.
        rest: Before each that follows.
    """
    return textwrap.wrap(
        line_of(text),
        80,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def counted(count: int, things: str) -> str:
    """Return '2 notes', or '1 note' of one; `things` that end in no s stay ('1 embedded')."""
    return f"{count:,} {things.removesuffix('s') if count == 1 else things}"


def moment(seconds: float) -> str:
    """Return a time, in seconds since the epoch, as the local clock shows it."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def answer_text(answer: "Answer") -> str:
    """Return an answer with its sources as plain text."""
    if answer.outcome == "not_in_notes":
        near = "".join(f"\n  {line_of(path)}" for path in answer.nearest)
        return "Your notes don't say." + (f" The nearest notes:{near}" if near else "")
    parts = [f"({line_of(answer.notice)})"] if answer.notice else []
    parts.append(visible(answer.marked).strip())
    sources = []
    for citation in answer.citations:
        source = f"[{citation.n}] {line_of(citation.path)}, {line_of(citation.locator)}"
        if answer.outcome != "quoted":
            source += f"\n    “{line_of(citation.quote)}”"
        sources.append(source)
    if not answer.citations and answer.passages:
        sources = ["No passage is cited. The nearest ones:"]
        sources += [_place(n, passage) for n, passage in enumerate(answer.passages[:3], start=1)]
    return "\n\n".join([*parts, "\n".join(sources)]).strip()


def sources_text(citations: Sequence[Mapping[str, Any]]) -> str:
    """Return the places that an answer stands on, with their words; citations as `ask --json` has them."""
    return "\n".join(
        f"[{one['n']}] {line_of(one['path'])}, {line_of(one['locator'])}\n    “{line_of(one['quote'])}”"
        for one in citations
    )


def _place(n: int, passage: "Passage") -> str:
    chunk = passage.chunk
    words = line_of(chunk.text)
    start = words if len(words) <= 300 else words[:300].rsplit(" ", 1)[0] + " …"
    return f"  {n}. {line_of(chunk.path)}, {line_of(chunk.place_at(chunk.start).locator)}\n    “{start}”"


def explain_text(found: "Found", asked: "Asked | None", answer: "Answer", thinking: str = "") -> str:
    """Return what happened on the way to an answer, as plain text; `thinking` is a reasoning model's own."""
    verdict = found.verdict
    lines = [f"Searched for: {line_of(answer.standalone)}", ""] if answer.standalone else []
    lines += ["How this was found", "  final  cosine (rank)  BM25 (rank)   chunk"]
    for passage in found.retrieval.candidates[:12]:
        chunk = passage.chunk
        ranks = [f"{rank or '–':>4}" for rank in (passage.dense_rank, passage.sparse_rank)]
        place = f"{line_of(chunk.path)} #{chunk.ordinal}, {line_of(chunk.place_at(chunk.start).locator)}"
        lines.append(
            f"  {passage.score:.3f}  {passage.cosine:.3f} ({ranks[0]})  {passage.bm25:5.1f} ({ranks[1]})   {place}"
        )
    lines.append(f"  a perfect chunk would have BM25 {found.retrieval.ideal:.1f}")
    need = f"{verdict.threshold:.3f} is needed" if verdict.calibrated else "this model is not calibrated"
    lines.append(f"  evidence that the notes answer it: {verdict.evidence:.3f}; {need}")
    if asked:
        lines += ["", f"The prompt: {asked.prompt.tokens} tokens, {asked.prompt.passages} passages"]
        for message in asked.prompt.messages:
            lines.append(f"  {message['role']}:")
            lines += [f"    {visible(line)}" for line in message["content"].splitlines()]
    if thinking.strip():
        lines += ["", "What the model thought", *(f"  {line}" for line in visible(thinking).strip().splitlines())]
    lines += ["", "Milliseconds"]
    lines += [f"  {step:<20} {took:8.1f}" for step, took in answer.timings_ms.items()]
    if answer.usage:
        lines += ["", "Tokens, as the server counts", *(f"  {name:<20} {n:8}" for name, n in answer.usage.items())]
    return "\n".join(lines)


MOST_ALIKE = 10
"""Files skipped for one reason that are named one by one: a .git folder holds thousands."""


def report_text(report: "Report") -> str:
    """Return what a sync did, as plain text: the counts, then every file that is not as it should be."""
    states = ", ".join(f"{count} {state}" for state, count in report.by_state.items()) or "no files"
    lines = [
        f"{counted(len(report.notes), 'files')}: {states}",
        f"{counted(report.chunks, 'chunks')} in the index; {report.embedded} embedded, {report.written} written, "
        f"{report.deleted} deleted, {counted(len(report.removed), 'notes')} removed; {report.seconds:.1f} s",
    ]
    if report.remark:
        lines.append(line_of(report.remark))
    lines += [f"  removed: {line_of(path)}" for path in report.removed]
    lines += [f"  renamed: {line_of(old)} → {line_of(new)}" for old, new in report.renamed]
    lines += remarks_text((note.state, note.path, note.reason) for note in report.notes if note.reason)
    lines += [f"  {line_of(note.path)}: lost {line_of(lost)}" for note in report.notes for lost in note.pages_lost]
    return "\n".join(lines)


def remarks_text(remarks: "Iterable[tuple[str, str, str]]") -> list[str]:
    """Return a line per state, path and reason; one for all files that are skipped alike, where these are many."""
    lines: dict[tuple[str, str], list[str]] = {}
    for state, path, reason in remarks:
        alike = ("skipped", reason) if state == "skipped" else (state, path)
        lines.setdefault(alike, []).append(f"  {state}: {line_of(path)}: {line_of(reason)}")
    return [
        line
        for (state, reason), each in lines.items()
        for line in (
            each if len(each) <= MOST_ALIKE else [f"  {state}: {counted(len(each), 'files')}: {line_of(reason)}"]
        )
    ]


def runs_text(runs: "Iterable[Run]") -> list[str]:
    """Return a line per sync."""
    lines = []
    for run in runs:
        what = (
            line_of(run.error)
            if run.error
            else ", ".join(
                counted(run.report[name], name) for name in ("files", "embedded", "deleted") if name in run.report
            )
        )
        lines.append(f"  {moment(run.started)}  generation {run.generation}  {run.seconds:6.1f} s  {what}")
    return lines


def is_terminal() -> bool:
    """Return whether a person is looking at the output."""
    return sys.stdout.isatty()


def console(*, stderr: bool = False) -> "Console":
    """Return a rich console; rich is imported only where there is a terminal."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)


def print_answer(told: str) -> None:
    """Print an answer for a person at a terminal: its words as they are, marks and sources coloured."""
    from rich.text import Text

    text = Text(told)
    text.highlight_regex(r"^\(.*\)$", "dim")
    text.highlight_regex(r"\*\*[^*\n]+\*\*", "bold")
    text.highlight_regex(r"`[^`\n]+`", "magenta")
    text.highlight_regex(r"(?:\[\d+\])+", "cyan")
    text.highlight_regex(r"\[unsupported\]|^Your notes don't say\.", "yellow")
    console().print(text)


def table(rows: Sequence[tuple[str, str]]) -> str:
    """Return names and values in two columns."""
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
