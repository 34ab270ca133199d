"""Who asks: an id and claims, wherever they come from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Claims = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class Actor:
    """A person or program, as its session or token names it."""

    id: str
    claims: Claims = field(default_factory=dict)
