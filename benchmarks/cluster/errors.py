"""The one error of a cluster that a user can do something about."""


class ClusterError(Exception):
    """Raised where a cluster cannot be used; the message is one line for the user."""
