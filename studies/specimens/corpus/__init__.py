"""The corpus is a grammar of English documents in which every planted concept is marked where it stands."""
