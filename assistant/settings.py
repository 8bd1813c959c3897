"""What a user can set about retrieving and answering."""

import hashlib
import json
import re
import unicodedata
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, SecretStr

from ingest.settings import IngestSettings

_LEARNER = re.compile(r"\w[\w.@+-]{0,63}")
LONGEST = 255
"""Bytes of a folder's name."""


def learner_name(name: str) -> str:
    """Return a learner's name in the one form in which it becomes a folder: 'ä' is one letter, however it was typed.

    Raises:
        ValueError: It can't be a name.
    """
    name = unicodedata.normalize("NFC", name)
    if not _LEARNER.fullmatch(name) or len(name.encode()) > LONGEST:
        raise ValueError(f"{name[:64]!r} can't be a name: use letters, digits and . _ - @ +, at most 64")
    return name


class AssistantSettings(IngestSettings):
    """Read from STUDY_* variables, then from `.env` in the working directory."""

    learner: Annotated[str, AfterValidator(learner_name)] = "me"
    """Whose journal is kept: a name of letters, digits and . _ - @ +, which becomes a folder."""

    top_k: int = Field(default=6, ge=1, le=50)
    """Most passages that an answer is made from."""

    rerank_model: str = ""
    """Name or path of a cross-encoder (sentence-transformers) that reads the best candidates again; empty: none."""

    entailment_model: str = ""
    """Name or path of a cross-encoder that judges support; empty: the lexical check does."""

    llm_url: str = "http://127.0.0.1:8000/v1"
    """Address of an OpenAI-compatible model server, reached without a proxy; the default is vLLM's own."""

    llm_model: str = ""
    """Name of the model to ask; empty: the first that the server lists."""

    llm_api_key: SecretStr = SecretStr("")
    """API key of that server."""

    llm_connect_ms: int = Field(default=300, ge=1)
    """A server that has not said within this time what it serves counts as absent. Milliseconds."""

    llm_first_token_s: float = Field(default=60, gt=0)
    """Longest wait for the first token, queue and prompt included. Seconds."""

    llm_stall_s: float = Field(default=20, gt=0)
    """Longest silence between two tokens. Seconds."""

    llm_context_tokens: int = Field(default=0, ge=0)
    """Most tokens of prompt and answer together; 0: what the server says, or 4,096 where it says nothing."""

    llm_max_answer_tokens: int = Field(default=1024, ge=1)
    """Most tokens of an answer, a reasoning model's thinking included."""

    llm_temperature: float = Field(default=0, ge=0)
    """0 always takes the likeliest token."""

    llm_seed: int = 0
    """Makes sampling repeatable where the server can."""

    llm_reasoning_effort: Literal["", "none", "minimal", "low", "medium", "high", "xhigh", "max"] = ""
    """How much a reasoning model thinks first; empty: as the server has it."""

    review_retention: float = Field(default=0.9, ge=0.7, le=0.99)
    """Chance of recall at which an item comes back: higher means more reviews."""

    @property
    def digest(self) -> str:
        """Twelve hexadecimal digits that change with every setting that can change an answer."""
        return hashlib.sha256(json.dumps(self.telling, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def telling(self) -> dict[str, Any]:
        """Every setting that can change an answer, ready for JSON."""
        return self.model_dump(mode="json", include=_TELLING)


_NOT_TELLING = ("home", "notes", "learner", "review_retention", "langfuse_public_key", "langfuse_host")
_TELLING = {
    name
    for name, field in AssistantSettings.model_fields.items()
    if field.annotation is not SecretStr and name not in _NOT_TELLING
}
