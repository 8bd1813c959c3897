"""A run becomes a page: one HTML file with everything in it, that opens anywhere and loads nothing."""

import datetime
import html
from collections.abc import Iterator, Sequence
from pathlib import Path

from eval import draw
from eval.compare import worst_rows
from eval.refusal import coverage, curve
from eval.runs import Run
from eval.score import LOWER_IS_BETTER, NEITHER, REFUSAL, RETRIEVAL, Row, mean

HEADLINES = {
    "retrieval": ("ndcg@10", "mrr@10", "shown", "passage_ndcg@10"),
    "refusal": ("auroc", "false_answer", "false_refusal", "aurc"),
    "answer": ("token_f1", "gold_in_cited", "citation_recall", "citation_precision"),
    "mcq": ("accuracy", "without_notes", "gain"),
    "quiz": ("accepted", "objectives_covered", "duplicate", "key_bias"),
}
"""What is drawn over time, and by kind of question (the first)."""
WORST = 10
_CSS = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem; border-bottom: 1px solid var(--line);
text-align: left; } .wide { overflow-x: auto; }
td.n { white-space: nowrap; text-align: right; font-variant-numeric: tabular-nums; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem; } svg { max-width: 100%; height: auto; }
details { border: 1px solid var(--line); border-radius: 6px; padding: .4rem .8rem; margin: .4rem 0; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: var(--soft); padding: .5rem; }
"""


def page(run: Run, rows: Sequence[Row], before: Sequence[Run]) -> str:
    """Return the page of a run.

    Args:
        run: The run.
        rows: Its rows.
        before: Runs of the same cases up to this one, newest first, it included.
    """
    title = f"Run {run.id}"
    body = "\n".join(parts(run, rows, before))
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{_safe(title)}</title>'
    return (
        f'<!doctype html>\n<html lang="en"><head>{head}<style>{_CSS}</style></head>\n<body>\n{body}\n</body></html>\n'
    )


def parts(run: Run, rows: Sequence[Row], before: Sequence[Run]) -> Iterator[str]:
    """Yield the body of the page, to stand in any other."""
    when = datetime.datetime.fromtimestamp(run.started).strftime("%Y-%m-%d %H:%M")
    by = run.model or "no model"
    yield f"<h1>{_safe(Path(run.cases).parent.name)}/{_safe(Path(run.cases).name)}, {when}</h1>"
    yield f"<p>Run {run.id} · {_safe(by)} · code {_safe(run.code or 'unknown')} · {run.seconds:.1f} s"
    yield f" · settings {run.settings_hash}" + "".join(f" · {n:,} {_safe(name)}" for name, n in run.tokens.items())
    yield "</p>"
    yield from _scores(run)
    yield from _trends(run, [one for one in before if _belongs(one, run)])
    for suite in run.scores:
        own = [row for row in rows if row.suite == suite]
        yield f"<h2>{suite}</h2><div class=plots>"
        yield from _by_kind(suite, own)
        if suite == REFUSAL:
            yield from _thresholds(own)
        if took := [row.ms for row in own if row.ms]:
            yield draw.histogram(took)
        yield "</div>"
        yield from _worst(own)
    settings = "\n".join(f"{name}: {value}" for name, value in run.settings.items())
    yield f"<h2>Settings</h2><pre>{_safe(settings)}</pre>"


def _scores(run: Run) -> Iterator[str]:
    yield "<div class=wide><table><tr><th>Suite<th>Score<th>Value<th>95% interval<th>Cases<th>Better"
    for suite, scores in run.scores.items():
        for name, one in scores.items():
            better = "–" if name in NEITHER else "lower" if name in LOWER_IS_BETTER else "higher"
            agreed = "".join(f"; {_safe(told)}" for told in [run.agreement(name)] if told)
            yield (
                f"<tr><td>{suite}<td>{_safe(name)}<td class=n>{one.value:.3f}"
                f"<td class=n>{one.low:.3f} – {one.high:.3f}<td class=n>{one.n}<td>{better}{agreed}"
            )
    yield "</table></div>"


def _belongs(one: Run, run: Run) -> bool:
    """Return whether a run is a part of how scores went over time: not of a few cases only, nor of a sweep."""
    same_cases = one.settings.get("limit") == run.settings.get("limit")
    return one.id == run.id or (same_cases and not one.settings.get("trial"))


def _trends(run: Run, before: Sequence[Run]) -> Iterator[str]:
    """Yield each headline over time; of what a model writes, only what the same one wrote."""
    series, drawn = list(reversed(before)), []
    for suite, names in HEADLINES.items():
        written = suite not in (RETRIEVAL, REFUSAL)
        for name in names:
            having = [
                one for one in series if name in one.scores.get(suite, {}) and (one.model == run.model or not written)
            ]
            if len(having) > 1:
                dates = [datetime.datetime.fromtimestamp(one.started).strftime("%m-%d %H:%M") for one in having]
                drawn.append(draw.trend(f"{suite} {name}", dates, [one.scores[suite][name] for one in having]))
    if drawn:
        yield f"<h2>Over time</h2><div class=plots>{''.join(drawn)}</div>"


def _by_kind(suite: str, rows: Sequence[Row]) -> Iterator[str]:
    drawn = 0
    for name in HEADLINES[suite]:
        having = [row for row in rows if name in row.values]
        kinds = sorted({tag for row in having for tag in row.tags})
        if len(kinds) > 1:
            scores = [(kind, mean(name, [row for row in having if kind in row.tags])) for kind in kinds]
            yield draw.bars(f"{name}, by kind of question (cases)", scores)
            drawn += 1
        if drawn == (2 if suite == REFUSAL else 1):
            return


def _thresholds(rows: Sequence[Row]) -> Iterator[str]:
    answered = [row for row in rows if row.detail.get("answered")]
    wrong = sum(row.facts["wrong"] for row in answered) / max(1, len(answered))
    yield draw.risk(coverage(rows), (len(answered) / len(rows), wrong))
    if points := curve(rows):
        yield draw.rates(points, float(rows[0].detail.get("threshold", 0.0)))


def _worst(rows: Sequence[Row]) -> Iterator[str]:
    worst = worst_rows(rows, WORST)
    yield "<h3>Worst cases</h3>" if worst else "<p>No case did badly.</p>"
    for row in worst:
        told = "\n".join(f"{name}: {value}" for name, value in (row.values | row.facts | row.detail).items())
        yield f"<details><summary>{_safe(row.case)}: {_safe(row.question)}</summary><pre>{_safe(told)}</pre></details>"


def _safe(text: str) -> str:
    return html.escape(text)
