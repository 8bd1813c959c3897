"""Write base.txt and gpu.txt, the hashed lock of everything that pyproject.toml asks for.

`uv pip compile` resolves once for every platform. What only an NVIDIA GPU needs (torch as the registry
has it, triton, CUDA) goes to gpu.txt, the rest to base.txt. cpu.txt holds the same torch without CUDA, with
the SHA-256 of each wheel that https://download.pytorch.org/whl/cpu lists; it is edited by hand when torch's
version changes. A machine installs base.txt and one of the other two.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
GPU_ONLY = re.compile(r"(torch|triton|nvidia-[\w-]+|cuda-[\w-]+)==")
HEADER = "# Written by `make lock` from pyproject.toml.\n"


def main() -> None:
    """Resolve, then deal each entry (a requirement and its indented hash lines) into its file."""
    compile_command = (
        f"{sys.executable} -m uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 "
        "--generate-hashes --no-annotate --no-header --quiet"
    )
    resolved = subprocess.run(
        compile_command.split(),
        cwd=HERE.parent,
        env={name: value for name, value in os.environ.items() if name != "UV_FIND_LINKS"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    entries = re.findall(r"^\S.*\n(?:[ ]+.*\n)*", resolved, flags=re.MULTILINE)
    base = [entry for entry in entries if not GPU_ONLY.match(entry)]
    gpu = [entry for entry in entries if GPU_ONLY.match(entry)]
    (HERE / "base.txt").write_text(HEADER + "".join(base))
    (HERE / "gpu.txt").write_text(HEADER + "".join(gpu))


if __name__ == "__main__":
    main()
