"""A palette and pixels in, an index map out: nearest or dithered, and measured."""
