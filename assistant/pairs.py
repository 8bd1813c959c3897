"""A cross-encoder, which reads two texts together, is loaded: for reranking and for judging support."""

from typing import Any

from ingest import pretrained
from ingest.embed import has_gpu
from ingest.errors import EmbedderUnavailable


def load(name: str, *, called: str, setting: str, one_score: bool = False) -> Any:
    """Return a sentence-transformers cross-encoder.

    Args:
        name: Name on the model hub, or path of a folder.
        called: What it is to the user: 'reranker'.
        setting: Which setting names it.
        one_score: It gives one score, 0 to 1; else one for each of its labels.

    Raises:
        EmbedderUnavailable: It is not there, is damaged, or was not trained to compare two texts.
    """
    options: dict[str, Any] = {}
    if one_score:
        from torch.nn import Sigmoid

        options = {"num_labels": 1, "activation_fn": Sigmoid()}
    device = "cuda" if has_gpu() else "cpu"
    model = pretrained.load(
        "CrossEncoder", name, called=called, setting=setting, model_kwargs={}, device=device, **options
    )
    # Such a model would be given a last layer of random numbers, and judge by them.
    trained_as = model.config.architectures or []
    if type(model[0].model).__name__ not in trained_as:
        what = ", ".join(trained_as) or "model of unknown kind"
        raise EmbedderUnavailable(
            f"the {called} {name} was not trained to compare two texts (it is a {what}); check {setting}"
        )
    return model
