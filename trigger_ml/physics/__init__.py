"""Rates, efficiencies and ROC curves of integer scores, each with its statistical error."""
