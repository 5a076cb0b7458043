"""Training of the specimens from a seed: ``python -m studies.specimens sparrow`` or ``finch``."""
