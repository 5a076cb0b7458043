"""Recorded evidence: what someone measured and wrote down, standing in for a run of the subject."""
