"""Modules imported when they are used."""

import subprocess
import sys


def tells(code: str) -> str:
    """Run code in a new interpreter; return what it prints."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_the_settings_import_no_event_loop_and_no_metadata() -> None:
    assert (
        tells(
            "import sys; import ui.cli; from ui.settings import UiSettings; UiSettings()\n"
            "print([name for name in ('asyncio', 'importlib.metadata') if name in sys.modules])"
        )
        == "[]"
    )


def test_who_imports_it_later_gets_the_module() -> None:
    assert (
        tells("import ui.settings, asyncio, importlib.metadata\nprint(asyncio.run(asyncio.sleep(0, 'slept')))")
        == "slept"
    )
    assert (
        tells("import ui.settings\nfrom importlib import metadata\nprint(metadata.__spec__.name)")
        == "importlib.metadata"
    )


def test_who_was_given_a_stand_in_reaches_the_module_by_it() -> None:
    assert (
        tells(
            "import sys; import ui.settings; from pydantic_settings import main\n"
            "print(main.asyncio.sleep is sys.modules['asyncio'].sleep)"
        )
        == "True"
    )


def test_names_and_parts_are_imported_at_once() -> None:
    assert (
        tells(
            "from ingest.defer import deferred\n"
            "with deferred('wave', 'xml'):\n"
            "    from wave import Wave_read\n"
            "    import xml.dom.minidom\n"
            "print(Wave_read.__module__, xml.dom.minidom.parseString('<a/>').documentElement.tagName)"
        )
        == "wave a"
    )


def test_what_is_imported_already_stays() -> None:
    assert (
        tells(
            "import wave; from ingest.defer import deferred\n"
            "with deferred('wave'):\n"
            "    import wave as again\n"
            "print(again is wave)"
        )
        == "True"
    )
