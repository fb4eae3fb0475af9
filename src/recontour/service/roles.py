"""What an account may do. Nothing else is loaded, so that the command line can list it."""

from typing import Literal, get_args

Role = Literal["view", "edit", "approve", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)  # each may also do what the ones before it may


def may(role: str, needed: Role) -> bool:
    """Return whether a role may do what another one may.

    >>> may("approve", "edit"), may("view", "edit"), may("nobody", "view")
    (True, False, False)
    """
    return role in ROLES and ROLES.index(role) >= ROLES.index(needed)
