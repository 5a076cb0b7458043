"""Tests permute what a claim generalises over, and intervals belong to them."""
