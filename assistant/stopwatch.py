"""Steps → the milliseconds that each took."""

import time


class Stopwatch:
    """Runs from its making."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        """Milliseconds of each step."""
        self._started = self._last = time.perf_counter()

    def lap(self, step: str) -> None:
        """Note the milliseconds since the last lap."""
        now = time.perf_counter()
        self.laps[step] = (now - self._last) * 1000
        self._last = now

    def total(self) -> None:
        """Note the milliseconds since the start."""
        self.laps["total"] = (time.perf_counter() - self._started) * 1000
