"""A result and its original in, the differences that people see out."""
