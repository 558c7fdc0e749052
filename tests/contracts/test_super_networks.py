"""All super-networks keep the contract, also one that shares no code with the others."""

from niwaki.evaluation.families import ElasticFamily
from niwaki.spaces.heads import Head, HeadKind
from niwaki.spaces.multi_resolution.family import MultiResolutionFamily
from niwaki.spaces.slimmable.family import SlimmableFamily
from niwaki.testing.super_network_contract import SuperNetworkContract
from tests.evaluation.own_super_network import TowerSettings
from tests.spaces.multi_resolution import networks
from tests.spaces.slimmable.networks import small_space

HEADS = (Head("bright", HeadKind.VECTOR, 3), Head("dark", HeadKind.VECTOR, 2))


class TestSlimmable(SuperNetworkContract):
    def make(self) -> ElasticFamily:
        return SlimmableFamily(small_space())


class TestMultiResolution(SuperNetworkContract):
    def make(self) -> ElasticFamily:
        return MultiResolutionFamily(networks.small_space())


class TestMultiResolutionOfOneTask(SuperNetworkContract):
    input_shape = (1, 16, 16)

    def make(self) -> ElasticFamily:
        return MultiResolutionFamily(networks.tiny_space(networks.DEPTH, n_paths=3))


class TestOwn(SuperNetworkContract):
    def make(self) -> ElasticFamily:
        return TowerSettings().elastic_family(self.input_shape, HEADS)
