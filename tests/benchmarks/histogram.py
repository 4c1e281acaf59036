"""A Prometheus histogram as its text gives it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Observations by bucket: how many were at most each bound."""

    sum: float
    count: int
    at_most: Mapping[float, int]

    @classmethod
    def read(cls, text: str, name: str) -> Histogram:
        """The histogram of that name without further labels; nothing observed where it is not."""
        at_most, total, count = {}, 0.0, 0
        for line in text.splitlines():
            sample, _, value = line.rpartition(" ")
            if sample.startswith(f'{name}_bucket{{le="'):
                at_most[float(sample.split('"')[1])] = int(float(value))
            elif sample == f"{name}_sum":
                total = float(value)
            elif sample == f"{name}_count":
                count = int(float(value))
        return cls(sum=total, count=count, at_most=at_most)

    def __sub__(self, earlier: Histogram) -> Histogram:
        """What was observed since."""
        return Histogram(
            sum=self.sum - earlier.sum,
            count=self.count - earlier.count,
            at_most={
                bound: count - earlier.at_most.get(bound, 0)
                for bound, count in self.at_most.items()
            },
        )

    def quantile(self, share: float) -> float:
        """The bound of the bucket below which that share lies; NaN where nothing was observed."""
        if not self.count:
            return math.nan
        return min(bound for bound, n in self.at_most.items() if n >= share * self.count)
