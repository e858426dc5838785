"""Pixels in, distinct colours out: exact counts, a fixed order, a colour space."""
