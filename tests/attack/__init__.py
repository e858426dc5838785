"""Attacks: mutated files, random calls, memory that fails, and calls without end.

The tests here run each for seconds; `python tests/attack` runs them for hours.
"""
