"""A histogram in, a palette out: k-means, its goals, and what it must not lose."""
