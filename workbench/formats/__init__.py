"""Reading other people's files: bytes -> records (files) -> rows of one of our four shapes (kinds, demonstrations, preferences).

`read` detects the format from the content, keeps every refused row with its reason, and never trains on a guess: where no
format fits, it says which columns it found and how to map them. No torch, no network, no code from the file.
"""

from workbench.formats.raw import Rejected
from workbench.formats.read import Import, Progress, read

__all__ = ["Import", "Progress", "Rejected", "read"]
