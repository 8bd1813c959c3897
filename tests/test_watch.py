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


def test_inline_thinking_is_no_part_of_the_answer() -> None:
    with FakeServer("<think>\nLet me see.\n</think>\n\nYes. [1]") as server:
        deltas = list(model_at(server).stream(ASK))
    assert "".join(delta.reasoning for delta in deltas) == "\nLet me see.\n"
    assert "".join(delta.text for delta in deltas) == "Yes. [1]"


def test_thinking_whose_opening_tag_was_in_the_prompt_is_taken_back() -> None:
    with FakeServer("Let me see.\n</think>\n\nYes. [1]") as server:
        text = thought = ""
        for delta in model_at(server).stream(ASK):
            text = delta.text if delta.restart else text + delta.text
            thought += delta.reasoning
    assert (text, thought) == ("Yes. [1]", "Let me see.\n")


@pytest.mark.parametrize(
    "text",
    [
        "The model writes <think> first, then </think>, then the answer.",
        "```\n<think>\nfirst\n</think>\nthen\n```",
        "a < b and b > c",
        "<thinker> is no tag",
        "<",
    ],
)
def test_an_answer_about_the_tags_is_left_alone(text: str) -> None:
    with FakeServer(text) as server:
        deltas = list(model_at(server).stream(ASK))
    assert "".join(delta.text for delta in deltas) == text
    assert not any(delta.restart or delta.reasoning for delta in deltas)


fragments = st.lists(st.sampled_from(["<think>", "</think>", "<", "think>", "</", "a", " ", "\n", "é"]))


@given(fragments.map("".join), st.data())
def test_thinking_is_split_off_alike_wherever_the_stream_cuts(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)))))
    split = Thinking()
    parts = [split.feed(text[a:b]) for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    parts.append(split.feed("", last=True))
    answer, thought = ("".join(column) for column in zip(*parts, strict=True))

    rest, expected = text.lstrip(), ""
    while rest.startswith("<think>"):
        inner, _, rest = rest.removeprefix("<think>").partition("</think>")
        expected, rest = expected + inner, rest.lstrip()
    assert (answer, thought) == (rest, expected)


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
