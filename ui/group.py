"""A group of commands: its first word may be left out, and what goes wrong is one line."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click
from click_default_group import DefaultGroup

from assistant.visible import visible
from ui import open as opening


class Group(DefaultGroup):  # type: ignore[misc]
    """Has a default command; turns our errors into one line on stderr and exit status 1.

    Args:
        elsewhere: Commands that are imported when they are wanted: a name → `module:command`.
    """

    def __init__(self, *args: Any, elsewhere: Mapping[str, str] | None = None, **more: Any) -> None:
        self._elsewhere = elsewhere or {}
        super().__init__(*args, **more)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands, in order."""
        return sorted({*super().list_commands(ctx), *self._elsewhere})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, imported now if it is elsewhere."""
        if cmd_name in self._elsewhere and cmd_name not in self.commands:
            opening.collect()  # most of these stay for a while
            module, command = self._elsewhere[cmd_name].split(":")
            self.add_command(getattr(import_module(module), command), cmd_name)
        return super().get_command(ctx, cmd_name)  # type: ignore[no-any-return]

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
        except ImportError as error:
            cause: BaseException | None = error
            while cause and not isinstance(cause, KeyboardInterrupt):
                cause = cause.__cause__ or cause.__context__
            if cause:  # Ctrl-C, as libraries in C++ tell it
                raise click.Abort from error
            raise
        except OSError as error:
            if isinstance(error, BrokenPipeError):
                raise
            told = f"{error.filename}: {error.strerror or error} (is STUDY_HOME a folder to write in?)"
            if not error.filename:
                told = (
                    f"reading or writing failed: {error.strerror or error}; see that the disk and the output have room"
                )
            raise click.ClickException(told) from error
