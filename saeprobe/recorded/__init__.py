"""Recorded evidence stands for a run: the files of whoever recorded it are read and held against their subject."""
