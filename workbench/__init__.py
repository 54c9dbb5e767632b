"""The RLHF workbench: align a language model with human feedback on one machine."""

from workbench.lab import Lab
from workbench.recipes import EvaluateRecipe, PpoRecipe, ReplyRecipe, RewardRecipe, SftRecipe

__version__ = "0.1.0"
__all__ = ["EvaluateRecipe", "Lab", "PpoRecipe", "ReplyRecipe", "RewardRecipe", "SftRecipe", "__version__"]
