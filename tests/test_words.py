import pytest

from assistant.words import content, stems


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The models were trained", {"model", "train"}),
        ("Models training", {"model", "train"}),
        ("What is the FSDP of it?", {"fsdp"}),
        ("cafés and naïve ideas", {"cafe", "naiv", "idea"}),
        ("GPU's cards", {"gpu", "card"}),
        ("It says so [1, 2] there", {"say"}),
        ("", set()),
        ("of the and", set()),
        ("訓練", {"訓", "練"}),
        ("C and R", set()),
    ],
)
def test_content_words_are_stemmed_and_function_words_left_out(text: str, found: set[str]) -> None:
    assert stems(text) == found


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("1,000 GPUs", {"1000"}),
        ("a thousand GPUs", {"1000"}),
        ("3.50 dollars", {"3.5"}),
        ("007", {"7"}),
        ("half of it", {"0.5"}),
        ("seventeen or eighteen of ninety", {"17", "18", "90"}),
        ("the third of twelve", {"3", "12"}),
        ("one of the first", set()),
        ("5 % or 5%", {"5"}),
        ("zero", set()),
    ],
)
def test_a_number_is_written_one_way(text: str, numbers: set[str]) -> None:
    assert content(text).numbers == numbers


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Training uses PyTorch on Linux", {"pytorch", "linux"}),
        ("FSDP shards", {"fsdp"}),
        ("Horovod shards", set()),
        ("it shards", set()),
    ],
)
def test_names_are_words_with_a_capital_the_first_word_only_with_two(text: str, names: set[str]) -> None:
    assert content(text).names == names


@pytest.mark.parametrize(
    ("text", "negated"),
    [
        ("It does not shard", True),
        ("It doesn't shard", True),
        ("It doesn’t shard", True),
        ("It cannot shard", True),
        ("Nothing shards", True),
        ("It works without sharding", True),
        ("It shards notes", False),
    ],
)
def test_a_negation_is_seen_however_it_is_written(text: str, negated: bool) -> None:
    assert content(text).negated is negated
