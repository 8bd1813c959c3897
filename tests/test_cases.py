from pathlib import Path

from eval.cases import Case, read_cases, read_units


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
