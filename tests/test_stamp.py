import re
import subprocess
from pathlib import Path

import pytest

from eval.stamp import code_version
from tests.scored import scored


def test_whatever_can_change_a_score_changes_the_hash(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def settings_hash() -> str:
        return str(scored(zoo, "--suite", "refusal")["settings"]["hash"])

    seen = [settings_hash(), settings_hash()]
    assert seen[0] == seen[1]
    (zoo / "ood_queries.jsonl").write_text('{"id": "x", "question": "Who paints?"}\n')
    seen.append(settings_hash())
    (zoo / "docs.jsonl").write_text('{"path": "plants/oak.md", "unit": "plants"}\n')
    seen.append(settings_hash())
    monkeypatch.setenv("STUDY_TOP_K", "3")
    seen.append(settings_hash())
    monkeypatch.setenv("STUDY_CHUNK_TOKENS", "64")
    seen.append(settings_hash())
    monkeypatch.setenv("STUDY_LLM_SEED", "7")  # no model is asked
    assert settings_hash() == seen[-1]
    assert len(set(seen)) == 5


def test_the_code_is_told_by_its_commit_and_what_was_changed_or_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eval.stamp.ROOT", tmp_path)
    (tmp_path / "eval").mkdir()
    (tmp_path / "eval" / "a.py").write_text("1\n")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    bare = code_version()
    assert re.fullmatch(r"code [0-9a-f]{12}", bare)
    (tmp_path / "eval" / "a.py").write_text("2\n")
    assert code_version() != bare
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    clean = code_version()
    assert re.fullmatch(r"[0-9a-f]{10}", clean)
    (tmp_path / "notes.txt").write_text("no code\n")
    assert code_version() == clean
    (tmp_path / "eval" / "b.py").write_text("1\n")
    added = code_version()
    assert re.fullmatch(rf"{clean}\+[0-9a-f]{{6}}", added)
    (tmp_path / "eval" / "b.py").write_text("2\n")
    assert code_version() != added
