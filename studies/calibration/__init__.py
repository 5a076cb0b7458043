"""The calibration study: claims whose truth is known, taken the whole way to a verdict, and how often it errs."""
