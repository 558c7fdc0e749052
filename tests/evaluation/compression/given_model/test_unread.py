"""What no answer depends on is told from what is read in ways that autograd does not see."""

import torch
from torch import nn

from niwaki.evaluation.compression.given_model.unread import unread_parameters


class Idle(nn.Module):
    """Has a head for training, a layer that nothing calls, and answers that are dropped."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(4, 8), nn.Linear(8, 3)
        self.auxiliary, self.never = nn.Linear(8, 3), nn.Linear(4, 4)
        self.dropped = nn.Linear(8, 2)
        self.scale = nn.Parameter(torch.ones(()), requires_grad=False)
        self.count = nn.Parameter(torch.ones((), dtype=torch.int64), requires_grad=False)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        features = self.scale * torch.relu(self.body(x)) * self.count
        self.dropped(features)
        heads = (self.head, self.auxiliary) if self.training else (self.head,)
        return tuple(head(features) for head in heads)


class Detached(nn.Module):
    """Reads a layer without gradients, and another not at all."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen, self.head, self.never = nn.Linear(4, 8), nn.Linear(8, 3), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            features = torch.relu(self.frozen(x))
        answer: torch.Tensor = self.head(features)
        return answer


class NeverWithGradients(Detached):
    """Runs in no other way than without gradients."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            answer: torch.Tensor = self.head(torch.relu(self.frozen(x)))
        return answer


def test_what_answers_do_not_depend_on_is_named() -> None:
    module = Idle().eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    heads = ("auxiliary", "dropped", "never")
    expected = {f"{head}.{part}" for head in heads for part in ("weight", "bias")}
    assert unread_parameters(module, torch.randn(2, 4)) == expected
    assert not module.scale.requires_grad and module.head.weight.requires_grad
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


def test_what_is_read_without_gradients_is_read() -> None:
    for module in (Detached(), NeverWithGradients()):
        found = unread_parameters(module.eval(), torch.randn(2, 4))
        assert found == {"never.weight", "never.bias"}


class Deciding(nn.Module):
    """Answers with a mask and a class as well, which have no gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.scores = nn.Linear(4, 8), nn.Linear(8, 3)
        self.mask, self.label, self.never = nn.Linear(8, 1), nn.Linear(8, 3), nn.Linear(8, 3)
        nn.init.zeros_(self.label.bias)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        features = self.body(x)
        return self.scores(features), self.mask(features) > 0, self.label(features).argmax(1)


def test_what_decides_is_read() -> None:
    for seed in range(20):
        torch.manual_seed(seed)
        found = unread_parameters(Deciding().eval(), torch.randn(2, 4))
        assert found == {"never.weight", "never.bias"}
