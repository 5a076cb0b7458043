"""The specimens' corpus: a grammar of English documents in which every concept planted is labelled where it stands."""
