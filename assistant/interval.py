"""A share of some answers → what it may be in truth, given how few there were (Wilson, JASA 1927)."""

import math

Z_95 = 1.959964
"""Both sides, 95 %."""
Z_LOWER_90 = 1.281552
"""One side: the truth is above the lower bound with 90 %."""


def wilson(right: float, asked: float, z: float = Z_95) -> tuple[float, float]:
    """Return the bounds of a share, 0 to 1; (0, 1) where nothing was asked.

    Args:
        right: How many were right; may be a fraction, where a right answer counts less with time.
        asked: Of how many.
        z: How sure to be.
    """
    if asked <= 0:
        return 0.0, 1.0
    share, z2 = right / asked, z * z
    centre = (share + z2 / (2 * asked)) / (1 + z2 / asked)
    half = z / (1 + z2 / asked) * math.sqrt(max(0.0, share * (1 - share) / asked + z2 / (4 * asked * asked)))
    return max(0.0, centre - half), min(1.0, centre + half)
