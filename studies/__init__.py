"""Studies stand beside the package: how the specimens were trained, and how often the framework itself errs."""
