"""Search spaces: decisions without networks."""

from niwaki.spaces.amounts import amounts
from niwaki.spaces.base import Choose, Space
from niwaki.spaces.choices import Choice, ChoiceSpace, Condition
from niwaki.spaces.joint import DependentSpace, JointSpace

__all__ = [
    "Choice",
    "ChoiceSpace",
    "Choose",
    "Condition",
    "DependentSpace",
    "JointSpace",
    "Space",
    "amounts",
]
