"""The specimens are trained from a seed: ``python -m studies.specimens sparrow`` or ``finch``."""
