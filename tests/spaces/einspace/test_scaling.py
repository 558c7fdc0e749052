"""Known networks become narrower and wider by one mutation, as a whole or by the stage."""

import numpy as np
import pytest

from niwaki.spaces.einspace import EinspaceSettings, NetworkFamily
from niwaki.spaces.einspace.seeds import resnet
from niwaki.spaces.grammar import GrammarSpace, Tree, read_tree
from niwaki.spaces.grammar.retune_all import retune_all

WIDTHS = (64, 128, 256, 512)


@pytest.fixture(scope="module")
def space() -> GrammarSpace:
    return EinspaceSettings().space_for((3, 32, 32))


@pytest.fixture(scope="module")
def children(space: GrammarSpace) -> set[Tree]:
    """Return what the operator alone makes of ResNet-18."""
    parent = space.tree(space.candidate(resnet(WIDTHS)))
    spots, found = space.engine.attributes.spots(parent), set()
    for seed in range(250):
        for path, node, *_ in retune_all(space.engine, spots, np.random.default_rng(seed)):
            child = parent.replaced(path, node)
            assert space.engine.attributes.whole(child).fault == ""
            found.add(space.engine.canonical.of(child))
    return found


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_all_widths_are_halved_or_doubled(
    factor: float, children: set[Tree], space: GrammarSpace
) -> None:
    scaled = resnet(tuple(int(factor * width) for width in WIDTHS))
    # Twice as wide, it is above the budget, so this is of the operator alone.
    assert space.engine.canonical.of(read_tree(scaled)) in children


@pytest.mark.parametrize("stage", range(4))
def test_a_stage_is_halved_alone(stage: int, children: set[Tree], space: GrammarSpace) -> None:
    text, width = resnet(WIDTHS), WIDTHS[stage]
    halved = text.replace(f"linear(d={width})", f"linear(d={width // 2})")
    assert space.tree(space.candidate(halved)) in children


@pytest.mark.parametrize("name", ["resnet18", "wrn16_4", "vit", "mlp_mixer"])
def test_every_seed_is_made_smaller_and_larger(name: str, large: NetworkFamily) -> None:
    space, seed = large.space, large.seed(name)
    rng, macs = np.random.default_rng(0), space.evaluation(seed).cost.macs
    parent = space.tree(seed)
    changes = [space.mutation(parent, rng) for _ in range(200)]
    made = [change.tree for change in changes if change.operator == "retune_all"]
    ratios = [space.engine.attributes.whole(tree).cost.macs / macs for tree in made]
    assert min(ratios) < 0.5
    assert max(ratios) > 1.3
