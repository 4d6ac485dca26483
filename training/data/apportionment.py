"""Whole counts in proportion to shares."""

from collections.abc import Sequence
from fractions import Fraction


def largest_remainders(weights: Sequence[int | Fraction], total: int) -> list[int]:
    """Share out `total` things in proportion to `weights` by Hamilton's method.

    Each gets its share rounded down; what is left goes to the largest remainders, the first of equal ones first.

    Args:
        weights: not negative, and not all zero.
        total: how many there are to share out.
    """
    exact = [Fraction(weight * total, sum(weights)) for weight in weights]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(exact)), key=lambda place: counts[place] - exact[place])
    for place in by_remainder[: total - sum(counts)]:
        counts[place] += 1
    return counts
