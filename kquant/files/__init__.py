"""Bytes in, pictures and palettes out, and back: only here are formats known."""
