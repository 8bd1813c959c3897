import json
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.llm import LanguageModel, find
from assistant.settings import AssistantSettings
from eval import bench_gpu
from tests.conftest import ROOT
from tests.fake_openai import FakeServer


def test_a_dry_run_says_what_would_be_measured_and_needs_no_gpu() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "eval.bench_gpu", "--dry"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    command, plan = done.stdout.splitlines()
    assert "-m vllm.entrypoints.openai.api_server --model QWEN3-8B-CONFIG" in command
    assert "--load-format dummy --max-num-seqs 128" in command
    assert "--enforce-eager" not in command
    assert plan == "700 words in, 128 tokens out, at once: 1, 8, 32, 128"


def test_the_model_has_the_architecture_and_no_weights(tmp_path: Path) -> None:
    tokenizer = tmp_path / "tokenizer"
    tokenizer.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (tokenizer / name).write_text(name)
    bench_gpu.write_model(tmp_path / "model", tokenizer)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == [
        "chat_template.jinja", "config.json", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert (config["num_hidden_layers"], config["hidden_size"], config["num_key_value_heads"]) == (36, 4096, 8)


def test_both_ways_are_loaded_alike_and_no_prompt_comes_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_gpu, "AT_ONCE", (1, 4))
    with FakeServer("one two three four five", pause=0.002, key="k") as server:
        model = find(AssistantSettings.model_validate({"llm_url": server.url, "llm_api_key": "k"}))
        assert isinstance(model, LanguageModel)
        lines = list(bench_gpu.load(server.server_port, model, "k", rounds=2))
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| 1", "| 4"]
    assert all(float(line.rstrip(" |").rpartition("| ")[2]) > 0 for line in lines[2:])
    prompts = [chat["messages"][0]["content"] for chat in server.chats]
    assert len(prompts) == len(set(prompts)) == 2 * 2 * (1 + 4)
