"""What learners write, and what the notes have: which of it is the same."""

import pytest

from assistant.match import distance, quantity, says_the_same

SAME = [
    # spelling, casing, hyphens, articles, plurals
    ("paged attention", "PagedAttention"),
    ("the KV-cache", "KV cache"),
    ("kv caches", "KV cache"),
    ("Time to first tokens", "time to first token"),
    ("A leaf switch.", "leaf switches"),
    ("GPUs", "GPU"),
    ("gpus", "GPU"),
    ("quantisation", "quantization"),
    ("backpropogation", "backpropagation"),
    ("conitnuous batching", "continuous batching"),
    ("inferense", "inference"),
    ("preceptron", "perceptron"),
    ("CI / CD", "CI/CD"),
    ("research and development", "research & development"),
    ("max-num-seqs", "--max-num-seqs"),
    # accents, letters of other alphabets
    ("Fréchet inception distance", "frechet inception distance"),
    ("Schrodinger", "Schrödinger"),
    ("β distribution", "beta distribution"),
    # numbers and units
    ("16GB", "16 GB"),
    ("16", "16 GB"),
    ("0.5 s", "500 ms"),
    ("1,000", "1000"),
    ("10 000", "10,000"),
    ("1,5", "1.5"),
    ("90 %", "90 percent"),
    ("thirty-two", "32"),
    ("one hundred and twenty", "120"),
    ("32 threads", "thirty-two threads"),
    ("about 16 GB", "16 GB"),
    ("~16 GB", "16 GB"),
    ("0.4 Tb/s", "400 Gb/s"),
    ("400 Gbps", "400 Gb/s"),
    ("50 tokens per second", "50 tokens/s"),
    ("400 gb per second", "400 GB/s"),
    ("1/2", "0.5"),
    ("32k", "32,000"),
    ("7B", "7 billion"),
    ("3-5", "3 to 5"),
    ("minus 5", "-5"),
    ("−5", "-5"),
    ("5", "+5"),
    ("5 dollars", "$5"),
    ("10^5", "100000"),
    ("type 2 error", "type II error"),
    ("Type 1", "Type I"),
    # order that says the same
    ("latency and throughput", "throughput and latency"),
    ("batching, continuous", "continuous batching"),
    # abbreviations with their long form
    ("TTFT (time to first token)", "time to first token"),
    ("TTFT", "time to first token (TTFT)"),
    ("time to first token", "time to first token (TTFT)"),
    ("data parallel", "data parallelism"),
]
ANOTHER = [
    ("", "warp"),
    ("asdf", "warp"),
    # words that are written alike
    ("unsupervised learning", "supervised learning"),
    ("encoder", "decoder"),
    ("underfitting", "overfitting"),
    ("macroservices", "microservices"),
    ("macro-average", "micro-average"),
    ("intra-node", "inter-node"),
    ("hyperthermia", "hypothermia"),
    ("nitrite", "nitrate"),
    ("trainee", "trainer"),
    ("generation", "generator"),
    ("transformation", "transformer"),
    ("ward", "warp"),
    ("batching", "continuous batching"),
    # code and abbreviations
    ("NCCI", "NCCL"),
    ("HBM2", "HBM3"),
    ("HTTPS", "HTTP"),
    ("--max-num-seq", "--max-num-seqs"),
    # single letters
    ("vitamin D", "vitamin C"),
    ("class B", "class A"),
    ("type I error", "type II error"),
    ("c-means", "k-means"),
    ("C++", "C"),
    ("C#", "C++"),
    # numbers, signs, units
    ("16 MB", "16 GB"),
    ("15 GB", "16 GB"),
    ("500", "0.5 s"),
    ("5", "-5"),
    ("-5", "5"),
    ("-5 degrees", "5 degrees"),
    ("1e5", "1e-5"),
    ("15", "1,5"),
    ("1.5", "15"),
    ("32", "32k"),
    ("400 GB/s", "400 Gb/s"),
    ("€5", "$5"),
    ("5 to 3", "3 to 5"),
    ("12, 4", "1, 24"),
    ("102", "10²"),
    # order and small words that turn the meaning round
    ("CPU to GPU", "GPU to CPU"),
    ("from disk to memory", "from memory to disk"),
    ("seconds per token", "tokens per second"),
    ("above the threshold", "below the threshold"),
    ("more than 4", "less than 4"),
    ("with replacement", "without replacement"),
    ("not convex", "convex"),
    ("off-policy", "on-policy"),
    # a name with the wrong other name
    ("warp (block)", "warp"),
]


@pytest.mark.parametrize(("given", "wanted"), SAME)
def test_another_spelling_is_the_same(given: str, wanted: str) -> None:
    assert says_the_same(given, [wanted])


@pytest.mark.parametrize(("given", "wanted"), ANOTHER)
def test_another_thing_is_not_the_same(given: str, wanted: str) -> None:
    assert not says_the_same(given, [wanted])


@pytest.mark.parametrize("wanted", sorted({wanted for _, wanted in SAME + ANOTHER}))
def test_every_key_is_itself(wanted: str) -> None:
    assert says_the_same(wanted, [wanted])
    assert says_the_same(f" {wanted.lower()} ", [wanted]) or "²" in wanted


def test_swapped_letters_are_one_slip() -> None:
    assert distance("conitnuous", "continuous") == 1


@pytest.mark.parametrize(
    ("text", "size", "measures"),
    [
        ("16 GiB", 16 * 2**30, "B"),
        ("400 Gb/s", 4e11, "bit/s"),
        ("-3.5", -3.5, ""),
        ("90%", 90, "%"),
        ("7B", 7e9, ""),
        ("5 mW", 0.005, "W"),
        ("2 h", 7200, "s"),
    ],
)
def test_a_quantity_has_a_size_and_a_unit(text: str, size: float, measures: str) -> None:
    found = quantity(text)
    assert found is not None
    assert found.size == pytest.approx(size)
    assert found.measures == measures


@pytest.mark.parametrize("text", ["warp", "H100", "3 to 5", "", "-", "16 GB of memory"])
def test_other_text_is_none(text: str) -> None:
    assert quantity(text) is None
