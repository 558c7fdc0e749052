"""The ground floor's spaces keep the contract."""

from niwaki.spaces import Choice, ChoiceSpace, Condition, JointSpace, Space
from niwaki.testing.space_contract import SpaceContract
from niwaki.testing.toys import flat_toy, joint_toy


class TestChoices(SpaceContract):
    def make(self) -> Space:
        return flat_toy().space


class TestFewChoices(SpaceContract):
    def make(self) -> Space:
        deep = (Condition("depth", (2, 3)),)
        return ChoiceSpace(
            (
                Choice("depth", (1, 2, 3)),
                Choice("kernel", (3, 5), when=deep),
                Choice("padding", ((1, 1), (2, 2), None), when=(Condition("kernel", (5,)),)),
                Choice("residual", (True, False)),
                Choice("fixed", ("only",)),
            )
        )


class TestJoint(SpaceContract):
    def make(self) -> Space:
        return joint_toy().space


class TestNestedJoint(SpaceContract):
    def make(self) -> Space:
        training = ChoiceSpace((Choice("rate", (0.1, 0.01)), Choice("decay", (0.0, 0.5))))
        return JointSpace({"network": joint_toy().space, "training": training})


class TestMostlyFixedChoices(SpaceContract):
    """A mutation that mostly hits what cannot change still leaves its parent."""

    def make(self) -> Space:
        fixed = tuple(Choice(f"fixed{number}", (0,)) for number in range(200))
        return ChoiceSpace((*fixed, Choice("free", (0, 1, 2))))
