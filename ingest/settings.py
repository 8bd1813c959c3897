"""What a user can set about notes and their index."""

from pathlib import Path

from platformdirs import user_data_path

from ingest.defer import deferred

# For a command line and for plug-ins, neither of which we use: a tenth of each start.
with deferred("asyncio", "importlib.metadata"):
    from pydantic import Field, SecretStr
    from pydantic_settings import BaseSettings, SettingsConfigDict


class IngestSettings(BaseSettings):
    """Read from STUDY_* variables, then from `.env` in the working directory."""

    model_config = SettingsConfigDict(
        env_prefix="STUDY_", env_file=".env", extra="ignore", frozen=True, defer_build=True
    )

    home: Path = Field(default_factory=lambda: user_data_path("study-assistant"))
    """Folder of the index, the prepared models and everything else that is kept."""

    notes: Path = Path(__file__).resolve().parent.parent / "corpus"
    """Folder of the notes; each of its sub-folders is a course. It is only read; `ask add` alone writes there."""

    embed_model: str = ""
    """Name or path of a sentence-transformers model; empty: all-MiniLM-L6-v2, which is installed."""

    chunk_tokens: int = Field(default=0, ge=0)
    """Most tokens of a chunk's own text, by the embedding model's tokenizer; 0: what the model reads best."""

    max_file_mb: int = Field(default=64, ge=1)
    """Larger files are listed as skipped; of one that has grown larger, what was read before still answers. MiB."""

    ocr: bool = False
    """Read scanned pages of PDFs with tesseract, where it is installed."""

    ocr_lang: str = Field(default="eng", pattern=r"^\w[\w+/-]*$")
    """The languages of those pages, by tesseract's names: eng, deu+fra, …"""

    qdrant_url: str = ""
    """Address of a Qdrant server; empty: the engine embedded in this process. Each has an index of its own."""

    qdrant_api_key: SecretStr = SecretStr("")
    """API key of that server."""

    add_private: bool = False
    """`ask add` may also fetch from private and loopback addresses."""

    langfuse_public_key: str = ""
    """Key of a Langfuse project; with the two below, answers, quizzes and syncs are traced there."""

    langfuse_secret_key: SecretStr = SecretStr("")
    """The secret key that belongs to it."""

    langfuse_host: str = ""
    """Address of the Langfuse server: http://127.0.0.1:3000, or https://cloud.langfuse.com."""
