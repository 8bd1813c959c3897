"""Write the hashed lock of everything that pyproject.toml asks for.

    base.txt  what the assistant needs on any machine
    cpu.txt   torch without CUDA
    gpu.txt   torch with CUDA, and what else only an NVIDIA GPU needs
    dev.txt   what its tests need in addition, the optional extras included

`uv pip compile` resolves all of it once for every platform; the rest is dealing. cpu.txt holds the same torch as
gpu.txt, with the SHA-256 of each wheel that https://download.pytorch.org/whl/cpu lists; it is edited by hand when
torch's version changes. The extra `serve` is not in here: it can't share an environment with the rest.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
GPU_ONLY = re.compile(r"(torch|triton|nvidia-[\w-]+|cuda-[\w-]+)==")
HEADER = "# Written by `make lock` from pyproject.toml.\n"
EXTRAS = ("dev", "ray", "optimize")


def resolve(*options: str) -> list[str]:
    """Return the entries of a lock: a requirement each, with its indented hash lines."""
    compile_command = (
        f"{sys.executable} -m uv pip compile pyproject.toml --universal --python-version 3.11 "
        "--generate-hashes --no-annotate --no-header --quiet"
    )
    resolved = subprocess.run(
        [*compile_command.split(), *options],
        cwd=HERE.parent,
        env={name: value for name, value in os.environ.items() if name != "UV_FIND_LINKS"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    return re.findall(r"^\S.*\n(?:[ ]+.*\n)*", resolved, flags=re.MULTILINE)


def main() -> None:
    """Resolve with all extras, then again without, held to the same versions; write the files."""
    everything = resolve(*(part for extra in EXTRAS for part in ("--extra", extra)))
    files: dict[str, list[str]] = {"base.txt": [], "gpu.txt": [], "dev.txt": everything}
    write(files)
    needed = resolve("--constraints", str(HERE / "dev.txt"))
    files["base.txt"] = [entry for entry in needed if not GPU_ONLY.match(entry)]
    files["gpu.txt"] = [entry for entry in needed if GPU_ONLY.match(entry)]
    files["dev.txt"] = [entry for entry in everything if entry not in needed]
    write(files)


def write(files: dict[str, list[str]]) -> None:
    """Write each file's entries."""
    for name, entries in files.items():
        (HERE / name).write_text(HEADER + "".join(entries))


if __name__ == "__main__":
    main()
