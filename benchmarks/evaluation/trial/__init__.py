"""The trial: how often this suite's verdict and other tools' are wrong, and how much they find."""
