"""A scored set of questions → an experiment over a dataset in Langfuse, by the SDK's own runner.

The dataset has an item for each case, and is filled up where it lacks some; the experiment has a trace for each
row, with its output and its scores, and the scores of the whole. Sent by the process that sends traces.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one case came to."""

    case: str
    input: str
    """The question."""
    expected: Any
    """What is right: an answer, or the notes that have it."""
    output: Any
    scores: Mapping[str, float]
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Experiment:
    """One suite of one run."""

    dataset: str
    """Its name; made if there is none."""
    run: str
    """Name of the experiment: the same name again is the same experiment."""
    outcomes: tuple[Outcome, ...]
    scores: Mapping[str, float]
    """Of the whole."""
    metadata: Mapping[str, str] = field(default_factory=dict)


def deliver(client: Any, evaluation: Callable[..., Any], told: Mapping[str, Any]) -> bool:
    """Make an experiment in Langfuse; return whether all of its items arrived there.

    Args:
        client: The SDK's client.
        evaluation: The SDK's class of a score.
        told: An `Experiment` as JSON.
    """
    outcomes = {_id(told["dataset"], one["case"]): one for one in told["outcomes"]}
    client.api.datasets.create(name=told["dataset"])
    known = {item.id for item in client.get_dataset(told["dataset"]).items}
    for id_, one in outcomes.items():
        if id_ not in known:
            client.api.dataset_items.create(
                dataset_name=told["dataset"],
                id=id_,
                input=one["input"],
                expected_output=one["expected"],
                metadata={"case": one["case"]},
            )
    items = [item for item in client.get_dataset(told["dataset"]).items if item.id in outcomes]
    by_case = {one["case"]: one for one in told["outcomes"]}

    def output(*, item: Any, **_: Any) -> Any:
        return outcomes[item.id]["output"]

    def scores(*, metadata: Mapping[str, Any], **_: Any) -> list[Any]:
        given = by_case[metadata["case"]]["scores"]
        return [evaluation(name=name, value=value) for name, value in given.items()]

    def whole(**_: Any) -> list[Any]:
        return [evaluation(name=name, value=value) for name, value in told["scores"].items()]

    result = client.run_experiment(
        name=told["run"],
        run_name=told["run"],
        data=items,
        task=output,
        evaluators=[scores],
        run_evaluators=[whole],
        max_concurrency=4,
        metadata=dict(told["metadata"]),
    )
    return len(result.item_results) == len(outcomes)


def _id(dataset: str, case: str) -> str:
    """Return the id of a case's item: ids are one space for all datasets of a project."""
    return hashlib.sha256(f"{dataset} {case}".encode()).hexdigest()[:32]
