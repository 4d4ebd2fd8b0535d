"""Ids that are numbers."""


def numeral(text: str) -> str:
    """A number as platforms write it, without leading zeros; what is none is for the caller to refuse."""
    return text.lstrip("0") or text[:1]
