"""The name or path of a sentence-transformers model → the model: safetensors only, no code of its own.

What a name stands for is looked for in the cache first, so that a model which was fetched once needs no network.
"""

import logging
from pathlib import Path
from typing import Any

from ingest.errors import EmbedderUnavailable

TIMEOUT = 10.0
"""Seconds after which the model hub counts as unreachable."""


def load(kind: str, name: str, *, called: str, setting: str, model_kwargs: dict[str, Any], **options: Any) -> Any:
    """Return a model.

    Args:
        kind: The class of sentence_transformers: SentenceTransformer or CrossEncoder.
        name: Name on the model hub, or path of a folder.
        called: What it is to the user: 'reranker'.
        setting: Which setting names it.
        model_kwargs: For the transformer inside.
        options: For the class.

    Raises:
        EmbedderUnavailable: It is not there, is damaged, has no safetensors weights or is made for something else.
    """
    import sentence_transformers
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    for library in ("sentence_transformers", "transformers", "huggingface_hub"):
        logging.getLogger(library).setLevel(logging.CRITICAL)  # what matters of it becomes our one line
    make = getattr(sentence_transformers, kind)
    options |= {"trust_remote_code": False, "model_kwargs": {"use_safetensors": True, **model_kwargs}}
    try:
        # Whatever a damaged or foreign model makes these libraries raise, the user gets one line.
        if not Path(name).is_dir():
            options["local_files_only"] = _is_cached(name)
        model = make(name, **options)
    except Exception as error:
        raise EmbedderUnavailable(f"the {called} {name} can't be loaded ({_reason(error)}); check {setting}") from error
    return model


def _is_cached(name: str) -> bool:
    """Return whether a model is in the cache; where it is not, it must at least be known to the hub."""
    from huggingface_hub import model_info, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        if isinstance(try_to_load_from_cache(name, "config.json"), str):
            return True
        model_info(name, timeout=TIMEOUT)  # in one attempt: the download itself tries for most of a minute
    except HFValidationError as error:
        raise OSError("there is no such folder, and no model has such a name") from error
    except Exception as error:  # of huggingface_hub, of its HTTP library, or of the network
        raise OSError(f"it is not in the cache, and the model hub can't give it: {_reason(error)}") from error
    return False


def _reason(error: Exception) -> str:
    return str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
