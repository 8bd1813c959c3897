"""The page: its tabs, its looks."""

from pathlib import Path

import gradio as gr

from ui.web.ask import AskTab
from ui.web.desk import Desk
from ui.web.exam import ExamTab
from ui.web.notes import NotesTab
from ui.web.now import HEAD
from ui.web.parts import QUIET
from ui.web.plan import PlanTab
from ui.web.quality import QualityTab
from ui.web.questions import QuizTab, ReviewTab

_HERE = Path(__file__).parent
_FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
_MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")

TITLE = "Study assistant"
THEME = gr.themes.Base(
    primary_hue="blue", neutral_hue="slate", text_size=gr.themes.sizes.text_lg, font=_FONT, font_mono=_MONO
).set(
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_hover_dark="*primary_600",
    input_placeholder_color="*neutral_500",
    input_placeholder_color_dark="*neutral_400",
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_300",
    color_accent="*primary_700",
)
MINUTE = 60.0
"""Seconds between two looks at what is due, and at the clock of an exam, while the page is open."""
CSS = (_HERE / "style.css").read_text(encoding="utf-8")


def build(desk: Desk) -> gr.Blocks:
    """Return the app; nothing heavy happens before somebody asks for it."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True) as page:
        gr.HTML(HEAD.format(title=TITLE), elem_id="banner")
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Ask", id="ask"):
                ask = AskTab(desk)
            with gr.Tab("Quiz", id="quiz"):
                quiz = QuizTab(desk)
            with gr.Tab("Review", id="review") as reviewing:
                review = ReviewTab(desk, reviewing)
            with gr.Tab("Plan", id="plan-tab") as planning:
                plan = PlanTab(desk)
            with gr.Tab("Exam", id="exam-tab"):
                exam = ExamTab(desk)
            with gr.Tab("Notes", id="notes-tab"):
                notes = NotesTab(desk)
            with gr.Tab("Quality", id="quality-tab") as judging:
                quality = QualityTab(desk)
        for part in (ask.log, ask.live):
            part.submit(ask.topic, None, [tabs, quiz.topic], **QUIET).then(
                quiz.start, quiz.asked_for, quiz.shown, **QUIET
            )
        plan.page.submit(plan.leads, None, [tabs], **QUIET)
        plan.page.submit(quiz.start_about, None, quiz.shown, **QUIET)
        plan.page.submit(review.start_from, None, review.shown, **QUIET)
        planning.select(plan.load, [plan.name], plan.outputs, **QUIET)
        reviewing.select(review.count, None, review.counted, **QUIET)
        judging.select(quality.load, None, quality.outputs, **QUIET)
        page.load(quiz.load, None, [quiz.course, *quiz.shown], **QUIET)
        page.load(review.questions.load, None, review.shown, **QUIET)
        page.load(exam.load, [exam.plan], [exam.plan, exam.count, exam.minutes, *exam.shown], **QUIET)
        minutely = gr.Timer(MINUTE)
        gr.on([page.load, minutely.tick], review.count, None, review.counted, **QUIET)
        minutely.tick(exam.lap, None, None, **QUIET)
        page.load(ask.load, [ask.where], [ask.talk, ask.log, ask.past, ask.course], **QUIET)
        page.load(
            notes.load, None, [notes.seen, notes.progress, notes.tree, notes.trash, notes.nights, notes.course], **QUIET
        )
    assert isinstance(page, gr.Blocks)
    return page
