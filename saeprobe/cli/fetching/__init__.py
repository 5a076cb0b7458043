"""Fetching from the Hub into its cache: what a subject lacks, and how it comes over a line that may break."""
