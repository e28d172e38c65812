"""The worker: a process for one framework that prepares, checks and times cells. Run by ``-m``."""
