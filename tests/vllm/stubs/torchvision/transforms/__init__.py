"""Names that are imported, but not used."""

from enum import Enum, auto


class InterpolationMode(Enum):
    """Values of a table."""

    BICUBIC = auto()
    BILINEAR = auto()
    BOX = auto()
    HAMMING = auto()
    LANCZOS = auto()
    NEAREST = auto()
    NEAREST_EXACT = auto()
