"""Statistics of samples: estimators, verdicts, launch pairs, change points."""
