"""The command line surrounds the probes: what runs here, files of SAEs and of the article, and what follows a run."""
