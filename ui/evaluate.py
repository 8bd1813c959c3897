"""The command `ask eval`: score answers, look at runs, hold them against each other."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ui.group import Group

if TYPE_CHECKING:
    from assistant.journal import Feedback, Kept
    from assistant.settings import AssistantSettings
    from eval.compare import Difference
    from eval.metrics import Estimate
    from eval.runs import Run, Runs
    from eval.suite import Plan

_SUITES = ("retrieval", "refusal", "answer", "mcq", "quiz", "all")


@click.group(cls=Group, default="run", default_if_no_args=True)
def evaluate() -> None:
    """Score retrieval, refusal and answers on a set of questions, and keep the run.

    \b
    Examples:
      ask eval --no-llm                              the shipped questions about the shipped notes
      ask eval --notes ~/notes --cases my.jsonl      the form of the cases: eval/cases.py
      ask eval compare RUN RUN
      ask eval show last --worst 10
    """


_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
_folder = click.Path(path_type=Path, exists=True, file_okay=False)


def _what(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say what is scored."""
    options = (
        click.option("--notes", type=_folder, help="Folder of notes; by default the shipped course."),
        click.option(
            "--cases", type=click.Path(path_type=Path), help="File of questions; by default the shipped ones."
        ),
        click.option("--suite", "suites", type=click.Choice(_SUITES), multiple=True, help="May be repeated."),
        click.option("--limit", type=click.IntRange(0), default=0, help="Most cases, evenly spread; 0: all."),
        click.option("--no-llm", is_flag=True, help="Ask no model."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _plan(
    notes: Path | None, cases: Path | None, suites: Sequence[str], limit: int, no_llm: bool, default: str = "all"
) -> "Plan":
    from eval.score import SUITES
    from eval.suite import GOLD, ROOT, Plan

    if (notes is None) != (cases is None):
        raise click.UsageError("--notes and --cases belong together: give both or neither")
    names = suites or default.split()
    chosen = SUITES if "all" in names else tuple(suite for suite in SUITES if suite in names)
    return Plan(notes or ROOT / "corpus", cases or GOLD, chosen, limit, use_model=not no_llm)


def _runs() -> "Runs":
    from eval.runs import Runs
    from ui import open as opening

    runs = Runs(opening.settings().home)
    click.get_current_context().call_on_close(runs.close)
    return runs


@evaluate.command()
@_what
@_json
@click.option("--mine", is_flag=True, help="Your own cases (`ask eval keep`), on your own index.")
@click.option("--judge", is_flag=True, help="Let the served model judge the answers; it is measured first.")
def run(
    notes: Path | None,
    cases: Path | None,
    suites: tuple[str, ...],
    limit: int,
    no_llm: bool,
    as_json: bool,
    mine: bool,
    judge: bool,
) -> None:
    """Score a set of questions (the default: `ask eval …` is `ask eval run …`)."""
    from eval.mine import plan_mine
    from eval.publish import publish
    from eval.suite import run as scoring
    from ui import open as opening

    if mine and (notes or cases):
        raise click.UsageError("--mine has its own notes and cases; leave --notes and --cases out")
    plan = _plan(notes, cases, suites, limit, no_llm)
    if mine:
        own = plan_mine(opening.settings(), use_model=not no_llm)
        plan = replace(own, limit=limit, suites=plan.suites if suites else own.suites)
    plan = replace(plan, judged=judge)
    with _bars() as tell:
        scored = scoring(plan, opening.settings(), progress=tell, notice=_notice)
    path = _runs().add(scored.run, scored.rows)
    publish(opening.settings(), scored.run, scored.rows)
    if as_json:
        opening.print_json(scored.run.as_json() | {"rows": str(path)})
    else:
        click.echo(run_text(scored.run))
        click.echo(f"rows: {path}")


@evaluate.command()
@click.option("-n", "limit", type=click.IntRange(1), default=20, show_default=True, help="Most runs.")
@_json
def history(limit: int, as_json: bool) -> None:
    """List the last runs."""
    from ui import open as opening

    found = _runs().last(limit)
    if as_json:
        opening.print_json([one.as_json() for one in found])
    elif not found:
        click.echo("no runs yet; make one: ask eval --no-llm")
    for one in [] if as_json else found:
        click.echo(line_text(one))


@evaluate.command()
@click.argument("name", metavar="RUN")
@click.option("--worst", type=click.IntRange(1), default=10, show_default=True, help="How many cases of each suite.")
@_json
def show(name: str, worst: int, as_json: bool) -> None:
    """Show a run's scores and its worst cases; RUN is an id, its beginning, or `last`."""
    from eval.compare import worst_rows
    from eval.refusal import coverage, curve
    from eval.score import REFUSAL
    from ui import open as opening

    runs = _runs()
    found = runs.get(name)
    rows = worst_rows(runs.rows(found.id), worst)
    if as_json:
        refused = [row for row in runs.rows(found.id) if row.suite == REFUSAL]
        more = {
            "rows": str(runs.path(found.id)),
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
        for name, value in (row.facts | row.detail).items():
            parts = value if isinstance(value, list) else [value]
            click.echo("\n".join(f"  {name}: {line_of(str(part))[:300]}" for part in parts[:6]))


@evaluate.command()
@click.argument("before", metavar="RUN")
@click.argument("after", metavar="RUN")
@_json
def compare(before: str, after: str, as_json: bool) -> None:
    """Hold a run against another of the same cases: what is better, what is worse, what may be chance."""
    from eval.compare import compare as comparing
    from eval.compare import require_common
    from ui import open as opening

    runs = _runs()
    one, other = runs.get(before), runs.get(after)
    rows, other_rows = runs.rows(one.id), runs.rows(other.id)
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


@evaluate.command()
@_what
@click.option("--baseline", type=click.Path(path_type=Path), help="What was accepted; by default the shipped file.")
@click.option("--mine", is_flag=True, help="Your own cases against their own baseline.")
@_json
def gate(
    notes: Path | None,
    cases: Path | None,
    suites: tuple[str, ...],
    limit: int,
    no_llm: bool,
    baseline: Path | None,
    mine: bool,
    as_json: bool,
) -> None:
    """Score, and fail with exit status 1 where a score is worse than what was accepted, beyond chance.

    \b
    Examples:
      ask eval gate                  retrieval and refusal on the shipped questions
      ask eval gate --mine
    """
    from eval.gate import BASELINE, check, load_baseline, worse
    from eval.mine import baseline_path, plan_mine
    from eval.suite import run as scoring
    from ui import open as opening

    settings = opening.settings()
    plan = _plan(notes, cases, suites, limit, no_llm, default="retrieval refusal")
    if mine:
        own = plan_mine(settings, use_model=not no_llm)
        plan = replace(own, limit=limit, suites=plan.suites if suites else own.suites)
    elif not set(plan.suites) & {"answer", "mcq"}:
        plan = replace(plan, use_model=False)  # follow-ups must not depend on who happens to be served
    path = baseline or (baseline_path(settings) if mine else BASELINE)
    accepted = load_baseline(path)
    with _bars() as tell:
        scored = scoring(plan, settings, progress=tell, notice=_notice)
    kept = _runs().add(scored.run, scored.rows)
    found = check(accepted, scored.rows, path)
    fallen = worse(found)
    if accepted.head["settings"].get("cases_hash") != scored.run.settings["cases_hash"]:
        _notice(f"the questions have changed since {path} was accepted; those that both have are compared")
    if as_json:
        told = {"run": scored.run.id, "accepted": accepted.head["run"], "passed": not fallen, "rows": str(kept)}
        opening.print_json(told | {"differences": [asdict(one) for one in found]})
    else:
        click.echo("\n".join(map(difference_text, found)))
        click.echo(f"run {scored.run.id} against {accepted.head['run']}: {_gate_text(len(fallen))}")
    if fallen:
        sys.exit(1)


def _gate_text(fallen: int) -> str:
    return f"{fallen} scores are worse beyond chance" if fallen else "nothing is worse beyond chance"


@evaluate.command()
@click.argument("name", metavar="RUN")
@click.option("--baseline", type=click.Path(path_type=Path), help="Where to write it; by default the shipped file.")
@click.option("--mine", is_flag=True, help="As the baseline of your own cases.")
def accept(name: str, baseline: Path | None, mine: bool) -> None:
    """Accept a run: `ask eval gate` holds later ones against it."""
    from eval.gate import BASELINE, save_baseline
    from eval.mine import baseline_path
    from ui import open as opening

    runs = _runs()
    found = runs.get(name)
    path = baseline or (baseline_path(opening.settings()) if mine else BASELINE)
    count = save_baseline(path, found, runs.rows(found.id))
    click.echo(f"{path}: {count} rows of run {found.id}")


@evaluate.command()
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

    settings = opening.settings()
    kept, feedback = _wrong_answer(settings, answer_id)
    if note:
        note = opening.shelf(settings).relative(Path(note))
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
        feedback = down[-1] if down else None
        wanted = answer_id if answer_id is not None else down[-1].answer
        found = journal.answer(wanted)
    if found is None:
        raise NoSuchAnswer(wanted)
    return found, feedback


@evaluate.command()
@_what
@click.option("--set", "given", multiple=True, required=True, metavar="NAME=VALUE,VALUE", help="May be repeated.")
@click.option("--by", default="retrieval shown", show_default=True, help="The score that decides: suite and name.")
@_json
def sweep(
    notes: Path | None,
    cases: Path | None,
    suites: tuple[str, ...],
    limit: int,
    no_llm: bool,
    given: tuple[str, ...],
    by: str,
    as_json: bool,
) -> None:
    """Try settings on the same questions; name the cheapest that is not shown to be worse than the best.

    \b
    Examples:
      ask eval sweep --set chunk_tokens=64,128,190 --set top_k=3,6 --no-llm
      ask eval sweep --set chunk_tokens=128,190 --by "retrieval passage_ndcg@10"
    """
    from eval import sweep as sweeping
    from ui import open as opening

    suite, _, metric = by.partition(" ")
    plan = _plan(notes, cases, suites, limit, no_llm, default=f"{suite} retrieval")
    tries = sweeping.combinations(given, opening.settings())
    runs = _runs()
    tried = []
    with _bars() as tell:
        for one in sweeping.sweep(plan, tries, runs, progress=tell, notice=_notice):
            tried.append(one)
            if not as_json:
                told = " ".join(f"{name}={value}" for name, value in one.values.items())
                again = "  (kept from before)" if one.again else ""
                score = estimate_text(one.score(suite, metric))
                cost = f"{one.cost:8.1f} a question"
                click.echo(f"{told:<32}{by}{score}  cost {cost}  run {one.scored.run.id}{again}")
    result = sweeping.judge(tried, suite, metric)
    if as_json:
        opening.print_json(sweeping.as_json(result))
        return
    best, cheapest = (
        " ".join(f"{name}={value}" for name, value in one.values.items()) for one in (result.best, result.not_worse[0])
    )
    click.echo(f"best: {best}; the cheapest that is not shown to be worse: {cheapest}")


@evaluate.command()
@click.argument("name", metavar="RUN", default="last")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="By default beside the run's rows.")
def report(name: str, output: Path | None) -> None:
    """Write a run as one HTML file: scores over time, by kind of question, risk and coverage, worst cases."""
    from eval.report import page

    runs = _runs()
    found = runs.get(name)
    before = [one for one in runs.last(100, cases=found.cases) if one.started <= found.started][:30]
    path = output or runs.path(found.id).with_suffix(".html")
    path.write_text(page(found, runs.rows(found.id), before), encoding="utf-8")
    click.echo(str(path))


def difference_text(one: "Difference") -> str:
    """Return a difference in one line."""
    p = "" if one.p is None else f"  McNemar p {one.p:.3f}"
    change = f"{one.after - one.before:+.3f} [{one.low:+.3f}, {one.high:+.3f}]"
    return f"{one.suite} {one.metric:<20} {one.before:.3f} → {one.after:.3f}  {change}  n {one.n}{p}  {one.verdict}"


def _notice(line: str) -> None:
    from ui.show import line_of

    click.echo(line_of(line), err=True)


@contextlib.contextmanager
def _bars() -> Iterator[Callable[[str, int, int], None]]:
    """Show progress where a person looks on."""
    if not sys.stderr.isatty():
        yield lambda step, done, total: None
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    from ui import show as showing

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=showing.console(stderr=True), transient=True) as bars:
        tasks: dict[str, Any] = {}

        def tell(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(step, total=total or None)
            bars.update(tasks[step], completed=done, total=total or None)

        yield tell


def estimate_text(one: "Estimate") -> str:
    """Return a score with its interval."""
    return f"{one.value:8.3f} [{one.low:.3f}, {one.high:.3f}]  n {one.n}"


def line_text(one: "Run") -> str:
    """Return a run in one line."""
    import datetime

    from ui.show import line_of

    when = datetime.datetime.fromtimestamp(one.started).strftime("%Y-%m-%d %H:%M")
    heads = {"retrieval": "ndcg@10", "refusal": "auroc", "answer": "token_f1", "mcq": "accuracy", "quiz": "accepted"}
    told = [
        f"{suite} {heads[suite]} {scores[heads[suite]].value:.3f}"
        for suite, scores in one.scores.items()
        if heads.get(suite) in scores
    ]
    by = one.model or "no model"
    return line_of(f"{one.id}  {when}  {one.code or 'no git'}  {by}  {Path(one.cases).name}  {'; '.join(told)}")


def run_text(one: "Run") -> str:
    """Return a run's scores as plain text."""
    from ui.show import line_of

    lines = [line_of(f"run {one.id}: {one.cases}, {one.model or 'no model'}, {one.seconds:.1f} s")]
    for suite, scores in one.scores.items():
        lines.append(suite)
        for name, score in scores.items():
            kappa = one.judge.get(name.removeprefix("judge_")) if name.startswith("judge_") else None
            agrees = "" if kappa is None else f"  judge agrees with people: kappa {kappa:.2f}"
            lines.append(f"  {name:<20}{estimate_text(score)}{agrees}")
    if one.tokens:
        lines.append("tokens: " + ", ".join(f"{count:,} {name}" for name, count in one.tokens.items()))
    return "\n".join(lines)
