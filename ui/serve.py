"""The command `ask ui`: the web app, until it is stopped."""

import os
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from ui.settings import UiSettings


@click.command("ui")
@click.option("--host", help="Listen on this address (STUDY_UI_HOST); other than 127.0.0.1 needs users.")
@click.option("--port", type=click.IntRange(0, 65535), help="Listen on this port (STUDY_UI_PORT); 0: any free one.")
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
def ui(host: str | None, port: int | None, show: bool) -> None:
    """Serve the web app: ask, read, quiz, review, plan.

    It listens on this machine alone, and stops on Ctrl-C. More in docs/web.md.

    \b
    Examples:
      ask ui --open
      ask ui --port 8080
    """
    from ui import client
    from ui import open as opening
    from ui.token import token
    from ui.web import server
    from ui.web.desk import Desk
    from ui.web.presence import check_alone

    settings = opening.settings()
    told = {"ui_host": host, "ui_port": port}
    settings = settings.model_copy(update={name: value for name, value in told.items() if value is not None})
    _check_users(settings)
    check_alone(client.as_set())
    token(settings.home.expanduser().resolve())  # who sees the app listening finds it there

    def opened(url: str) -> None:
        click.echo(f"the app is at {url}; Ctrl-C stops it", err=True)
        if show:
            import webbrowser

            webbrowser.open(url)

    if not server.Service(Desk(settings), server.listen(settings), opened=opened).run():
        # A sync is under way: the index stays as it was, and the next sync removes what this one began.
        os._exit(0)  # Python's own end would pull the ground from under threads of other languages


def _check_users(settings: "UiSettings") -> None:
    """Refuse an address that others can reach where nobody could be kept out."""
    from ui.errors import UsersNeeded
    from ui.users import Users
    from ui.web.guard import is_loopback

    if is_loopback(settings.ui_host) or settings.ui_trust_network or Users(settings.home).hashes():
        return
    raise UsersNeeded(settings.ui_host)
