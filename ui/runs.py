"""The runs that were kept, for people: `ask eval history`, `show`, `compare`, `report`."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from eval.compare import Difference
    from eval.metrics import Estimate
    from eval.runs import Run, Runs

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")


def opened() -> "Runs":
    """Return the file of the runs, closed when the command is done."""
    from eval.runs import Runs
    from ui import open as opening

    runs = Runs(opening.settings().home)
    click.get_current_context().call_on_close(runs.close)
    return runs


@click.command()
@click.option("-n", "limit", type=click.IntRange(1), default=20, show_default=True, help="Most runs.")
@as_json_option
def history(limit: int, as_json: bool) -> None:
    """List the last runs."""
    from ui import open as opening

    found = opened().last(limit)
    if as_json:
        opening.print_json([one.as_json() for one in found])
    elif not found:
        click.echo("no runs yet; make one: ask eval --no-llm")
    for one in [] if as_json else found:
        click.echo(line_text(one))


@click.command()
@click.argument("name", metavar="RUN")
@click.option("--worst", type=click.IntRange(1), default=10, show_default=True, help="How many cases of each suite.")
@as_json_option
def show(name: str, worst: int, as_json: bool) -> None:
    """Show a run's scores and its worst cases; RUN is an id, its beginning, or `last`."""
    from eval.compare import worst_rows
    from eval.refusal import coverage, curve
    from eval.score import REFUSAL
    from ui import open as opening

    runs = opened()
    found = runs.get(name)
    rows = worst_rows(runs.rows_of(found.id), worst)
    if as_json:
        refused = [row for row in runs.rows_of(found.id) if row.suite == REFUSAL]
        more = {
            "rows": str(runs.rows_path(found.id)),
            "worst": [asdict(row) for row in rows],
            "thresholds": [point._asdict() for point in curve(refused)],
            "risk_coverage": coverage(refused),
        }
        opening.print_json(found.as_json() | more)
        return
    click.echo(run_text(found))
    from ui.show import line_of

    for row in rows:
        told = ", ".join(f"{name} {value:.3g}" for name, value in row.values.items())
        click.echo(f"\n{row.suite} {line_of(row.case)}: {line_of(row.question)}\n  {told}")
        for name, value in (row.facts | row.detail | ({"trace": row.trace} if row.trace else {})).items():
            parts = value if isinstance(value, list) else [value]
            click.echo("\n".join(f"  {name}: {line_of(str(part))[:300]}" for part in parts[:6]))


@click.command()
@click.argument("before", metavar="RUN")
@click.argument("after", metavar="RUN")
@as_json_option
def compare(before: str, after: str, as_json: bool) -> None:
    """Hold a run against another of the same cases: what is better, what is worse, what may be chance."""
    from eval.compare import compare as comparing
    from eval.compare import require_common
    from ui import open as opening

    runs = opened()
    one, other = runs.get(before), runs.get(after)
    rows, other_rows = runs.rows_of(one.id), runs.rows_of(other.id)
    require_common(rows, other_rows, one.id, other.id)
    found = comparing(rows, other_rows)
    if as_json:
        opening.print_json({"before": one.id, "after": other.id, "differences": [asdict(each) for each in found]})
        return
    for name in sorted({*one.settings, *other.settings}):
        was, now = one.settings.get(name), other.settings.get(name)
        if was != now:
            click.echo(f"{name}: {was} → {now}")
    click.echo("\n".join(map(difference_text, found)))
    if len(found) > 1:
        click.echo(f"each of these {len(found)} is tested by itself: about one in 20 differs by chance alone")
    cases, others = ({(row.suite, row.case) for row in every} for every in (rows, other_rows))
    for name, alone in ((one.id, cases - others), (other.id, others - cases)):
        if alone:
            click.echo(f"only in {name}: {named([f'{suite} {case}' for suite, case in sorted(alone)])}")


@click.command()
@click.argument("name", metavar="RUN", default="last")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="By default beside the run's rows.")
def report(name: str, output: Path | None) -> None:
    """Write a run as one HTML file: scores over time, by kind of question, risk and coverage, worst cases."""
    from eval.report import page

    runs = opened()
    found = runs.get(name)
    before = [one for one in runs.last(100, cases=found.cases) if one.started <= found.started][:30]
    path = output or runs.rows_path(found.id).with_suffix(".html")
    path.write_text(page(found, runs.rows_of(found.id), before), encoding="utf-8")
    click.echo(str(path))


def named(cases: Sequence[str], most: int = 8) -> str:
    """Return the names of some cases in one line."""
    from ui.show import line_of

    return line_of(", ".join(cases[:most]) + (f" and {len(cases) - most} more" if len(cases) > most else ""))


def difference_text(one: "Difference") -> str:
    """Return a difference in one line."""
    change = f"{one.after - one.before:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"
    found = f"{one.before:.3f} → {one.after:.3f}  {change}  n {one.n}  p {one.p:.3f}"
    return f"{one.suite} {one.metric:<20} {found}  {one.verdict}"


def estimate_text(one: "Estimate") -> str:
    """Return a score with its interval."""
    return f"{one.value:8.3f} [{one.low:.3f}, {one.high:.3f}]  n {one.n}"


def line_text(one: "Run") -> str:
    """Return a run in one line."""
    from ui.show import line_of, moment

    heads = {"retrieval": "ndcg@10", "refusal": "auroc", "answer": "token_f1", "mcq": "accuracy", "quiz": "accepted"}
    told = [
        f"{suite} {heads[suite]} {scores[heads[suite]].value:.3f}"
        for suite, scores in one.scores.items()
        if heads.get(suite) in scores
    ]
    by = one.model or "no model"
    return line_of(
        f"{one.id}  {moment(one.started)}  {one.code or 'no git'}  {by}  {Path(one.cases).name}  {'; '.join(told)}"
    )


def run_text(one: "Run") -> str:
    """Return a run's scores as plain text."""
    from ui.show import line_of

    lines = [line_of(f"run {one.id}: {one.cases}, {one.model or 'no model'}, {one.seconds:.1f} s")]
    for suite, scores in one.scores.items():
        lines.append(suite)
        for name, score in scores.items():
            lines.append(f"  {name:<20}{estimate_text(score)}  {one.agreement(name)}".rstrip())
    if one.tokens:
        lines.append("tokens: " + ", ".join(f"{count:,} {name}" for name, count in one.tokens.items()))
    return "\n".join(lines)
