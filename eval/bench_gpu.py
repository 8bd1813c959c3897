"""What a GPU brings: embedding in fp16 against fp32 on the processor, and vLLM under load through our own client.

    make bench-gpu                      # on a machine with an NVIDIA GPU
    python -m eval.bench_gpu --dry      # say what would be measured

vLLM gets the architecture of Qwen3-8B with weights that are drawn at random (`--load-format dummy`: nothing is fetched,
and the time of a token does not depend on what it says), and the tokenizer of the rig's model, whose smaller
vocabulary makes its embeddings smaller, too. At temperature 1, so that random weights write no loops.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import SecretStr

from assistant.llm import LanguageModel, find
from assistant.settings import AssistantSettings
from eval.bench_serve import straight
from eval.rig import FOLDER, Rig

ROOT = Path(__file__).resolve().parent.parent
SERVE = ROOT / ".cache" / "serve"
AT_ONCE = (1, 8, 32, 128)
PROMPT_WORDS, ANSWER_TOKENS = 700, 128
QWEN3_8B = {
    "architectures": ["Qwen3ForCausalLM"],
    "attention_bias": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "head_dim": 128,
    "hidden_act": "silu",
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "max_position_embeddings": 40960,
    "model_type": "qwen3",
    "num_attention_heads": 32,
    "num_hidden_layers": 36,
    "num_key_value_heads": 8,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1000000,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "vocab_size": 49152,
}
"""From its config.json; the vocabulary and the two marks are the rig's."""
Ask = Callable[[int], int]
"""Ask the question of that number; return how many tokens came."""


def write_model(folder: Path, tokenizer: Path = FOLDER / "model") -> None:
    """Write a model without weights."""
    folder.mkdir(parents=True)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(tokenizer / name, folder / name)
    (folder / "config.json").write_text(json.dumps(QWEN3_8B, indent=2))


def server(model: Path) -> Rig:
    """Return vLLM for the GPU, not started yet."""
    options = ("--load-format", "dummy", "--max-num-seqs", str(max(AT_ONCE)), "--enable-prefix-caching")
    return Rig(context=4096, folder=SERVE, model=model, options=options)


def messages_of(number: int) -> list[dict[str, str]]:
    """Return a prompt that shares its beginning with no other."""
    return [{"role": "user", "content": f"{number} " + "passage " * PROMPT_WORDS + "\n\nWhat does it say?"}]


def throughput(ask: Ask, count: int) -> float:
    """Return tokens a second of so many questions at once, from the first sent to the last answered."""
    with ThreadPoolExecutor(count) as pool:
        began = time.perf_counter()
        tokens = sum(pool.map(ask, range(count)))
        return tokens / (time.perf_counter() - began)


def through_client(model: LanguageModel, offset: int) -> Ask:
    """Return how our own client asks; the offset keeps its prompts out of the server's cache."""

    def ask(number: int) -> int:
        *_, last = model.stream(messages_of(offset + number), max_tokens=ANSWER_TOKENS)
        return last.usage.completion_tokens if last.usage else 0

    return ask


def straight_to(rig_port: int, key: str, name: str, offset: int) -> Ask:
    """Return how a few lines of http.client ask the same."""

    def ask(number: int) -> int:
        body = {"model": name, "messages": messages_of(offset + number), "max_tokens": ANSWER_TOKENS}
        body |= {"temperature": 1, "seed": 0, "stream": True, "stream_options": {"include_usage": True}}
        return straight(("127.0.0.1", rig_port), key, body).tokens

    return ask


def load(port: int, model: LanguageModel, key: str, rounds: int = 3) -> Iterator[str]:
    """Yield the table of throughput: the two ways in turns, the best of the rounds each."""
    yield "| at once | through our client, tokens/s | straight, tokens/s | ratio |"
    yield "|---|---|---|---|"
    offset = 0
    for count in AT_ONCE:
        best = [0.0, 0.0]
        for turn in range(rounds):
            for way in (0, 1) if turn % 2 else (1, 0):
                offset += count
                ask = through_client(model, offset) if way == 0 else straight_to(port, key, model.name, offset)
                best[way] = max(best[way], throughput(ask, count))
        yield f"| {count} | {best[0]:,.0f} | {best[1]:,.0f} | {best[0] / best[1]:.3f} |"


def embedding() -> Iterator[str]:
    """Yield the table of embedding."""
    import numpy as np
    import torch
    from sentence_transformers import SentenceTransformer

    from ingest import embed

    with tempfile.TemporaryDirectory() as home:
        source = embed.load(Path(home)).model.source
    sentence = "FSDP shards parameters, gradients and optimizer state across all GPUs of the group. "
    texts = [f"{number}. " + sentence * 10 for number in range(4096)]
    yield "| sentence-transformers | chunks/s | least cosine to fp32 |"
    yield "|---|---|---|"
    exact = None
    for name, device, kind, some in (
        ("fp32, processor", "cpu", torch.float32, 256),
        ("fp16, GPU", "cuda", torch.float16, 4096),
    ):
        model = SentenceTransformer(source, device=device, model_kwargs={"torch_dtype": kind})
        model.encode(texts[:64], batch_size=64)
        began = time.perf_counter()
        vectors = model.encode(texts[:some], batch_size=256, normalize_embeddings=True).astype(np.float32)
        rate = some / (time.perf_counter() - began)
        exact = vectors if exact is None else exact
        least = float((exact * vectors[: len(exact)]).sum(axis=1).min())
        yield f"| {name} | {rate:,.0f} | {least:.5f} |"


def device() -> str:
    """Return the GPU's name, empty where there is none."""
    try:
        command = ["nvidia-smi", "--query-gpu=name,memory.total", "--format=csv,noheader"]
        told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except FileNotFoundError:
        return ""
    return told.stdout.strip().splitlines()[0] if told.returncode == 0 and told.stdout.strip() else ""


def main() -> None:
    """Measure and print; or say what would be."""
    parser = argparse.ArgumentParser(description="What a GPU brings.")
    parser.add_argument("--dry", action="store_true", help="Say what would be measured, and measure nothing.")
    dry = parser.parse_args().dry
    if dry:
        print(" ".join(server(Path("QWEN3-8B-CONFIG")).command()))
        print(f"{PROMPT_WORDS} words in, {ANSWER_TOKENS} tokens out, at once: {', '.join(map(str, AT_ONCE))}")
        return
    name = device()
    if not name:
        raise SystemExit("no NVIDIA GPU here; see what would be measured: python -m eval.bench_gpu --dry")
    print(f"{name}\n")
    for line in embedding():
        print(line, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder) / "model")
        with server(Path(folder) / "model") as rig:
            settings = AssistantSettings(
                llm_url=rig.url,
                llm_api_key=SecretStr(rig.key),
                llm_connect_ms=10_000,
                llm_temperature=1,
                llm_first_token_s=300,
                llm_stall_s=120,
            )
            model = find(settings)
            if not isinstance(model, LanguageModel):
                raise SystemExit(model.reason)
            print()
            for line in load(rig.port, model, rig.key):
                print(line, flush=True)


if __name__ == "__main__":
    main()
