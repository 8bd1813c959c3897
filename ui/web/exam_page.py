"""An exam → HTML: its clock, the buttons beneath a question, its result, and those that were taken."""

import time
from collections.abc import Sequence

from assistant.exam import Exam, Miss, Part, Result
from ui.web.render import escaped, remark


def clock(seconds: float) -> str:
    """Return minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def head_html(exam: Exam) -> str:
    """Return how far an exam is, and the time that is left."""
    left = int(exam.time_left)
    return (
        f'<p class="clock"><span>{exam.answered} of {len(exam.questions)} answered</span> '
        f'<span role="timer" data-left="{left}">{clock(left)} left</span></p>'
    )


def tools_html(exam: Exam, step: int, asks: str = "") -> str:
    """Return the buttons beneath a question.

    Args:
        exam: It goes on.
        step: Of the sitting: what is pressed belongs to that one.
        asks: "end" or "another": the learner is asked whether it shall end, or wait while another is begun.
    """
    left = len(exam.questions) - exam.answered

    def button(what: str, name: str) -> str:
        return f'<button type="button" class="button" data-do="{what}" data-step="{step}">{name}</button>'

    if asks:
        asked, yes = {
            "end": (f"{left} not answered: they count as wrong. End the exam?", button("sure", "Yes, end it")),
            "another": (
                "An exam goes on. Begin another? This one waits until that one has ended.",
                button("another", "Yes, begin another"),
            ),
        }[asks]
        return f'<div class="rate" role="alert"><p>{asked}</p>{yes}{button("look", "No")}</div>'
    later = button("skip", "Later") if left > 1 else ""
    return (
        f'<div class="rate">{later}{button("pause", "Pause")}{button("end", "End the exam")}'
        '<button type="button" hidden data-do="look" class="up">The time is up</button></div>'
    )


def result_html(result: Result) -> str:
    """Return how an exam went: score by domain with its interval, and every miss."""
    rows = "".join(_row(part.title, part) for part in result.domains) + _row("All", result.whole)
    misses = "".join(_miss(one) for one in result.misses)
    missed = f"<h3>Missed</h3><ol>{misses}</ol>" if misses else "<p>Nothing missed.</p>"
    spent = f"{result.took_s / 60:.0f} of {result.minutes:.0f} minutes"
    return (
        f'<section class="question" role="status"><h2 tabindex="-1">{result.whole.right} of {result.whole.asked} right'
        f"</h2><p>{escaped(result.title)}; {spent}; {escaped(result.ended)}.</p>"
        '<div class="wide"><table class="use"><thead><tr><th>Domain</th><th>Weight</th><th>Right</th><th>95% interval'
        f"</th></tr></thead><tbody>{rows}</tbody></table></div>{missed}</section>"
    )


def past_html(results: Sequence[Result]) -> str:
    """Return the exams that were taken, the last one first."""
    rows = "".join(
        f'<tr><td><button type="button" class="link" data-do="exam" data-exam="{escaped(one.id)}">'
        f"{time.strftime('%d %b %Y', time.localtime(one.begun))}</button></td><td>{escaped(one.title)}</td>"
        f"<td>{one.whole.right} of {one.whole.asked} ({one.whole.share:.0%})</td>"
        f"<td>{one.whole.low:.0%} – {one.whole.high:.0%}</td></tr>"
        for one in results
    )
    if not rows:
        return remark("None yet.")
    head = "<thead><tr><th>Day</th><th>Plan</th><th>Right</th><th>95% interval</th></tr></thead>"
    return f'<div class="wide"><table class="use">{head}<tbody>{rows}</tbody></table></div>'


def _row(title: str, part: Part) -> str:
    right, interval = f"{part.right} of {part.asked} ({part.share:.0%})", f"{part.low:.0%} – {part.high:.0%}"
    if not part.asked:
        right, interval = "no questions", ""
    return f"<tr><td>{escaped(title)}</td><td>{part.weight:.0f}%</td><td>{right}</td><td>{interval}</td></tr>"


def _miss(miss: Miss) -> str:
    said = f"You said: {escaped(miss.given)}" if miss.answered else "Not answered"
    after_all = (
        f'<br><button type="button" class="button" data-do="overrule" data-n="{miss.number}">I was right</button>'
        if miss.answered
        else ""
    )
    return (
        f'<li><button type="button" class="link" data-do="miss" data-n="{miss.number}">{escaped(miss.question)}'
        f"</button><br><small>{said}; right: {escaped(miss.answer)}</small>{after_all}</li>"
    )
