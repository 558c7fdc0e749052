"""What every super-network can do."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from niwaki.core.candidate import Candidate


class SuperNetwork(nn.Module, ABC):
    """A network whose weights all candidates of a space share.

    It is trained on the outputs of many of them in turn; afterwards each is extracted. What it
    knows is the state of `full`: checkpoints keep that, and a super-network for fewer tasks takes
    from it, by their names, what it has as well.
    """

    @property
    @abstractmethod
    def full(self) -> nn.Module:
        """The largest network, whose parameters are the shared ones."""

    @abstractmethod
    def start_at(
        self,
        answers: Mapping[str, Sequence[float]],
        units: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        """Let every network answer with a constant at first, so that training starts from there.

        Args:
            answers: Outputs by task, one for each of the task's.
            units: How far outputs are from these constants, about, by task: what is trained counts
                in them, so that prices in euros are learned like those in millions. 1 where nothing
                is said.
        """

    @abstractmethod
    def forward(self, inputs: Tensor, candidate: Candidate) -> tuple[Tensor, ...]:
        """Run the network of `candidate` in training mode, on batch statistics.

        Gradients of what it returns flow into the shared weights.

        Args:
            inputs: (B, *input shape).
            candidate: Of the super-network's space.

        Returns:
            (B, ...) for each task, in their order.
        """

    @abstractmethod
    def extract(self, candidate: Candidate) -> nn.Module:
        """Return the network of `candidate` as a plain module with its own copy of the weights.

        It maps (B, *input shape) to a tensor per task. Its batch-norm statistics are fresh:
        recalibrate before evaluation.
        """
