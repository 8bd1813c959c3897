"""A group of commands: its first word may be left out, and what goes wrong is one line."""

from typing import Any

import click
from click_default_group import DefaultGroup

from assistant.visible import visible


class Group(DefaultGroup):  # type: ignore[misc]
    """Has a default command; turns our errors into one line on stderr and exit status 1."""

    def invoke(self, ctx: click.Context) -> Any:
        from ingest.errors import StudyError

        try:
            return super().invoke(ctx)
        except click.UsageError:
            raise
        except click.ClickException as error:  # it may name files and folders, and their names can hold anything
            raise click.ClickException(visible(error.message)) from error
        except StudyError as error:
            raise click.ClickException(visible(str(error))) from error
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            told = f"{error.filename}: {error.strerror or error} (is STUDY_HOME a folder to write in?)"
            if not error.filename:
                told = (
                    f"reading or writing failed: {error.strerror or error}; see that the disk and the output have room"
                )
            raise click.ClickException(told) from error
