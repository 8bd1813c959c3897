from eval.passages import find


def test_quotes_are_found_whatever_their_blanks_and_punctuation() -> None:
    text = "Any change over a one-year period, 1.5 times, recurs."
    assert find("a one - year period , 1 . 5 times", text) == (16, 44)
    assert find("two-year", text) is None
    assert find("…", text) is None
