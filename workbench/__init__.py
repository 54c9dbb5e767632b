"""The RLHF workbench: align a language model with human feedback on one machine."""

from workbench.lab import Lab
from workbench.recipes import DoubtRecipe, EvaluateRecipe, JudgeRecipe, PpoRecipe, ReplyRecipe, ReviseRecipe, RewardRecipe, SftRecipe

__version__ = "0.1.0"
__all__ = ["DoubtRecipe", "EvaluateRecipe", "JudgeRecipe", "Lab", "PpoRecipe", "ReplyRecipe", "ReviseRecipe", "RewardRecipe", "SftRecipe", "__version__"]
