"""What a count of answers tells, and how surely."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist


def wilson_interval(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval, from 0 to 1, in which the share behind ``successes`` of ``trials`` lies.

    The score interval of E. B. Wilson, Probable inference, the law of succession, and statistical inference, Journal
    of the American Statistical Association 22 (1927), 209-212, without correction for continuity. Unlike share ± z
    standard errors it stays within 0 and 1, and three right answers of three do not make it a point. Without any trial
    it is (0, 1).

    Raises:
        ValueError: if there are fewer than 0 successes or more than trials, or confidence is not between 0 and 1.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} is no count of successes")
    if not 0 < confidence < 1:
        raise ValueError(f"a confidence lies between 0 and 1, not at {confidence}")
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / trials
    middle = share + z * z / (2 * trials)
    reach = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    # At the ends the formula gives exactly 0 and 1, but its rounding does not.
    low = 0.0 if successes == 0 else (middle - reach) / scale
    high = 1.0 if successes == trials else (middle + reach) / scale
    return low, high
