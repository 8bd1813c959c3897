"""What a user can set about the web app."""

from pydantic import Field

from assistant.settings import AssistantSettings


class UiSettings(AssistantSettings):
    """Read from STUDY_* variables, then from `.env` in the working directory."""

    app: bool = True
    """A question in a terminal is answered by the running web app, where one has the same notes and settings."""

    ui_host: str = "127.0.0.1"
    """Address that the web app listens on; any that is not this machine's own needs users (`ask users add`)."""

    ui_port: int = Field(default=7860, ge=0, le=65535)
    """Port of the web app; 0: any that is free."""

    ui_hosts: str = ""
    """Further names that browsers may call the app by, with commas between them (notes.example.org)."""

    ui_trust_network: bool = False
    """Nobody has to log in, whatever the address: for a container whose port is published on this machine alone."""

    ui_session_hours: float = Field(default=12, gt=0)
    """Who did nothing for this long has to log in again. Hours."""

    ui_address_header: str = ""
    """Header in which your proxy says where a request comes from (X-Real-IP): wrong passwords are counted by it."""

    ui_questions: int = Field(default=32, ge=1)
    """Most questions that are answered at once."""

    ui_learner_questions: int = Field(default=6, ge=1)
    """Most questions of one learner that are answered at once."""

    ui_upload_files: int = Field(default=200, ge=1)
    """Most files in one upload; each is at most `max_file_mb`."""

    ui_upload_mb: int = Field(default=1024, ge=1)
    """Most that one request may carry. MiB."""
