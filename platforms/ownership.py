"""Whose tokens an account has, where what is read with them does not say: asked once for each grant."""

from collections.abc import Mapping
from typing import Any

from platforms.base import Account, same_account

OWN = "own"


def is_known(account: Account) -> bool:
    """Whether there is no more to ask: the tokens are the account's own, or may not be asked whose they are."""
    return isinstance(account.memory.get(OWN), bool)


def confirm(account: Account, answered: object) -> None:
    """Raise if the tokens are another account's; else remember that they are not."""
    same_account(account.network_unique_id, answered)
    account.memory[OWN] = True


def give_up(account: Account) -> None:
    """These tokens may not be asked whose they are."""
    account.memory[OWN] = False


def forget(memory: Mapping[str, Any]) -> dict[str, Any]:
    """What is still to be remembered with new tokens."""
    return {name: value for name, value in memory.items() if name != OWN}
