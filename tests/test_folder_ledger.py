"""The script that ingests any folder and says whether the ledger adds up."""

import json
import sys
from pathlib import Path

import pytest

from tests import folder_ledger
from tests.folders import LONG, Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_the_script_for_any_folder_adds_up(folder: Folder, capfd: pytest.CaptureFixture[str]) -> None:
    folder.write(a="one", b="", sub__c=LONG)
    (folder.path / "odd.pdf").write_bytes(b"%PDF-1.4 and no more")
    (folder.path / "link").symlink_to("sub")
    (folder.path / ".hidden").touch()
    assert folder_ledger.main([str(folder.path)]) == 0
    told = json.loads(capfd.readouterr().out)
    assert (told["files"], told["on_disk"], told["wrong"]) == (6, 6, [])
    assert told["by_state"] == {"empty": 1, "failed": 1, "indexed": 2, "skipped": 2}
    assert told["chunks"] == 5


def test_the_script_tells_what_does_not_add_up(folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write(a="one")
    monkeypatch.setattr(folder_ledger, "on_disk", lambda folder: 2)
    wrong = folder_ledger.ingest(folder.path, tmp_path / "home", real=False)["wrong"]
    assert wrong == ["2 files on disk, 1 in the report, {'indexed': 1}"]


def test_the_script_tells_when_its_process_died(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert folder_ledger.main([str(folder.path)]) == 1
    assert "the process died (status 1)" in capfd.readouterr().err
