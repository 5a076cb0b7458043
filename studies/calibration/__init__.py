"""The calibration study measures how often the framework's verdicts are wrong, on claims whose truth is known."""
