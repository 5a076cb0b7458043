"""A verdict follows from evidence, beside what was published and what was approved as a baseline."""
