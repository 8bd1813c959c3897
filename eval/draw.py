"""Numbers become pictures: SVG to stand in a page, in the page's own text colour."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.metrics import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FEW = 20
"""Points that are few enough to be seen each."""
_INK = "#010203"
"""Stands for the page's text colour, which an SVG in a page can use and matplotlib can't."""
_BLUE, _ORANGE = "#3b7dd8", "#d9772b"
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "the same numbers give the same picture",
    "font.family": "sans-serif",
    "font.size": 11,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), _INK),
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def trend(title: str, when: Sequence[str], scores: Sequence[Estimate]) -> str:
    """Return a score over two runs or more, each with its interval, oldest first."""

    def draw(axes: "Axes") -> None:
        at = range(len(scores))
        axes.fill_between(at, [one.low for one in scores], [one.high for one in scores], color=_BLUE, alpha=0.25, lw=0)
        axes.plot(at, [one.value for one in scores], "o-", color=_BLUE, ms=4)
        axes.set_xticks([0, len(scores) - 1], [when[0], when[-1]])
        axes.set_title(title, fontsize=11, loc="left")
        axes.margins(x=0.15)

    return _svg(draw, 3.4, 2.0)


def bars(title: str, scores: Sequence[tuple[str, Estimate]]) -> str:
    """Return a bar for each name, with its interval, the first on top."""

    def draw(axes: "Axes") -> None:
        at = range(len(scores))
        values = [one.value for _, one in scores]
        far = [
            [max(0.0, one.value - one.low) for _, one in scores],
            [max(0.0, one.high - one.value) for _, one in scores],
        ]
        axes.barh(at, values, color=_BLUE, xerr=far, error_kw={"ecolor": _INK, "lw": 1})
        axes.set_yticks(at, [f"{name} ({one.n})" for name, one in scores])
        axes.invert_yaxis()
        axes.set_title(title, fontsize=11, loc="left")

    return _svg(draw, 6.4, 0.9 + 0.3 * len(scores))


def risk(points: Sequence[tuple[float, float]], here: tuple[float, float]) -> str:
    """Return the share of wrong answers over the share of questions answered, with the threshold in force."""

    def draw(axes: "Axes") -> None:
        axes.step(*zip(*points, strict=True), where="post", color=_BLUE, marker="." if len(points) < FEW else "")
        axes.plot(*here, "o", color=_ORANGE, label="the threshold in force")
        axes.set(xlabel="questions answered", ylabel="of them wrong", xlim=(0, 1), ylim=(0, None))
        axes.legend(frameon=False)

    return _svg(draw, 4.6, 3.0)


def rates(points: Sequence[tuple[float, float, float]], here: float) -> str:
    """Return both error rates over the threshold: (threshold, false answers, false refusals)."""

    def draw(axes: "Axes") -> None:
        thresholds, answers, refusals = zip(*points, strict=True)
        for share, color, label in (
            (answers, _ORANGE, "unanswerable, answered"),
            (refusals, _BLUE, "answerable, refused"),
        ):
            axes.step(thresholds, share, where="pre", color=color, label=label)
        axes.axvline(here, color=_INK, lw=1, ls=":")
        axes.set(xlabel="evidence asked for", ylabel="share", ylim=(0, 1))
        axes.legend(frameon=False)

    return _svg(draw, 4.6, 3.0)


def histogram(milliseconds: Sequence[float]) -> str:
    """Return how long the cases took."""
    middle, late = np.percentile(milliseconds, [50, 95])

    def draw(axes: "Axes") -> None:
        axes.set_title(f"{middle:.3g} ms at the median, {late:.3g} ms at the 95th percentile", fontsize=11, loc="left")
        axes.locator_params("y", integer=True)
        axes.hist(milliseconds, bins=min(40, max(5, len(milliseconds) // 5)), color=_BLUE)
        axes.set(xlabel="milliseconds", ylabel="cases")

    return _svg(draw, 4.6, 2.4)


def _svg(draw: Any, width: float, height: float) -> str:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure: Figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.subplots())
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :].replace(_INK, "currentColor")
