"""Predictors on trees of a grammar: Weisfeiler-Lehman features are what `encode` gives."""

from itertools import pairwise

import numpy as np

from niwaki.core.candidate import Candidate
from niwaki.core.randomness import stream
from niwaki.predictors.composed.calibrated import Calibrated
from niwaki.predictors.linear.bayesian_ridge import BayesianRidge
from niwaki.predictors.quality import quality
from niwaki.predictors.standard import standard_predictor
from niwaki.spaces.grammar import Budget, GrammarSpace, read_grammar
from niwaki.spaces.grammar.encoding import Encoding
from niwaki.spaces.grammar.tree import Tree

GRAMMAR = read_grammar(
    "start Net\n"
    "terminal conv_1x1, conv_3x3, pool, skip\n"
    "Net -> both: Net Net [1] | three: Net Net Net [1] | Op [4]\n"
    "Op -> conv_1x1 | conv_3x3 | pool | skip\n"
)
GRAMMAR_SPACE = GrammarSpace(GRAMMAR, Budget(operations=30, depth=12), expected_operations=10.0)


def pooled_first(tree: Tree) -> float:
    """Return how many 3x3 convolutions stand right behind a pooling: a matter of shape."""
    labels = [child.label for child in tree.children]
    here = sum(pair == ("pool", "conv_3x3") for pair in pairwise(labels))
    return here + sum(pooled_first(child) for child in tree.children)


def sampled(n: int) -> list[Candidate]:
    """Draw n different trees."""
    rng, found = stream(0, "trees"), dict[Candidate, None]()
    while len(found) < n:
        found[GRAMMAR_SPACE.sample(rng)] = None
    return list(found)


def test_values_that_follow_from_shape_are_learned() -> None:
    candidates = sampled(500)
    y = np.array([[pooled_first(GRAMMAR_SPACE.tree(candidate))] for candidate in candidates])
    assert len(np.unique(y)) > 2
    X = GRAMMAR_SPACE.encode(candidates)
    predictor = Calibrated(BayesianRidge())
    predictor.fit(X[:200], y[:200])
    [with_shape] = quality(predictor.predict(X[200:]), y[200:])
    assert with_shape.kendall_tau > 0.5
    # Counts of operations and labels alone do not tell as much: it is the neighbourhoods that do.
    counts = Encoding(n_neighbourhoods=0, n_paths=0, costs=False)
    names = counts.names(GRAMMAR_SPACE.engine.attributes)
    predictor.fit(X[:200, : len(names)], y[:200])
    [without] = quality(predictor.predict(X[200:, : len(names)]), y[200:])
    assert with_shape.rmse < 0.9 * without.rmse  # 0.58 to 0.86 of it, on other draws


def test_the_standard_predictor_takes_trees() -> None:
    candidates = sampled(120)
    macs = [[GRAMMAR_SPACE.evaluation(each).cost.operations] for each in candidates]
    X, y = GRAMMAR_SPACE.encode(candidates), np.array(macs, dtype=np.float64)
    predictor = standard_predictor()
    predictor.fit(X[:80], y[:80])
    assert quality(predictor.predict(X[80:]), y[80:])[0].kendall_tau > 0.9
