"""An original and its result in, the differences that people see out."""

from .regions import Region, worst_region

__all__ = ["Region", "worst_region"]
