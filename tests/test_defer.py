"""Modules imported when they are used."""

import subprocess
import sys

import pytest

NOT_AT_START = """
import sys, ui.cli
from ui.settings import UiSettings
UiSettings()
print([name for name in ("asyncio", "importlib.metadata") if name in sys.modules])
"""
LATER = """
import ui.settings, asyncio, importlib.metadata
print(asyncio.run(asyncio.sleep(0, "slept")))
"""
A_PART_LATER = """
import ui.settings
from importlib import metadata
print(metadata.__spec__.name)
"""
BY_THE_STAND_IN = """
import sys, ui.settings
from pydantic_settings import main
print(main.asyncio.sleep is sys.modules["asyncio"].sleep)
"""
AT_ONCE = """
from ingest.defer import deferred
with deferred("wave", "xml"):
    from wave import Wave_read
    import xml.dom.minidom
print(Wave_read.__module__, xml.dom.minidom.parseString("<a/>").documentElement.tagName)
"""
THERE_ALREADY = """
import wave
from ingest.defer import deferred
with deferred("wave"):
    import wave as again
print(again is wave)
"""


@pytest.mark.parametrize(
    ("code", "told"),
    [
        pytest.param(NOT_AT_START, "[]", id="the settings need neither an event loop nor metadata"),
        pytest.param(LATER, "slept", id="who imports it later gets the module"),
        pytest.param(A_PART_LATER, "importlib.metadata", id="a module in a package, too"),
        pytest.param(BY_THE_STAND_IN, "True", id="who was given a stand-in reaches the module by it"),
        pytest.param(AT_ONCE, "wave a", id="names and parts are imported at once"),
        pytest.param(THERE_ALREADY, "True", id="what is imported already stays"),
    ],
)
def test_a_module_is_imported_when_it_is_used(code: str, told: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == told
