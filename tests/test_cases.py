from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eval.cases import BadCases, Case, read_cases, read_units
from eval.mine import keep_case


def test_a_line_is_a_case_and_unknown_fields_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").write_text(
        '{"id": "q1", "question": "What is a warp?", "answer": "32 threads", "gold_units": ["gpu"], "colour": 7}\n'
        "\n"
        '{"id": 2, "question": "Who?", "answerable": false, "kind": "mcq"}\n'
    )
    first, second = read_cases(tmp_path / "queries.jsonl")
    assert first == Case("q1", "What is a warp?", "open", True, ("32 threads",), ("gpu",), (), ())
    assert second == Case("2", "Who?", "mcq", False, (), (), (), ())


def test_several_answers_count_before_a_single_one_and_files_stand_for_units(tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").write_text(
        '{"id": "q", "question": "?", "answer": "a", "answers": ["b", "c"], "gold_docs": ["d.md"]}\n'
    )
    (case,) = read_cases(tmp_path / "queries.jsonl")
    assert (case.answers, case.gold_units, case.gold_docs) == (("b", "c"), ("d.md",), ("d.md",))


def test_a_file_of_other_subjects_is_unanswerable_unless_a_line_says_otherwise(tmp_path: Path) -> None:
    (tmp_path / "ood.jsonl").write_text(
        '{"id": "1", "question": "?"}\n{"id": "2", "question": "?", "answerable": true}\n'
    )
    assert [case.answerable for case in read_cases(tmp_path / "ood.jsonl", answerable=False)] == [False, True]


def test_units_are_read_where_there_are_any(tmp_path: Path) -> None:
    assert read_units(tmp_path / "docs.jsonl") == {}
    (tmp_path / "docs.jsonl").write_text('{"path": "a/1.md", "unit": "a"}\n{"path": "a/2.md", "unit": "a"}\n')
    assert read_units(tmp_path / "docs.jsonl") == {"a/1.md": "a", "a/2.md": "a"}


def test_the_question_sets_are_read_whole(evaldata: Path) -> None:
    for name, answerable in (("ml4b", None), ("clapnq", True)):
        cases = read_cases(evaldata / name / "queries.jsonl")
        assert len({case.id for case in cases}) == len(cases) > 100
        assert all(case.question for case in cases)
        assert answerable is None or {case.answerable for case in cases} == {True, False}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b'{"id": "1", "question": "Wh', "line 1: not JSON"),
        (b"[" * 100_000, "line 1: not JSON"),
        (b"[]", "line 1: not an object"),
        (b"null", "line 1: not an object"),
        (b'{"id": "1"}', "line 1: lacks 'question'"),
        (b'{"question": "a"}', "line 1: lacks 'id'"),
        (b'{"id": "1", "question": null}', "line 1: question is no text but null"),
        (b'{"id": "1", "question": ["a"]}', r'line 1: question is no text but \["a"\]'),
        (b'{"id": "1", "question": "a", "answers": [{"text": "b"}]}', "line 1: answers is no text but"),
        (b'{"id": "1", "question": "a", "options": ["b", "c"]}', "line 1: options is no list of objects"),
        (b'{"id": "1", "question": "a", "options": [{"text": "b"}]}', "line 1: lacks 'correct'"),
        (b'{"id": "1", "question": "a", "gold_passages": "a.md"}', "line 1: gold_passages is no list of objects"),
        (b'{"id": "1", "question": "a"}\n{"id": 1, "question": "b"}', "line 2: a second case with the id 1"),
        (b'{"id": "1", "question": "caf\xe9"}', "is not UTF-8"),
    ],
)
def test_a_line_that_is_no_case_is_named_with_what_is_wrong(line: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").write_bytes(line)
    with pytest.raises(BadCases, match=told):
        read_cases(tmp_path / "queries.jsonl")


def test_one_text_is_a_list_of_one_and_a_number_is_text(tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").write_text(
        '{"id": 7, "question": "When?", "answers": 1945, "gold_docs": "a.md", "tags": "year", "history": "Who?"}\n'
    )
    assert read_cases(tmp_path / "queries.jsonl") == [
        Case("7", "When?", "open", True, ("1945",), ("a.md",), ("a.md",), (), tags=("year",), asked_before=("Who?",))
    ]


def test_what_other_programs_write_is_read(tmp_path: Path) -> None:
    written = (
        '\ufeff{"id": "1", "question": "What is\u2028a\x85warp?"}\r\n{"id": "2", "question": "half \\ud800 a pair"}\r\n'
    )
    (tmp_path / "queries.jsonl").write_bytes(written.encode())
    assert [case.question for case in read_cases(tmp_path / "queries.jsonl")] == [
        "What is\u2028a\x85warp?",
        "half ? a pair",
    ]


def test_units_that_can_not_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "docs.jsonl").write_text('{"path": "a/1.md"}\n')
    with pytest.raises(BadCases, match=r"docs\.jsonl, line 1: write"):
        read_units(tmp_path / "docs.jsonl")


def test_cases_kept_at_the_same_moment_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    with ThreadPoolExecutor(8) as pool:
        new = list(pool.map(lambda n: keep_case(path, {"id": f"{n}", "question": "one\u2028line"}), range(24)))
    assert all(new)
    assert {case.id for case in read_cases(path)} == {f"{n}" for n in range(24)}
    assert not keep_case(path, {"id": "3", "question": "anew"})
    assert len(read_cases(path)) == 24
    assert sorted(file.name for file in tmp_path.iterdir()) == ["cases.jsonl", "cases.jsonl.lock"]


def test_a_broken_file_of_cases_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text('{"id": "1", "quest')
    with pytest.raises(BadCases, match="line 1: not JSON"):
        keep_case(path, {"id": "2", "question": "new"})
    assert path.read_text() == '{"id": "1", "quest'
