"""Pictures in, times and errors out: kquant beside NumPy and other quantizers."""
