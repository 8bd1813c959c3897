from pathlib import Path

import pytest

from assistant.support import supports
from eval.support import measure
from ingest.settings import IngestSettings

PASSAGE = (
    "FSDP shards parameters, gradients and optimizer state over all GPUs. A 7 B model needs 112 GB with Adam. "
    "DDP does not shard anything. It keeps a full copy on every GPU. The ring all-reduce sends 28 GB on 8 GPUs."
)


@pytest.mark.parametrize(
    "claim",
    [
        "FSDP shards the optimizer state over all GPUs.",
        "With Adam, a 7 B model needs 112 GB.",
        "DDP keeps a full copy of everything on every GPU.",
        "DDP does not shard.",
        "Yes, the gradients are sharded over all GPUs.",
        "So it is.",
    ],
)
def test_what_the_passage_says_in_other_words_is_supported(claim: str) -> None:
    assert supports(claim, [PASSAGE])


@pytest.mark.parametrize(
    ("claim", "why"),
    [
        ("Penguins live in Antarctica and eat fish.", "nothing of it stands there"),
        ("A 7 B model needs 120 GB with Adam.", "another number"),
        ("Horovod's FSDP shards parameters and gradients over all GPUs of Nvidia.", "a name that is not there"),
        ("TPUs keep a full copy on every GPU.", "a subject in capitals that is not there"),
        ("FSDP does not shard parameters, gradients and optimizer state.", "a negation that is not there"),
        ("DDP shards anything.", "a negation that was dropped"),
        ("A 7 B model on 8 GPUs needs 28 GB with Adam for parameters and gradients.", "a number from elsewhere"),
    ],
)
def test_what_the_passage_does_not_say_is_not_supported(claim: str, why: str) -> None:
    assert not supports(claim, [PASSAGE]), why


def test_two_passages_may_bear_a_claim_together() -> None:
    assert supports(
        "FSDP shards parameters and DDP keeps a full copy.", ["FSDP shards parameters.", "DDP keeps a full copy."]
    )
    assert not supports("FSDP shards parameters and DDP keeps a full copy.", ["FSDP shards parameters."])


@pytest.mark.slow
@pytest.mark.evaldata
def test_swapped_sentences_are_told_from_right_ones_as_published(evaldata: Path, models: Path) -> None:
    rates = measure(evaldata / "clapnq", IngestSettings(home=models.parent), limit=120)
    assert rates.own[0] >= 0.92
    assert rates.hard[0] <= 0.01
    assert rates.precision >= 0.99
