"""Studies stand outside the package: they train the specimens and measure the error rates of the framework."""
