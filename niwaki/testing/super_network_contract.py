"""What every super-network must do. Subclass `SuperNetworkContract` and implement `make`."""

import pickle
from abc import ABC, abstractmethod
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from niwaki.core.candidate import Candidate
from niwaki.core.randomness import stream
from niwaki.evaluation.families import ElasticFamily
from niwaki.spaces.super_network.base import SuperNetwork

N_SAMPLES = 12
_LEEWAY = 1e-5


class SuperNetworkContract(ABC):
    """Laws of elastic families and their super-networks.

    Attributes:
        input_shape: Of one input, without the batch.
    """

    input_shape: tuple[int, ...] = (3, 16, 16)

    @abstractmethod
    def make(self) -> ElasticFamily:
        """Return the family under test, built anew, for inputs of `input_shape`."""

    @pytest.fixture
    def family(self) -> ElasticFamily:
        return self.make()

    @pytest.fixture
    def network(self, family: ElasticFamily) -> SuperNetwork:
        return family.super_network(torch.Generator().manual_seed(0))

    @pytest.fixture
    def inputs(self) -> Tensor:
        return torch.randn(4, *self.input_shape, generator=torch.Generator().manual_seed(1))

    def test_the_largest_the_smallest_and_the_seeds_are_of_the_space(
        self, family: ElasticFamily
    ) -> None:
        space = family.space
        known = [space.largest, space.smallest, *space.seeds.values()]
        assert [space.check(candidate) for candidate in known] == [""] * len(known)

    def test_layers_are_named_as_the_table_has_them(self, family: ElasticFamily) -> None:
        space = family.space
        for candidate in _candidates(family):
            paths = [layer.path for layer in space.layer_table(candidate)]
            assert list(space.layers(candidate)) == paths
            assert [path for path in space.all_layers if path in set(paths)] == paths

    def test_every_layer_serves_a_task(self, family: ElasticFamily) -> None:
        for candidate in _candidates(family):
            for layer in family.space.layer_table(candidate):
                assert any(layer.serves(task) for task in family.space.tasks), layer.path

    def test_what_is_extracted_answers_as_its_slice_does(
        self, family: ElasticFamily, network: SuperNetwork, inputs: Tensor
    ) -> None:
        for candidate in _candidates(family):
            shared = network(inputs, candidate)
            assert len(shared) == len(family.space.tasks)
            extracted = network.extract(candidate).train()(inputs)
            for own, expected in zip(extracted, shared, strict=True):
                torch.testing.assert_close(own, expected, rtol=_LEEWAY, atol=_LEEWAY)

    def test_what_is_extracted_is_what_was_counted(
        self, family: ElasticFamily, network: SuperNetwork
    ) -> None:
        for candidate in _candidates(family):
            module, table = network.extract(candidate), family.space.layer_table(candidate)
            weights = {f"{layer.path}.weight": layer.n_weights for layer in table}
            found = {name: p.numel() for name, p in module.named_parameters()}
            assert {name: found.get(name, 0) for name in weights} == weights
            assert sum(layer.params for layer in table) == sum(found.values())

    def test_what_is_extracted_has_weights_of_its_own(
        self, family: ElasticFamily, network: SuperNetwork
    ) -> None:
        before = [p.detach().clone() for p in network.full.parameters()]
        with torch.no_grad():
            for parameter in network.extract(family.space.largest).parameters():
                parameter.add_(1.0)
        pairs = zip(before, network.full.parameters(), strict=True)
        assert all(torch.equal(old, new) for old, new in pairs)

    def test_gradients_flow_into_the_shared_weights(
        self, family: ElasticFamily, network: SuperNetwork, inputs: Tensor
    ) -> None:
        outputs = network(inputs, family.space.smallest)
        sum(output.square().sum() for output in outputs).backward()
        gradients = [p.grad for p in network.full.parameters() if p.grad is not None]
        assert any(bool(gradient.any()) for gradient in gradients)

    def test_answers_move_with_the_constants_that_they_start_at(
        self, family: ElasticFamily, network: SuperNetwork, inputs: Tensor
    ) -> None:
        outputs = network(inputs, family.space.smallest)
        sizes = {t: out.shape[1] for t, out in zip(family.space.tasks, outputs, strict=True)}
        answers = []
        for constant in (0.0, 2.0):
            network.start_at({task: [constant] * n for task, n in sizes.items()})
            answers.append(network(inputs, family.space.smallest))
        for first, second in zip(*answers, strict=True):
            moved = second - first
            torch.testing.assert_close(moved, torch.full_like(moved, 2.0), rtol=0, atol=1e-4)

    def test_the_same_seed_gives_the_same_weights(
        self, family: ElasticFamily, network: SuperNetwork
    ) -> None:
        torch.manual_seed(17)  # which must not matter
        again = family.super_network(torch.Generator().manual_seed(0))
        pairs = zip(network.full.parameters(), again.full.parameters(), strict=True)
        assert all(torch.equal(first, second) for first, second in pairs)

    def test_the_network_of_one_task_is_what_serves_it_and_answers_alike(
        self, family: ElasticFamily, network: SuperNetwork, inputs: Tensor
    ) -> None:
        trained = network.full.state_dict()
        for number, task in enumerate(family.space.tasks):
            alone = family.alone(task)
            own = alone.super_network(torch.Generator())
            own.full.load_state_dict({name: trained[name] for name in own.full.state_dict()})
            for candidate in _candidates(family):
                kept = alone.space.canonical(candidate.decisions)
                table = family.space.layer_table(candidate)
                serving = [layer.path for layer in table if layer.serves(task)]
                assert [layer.path for layer in alone.space.layer_table(kept)] == serving
                [answer] = own(inputs, kept)
                expected = network(inputs, candidate)[number]
                torch.testing.assert_close(answer, expected, rtol=_LEEWAY, atol=_LEEWAY)

    def test_it_travels(self, family: ElasticFamily) -> None:
        again: ElasticFamily = pickle.loads(pickle.dumps(family))
        assert again.space.largest == family.space.largest


def _candidates(family: ElasticFamily) -> Iterator[Candidate]:
    """Yield the seeds, and some samples, the same ones each time."""
    yield from family.space.seeds.values()
    for number in range(N_SAMPLES):
        yield family.space.sample(stream(number, "super-network"))
