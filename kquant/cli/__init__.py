"""A command line in, files and messages out: the only place that prints."""
