"""Thinking is kept apart from the answer; what goes round in circles is stopped."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant import errors
from assistant.watch import Thinking, Watch
from tests.fake_openai import FakeServer
from tests.talking import ASK, answer, eventually, model_at

ROOT = Path(__file__).parent.parent


# Thinking


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_a_reasoning_field_is_no_part_of_the_answer(name: str) -> None:
    with FakeServer("Yes.", reasoning="Let me see.", reasoning_as=name) as server:
        deltas = list(model_at(server).stream(ASK))
    assert "".join(delta.reasoning for delta in deltas) == "Let me see. "
    assert "".join(delta.text for delta in deltas) == "Yes."


def told(server: FakeServer) -> tuple[str, str]:
    """Return the answer, as a reader has it at the end, and the thinking."""
    text = thought = ""
    for delta in model_at(server).stream(ASK):
        text = delta.text if delta.restart else text + delta.text
        thought += delta.reasoning
    return text, thought


MARKS = [("<think>", "</think>"), ("<thinking>", "</thinking>"), ("[THINK]", "[/THINK]")]


@pytest.mark.parametrize(("opened", "closed"), MARKS)
def test_inline_thinking_is_no_part_of_the_answer(opened: str, closed: str) -> None:
    with FakeServer(f"{opened}\nLet me see.\n{closed}\n\nYes. [1]") as server:
        deltas = list(model_at(server).stream(ASK))
    assert "".join(delta.reasoning for delta in deltas) == "\nLet me see.\n"
    assert "".join(delta.text for delta in deltas) == "Yes. [1]"


@pytest.mark.parametrize(("_", "closed"), MARKS)
@pytest.mark.parametrize(
    ("thought", "between"),
    [
        ("Let me see.\n", "\n\n"),
        ("Let me see.\n", "\n"),
        ("Let me see.", "\n\n"),
        ("Let me see.", " "),
        ("Let me see.", ""),
        ("Let me see", ""),
        ("(Let me see.)", ""),
        ("so I say yes", "\n\n"),
        ("He said “yes.” ", " "),
        ("", "\n\n"),
    ],
)
def test_thinking_whose_opening_tag_was_in_the_prompt_is_taken_back(
    thought: str, between: str, _: str, closed: str
) -> None:
    with FakeServer(f"{thought}{closed}{between}Yes. [1]") as server:
        assert told(server) == ("Yes. [1]", thought)


def test_an_answer_that_was_thinking_to_its_end_is_empty() -> None:
    text = ""
    with FakeServer("Let me see.\n</think>") as server, pytest.raises(errors.AnswerEmpty) as caught:  # noqa: PT012
        for delta in model_at(server).stream(ASK):
            text = delta.text if delta.restart else text + delta.text
    assert caught.value.partial == text == ""


@pytest.mark.parametrize(
    "text",
    [
        "The model writes <think> first, then </think>, then the answer.",
        "The model writes [THINK] first. [/THINK] It is Mistral's. [1]",
        "```\n<think>\nfirst\n</think>\nthen\n```",
        "The template ends so [1]:\n\n```\nLet me see.\n</think>\n\nYes.\n```\n\nThe rest is the answer [1].",
        "Reasoning ends at the tag </think> and the answer begins there [1].",
        "The parser looks for one tag. `</think>` Everything before it is thinking [1].",
        "Reasoning ends at </think>. The answer begins there [1].",
        "Reasoning ends at the tag </think>",
        '{"question": "Which tag ends it? </think> Or another?"}',
        "a < b and b > c",
        "<thinker> is no tag",
        "[THIN] and [THINKING] are no tags",
        "<",
        "[",
    ],
)
def test_an_answer_about_the_tags_is_left_alone(text: str) -> None:
    with FakeServer(text) as server:
        deltas = list(model_at(server).stream(ASK))
    assert "".join(delta.text for delta in deltas) == text
    assert not any(delta.restart or delta.reasoning for delta in deltas)


@pytest.mark.parametrize("inline", [True, False])
def test_a_tag_in_the_answer_of_a_model_that_has_thought_is_left_alone(inline: bool) -> None:
    said = "The template ends so [1]:\n\nLet me see.\n</think>\n\nYes."
    reply, reasoning = (f"<think>Hm.</think>{said}", "") if inline else (said, "Hm.")
    with FakeServer(reply, reasoning=reasoning) as server:
        text, thought = told(server)
    assert (text, thought.strip()) == (said, "Hm.")


fragments = st.lists(
    st.sampled_from(
        [*(mark for pair in MARKS for mark in pair), "<", "think", "ing>", "</", "[", "]", "a", " ", "\n", "é"]
    )
)


@given(fragments.map("".join), st.data())
def test_thinking_is_split_off_alike_wherever_the_stream_cuts(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))

    def split(*parts: str) -> tuple[str, str]:
        thinking, answer, thought = Thinking(), "", ""
        for part in (*parts, None):
            new, more, restart = thinking.feed(part or "", last=part is None)
            answer, thought = new if restart else answer + new, thought + more
        return answer, thought

    assert split(*(text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True))) == split(text)
    rest, expected = text.lstrip(), ""
    while found := next(((one, end) for one, end in MARKS if rest.startswith(one)), None):
        inner, _, rest = rest.removeprefix(found[0]).partition(found[1])
        expected, rest = expected + inner, rest.lstrip()
    if expected:  # else a closing tag may end what was never opened
        assert split(text) == (rest, expected)


def test_an_answer_lost_to_thinking_names_the_setting() -> None:
    with (
        FakeServer("<think> and so on and on") as server,
        pytest.raises(errors.AnswerEmpty, match="went into thinking; raise STUDY_LLM_MAX_ANSWER_TOKENS"),
    ):
        answer(model_at(server), max_tokens=3)


# Loops


@pytest.mark.parametrize("reply", ["loop ", "The same sentence again and again. ", "<think>Hm, wait. "])
def test_a_model_that_repeats_itself_is_stopped(reply: str) -> None:
    with FakeServer(reply, fault="endless") as server:
        with pytest.raises(errors.AnswerEndless, match="fake-model repeats itself and was stopped"):
            answer(model_at(server))
        assert eventually(lambda: server.disconnects == 1)


def test_a_server_that_ignores_its_limit_is_stopped() -> None:
    numbers = " ".join(map(str, range(50_000)))
    with (
        FakeServer(numbers, fault="endless", context=None) as server,
        pytest.raises(errors.AnswerEndless, match="wrote more than it was allowed") as caught,
    ):
        answer(model_at(server), max_tokens=50)
    assert 1700 < len(caught.value.partial) <= 1800


def test_no_note_is_taken_for_a_loop() -> None:
    notes = sorted((ROOT / "corpus").rglob("*.md"))
    assert notes
    for note in notes:
        watch = Watch("model", 100_000)
        for piece in re.findall(r"\s*\S+", note.read_text()):
            watch.feed(piece)
