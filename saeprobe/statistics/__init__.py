"""Statistics: tests that permute what a claim generalises over, and the intervals that belong to them."""
