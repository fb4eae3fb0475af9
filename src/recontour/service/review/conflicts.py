"""What stands in the way of an edit."""

from recontour.errors import RecontourError


class ConflictError(RecontourError):
    """Another person holds the lock, or the contours have changed meanwhile."""


class UnknownPartError(RecontourError):
    """A draft, an organ or a layer that is not there."""
