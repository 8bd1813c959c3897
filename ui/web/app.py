"""The pages of the app."""

from typing import TYPE_CHECKING, Any

from ui.web.desk import Desk

if TYPE_CHECKING:
    import gradio as gr


THEME = "default"
CSS = ""


def build(desk: Desk) -> "gr.Blocks":
    """Return the pages, not yet served."""
    import gradio as gr

    def ask(question: str) -> Any:
        from assistant.answer import Answer

        for event in desk.answer(question):
            if isinstance(event, Answer):
                yield event.marked

    with gr.Blocks(title="Study assistant") as pages:
        question = gr.Textbox(label="Question")
        answer = gr.Markdown()
        question.submit(ask, question, answer, api_visibility="private")
    assert isinstance(pages, gr.Blocks)
    return pages
