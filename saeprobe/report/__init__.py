"""Reports say what a run showed, as JSON by a versioned schema and as one page made from the JSON alone."""
