"""The oracle: one for the whole, lower for less, the same as for networks that were built."""

from functools import cache

import numpy as np
import torch

from niwaki.compress.pruning import ChannelGroups, analyse
from niwaki.compress.pruning.compensation import input_moments
from niwaki.compress.pruning.criteria import L1, score_groups
from niwaki.evaluation.compression.given_data.inferred_data import infer_from
from niwaki.evaluation.compression.original import example_of
from niwaki.evaluation.compression.proposing.importance import looked_at
from niwaki.evaluation.compression.proposing.masked_oracle import MaskedOracle, Ranked
from tests.evaluation.compression import small

HALF = np.array([8, 16])


@cache
def groups() -> ChannelGroups:
    return analyse(small.build(), example_of(small.data()))


def oracle(*, fitted: bool = False, recalibrated: bool = True) -> MaskedOracle:
    module, data = small.build(), small.data()
    inputs = looked_at(data, 128, seed=0)
    return MaskedOracle(
        module,
        Ranked(groups(), score_groups(L1(), module, groups())),
        data,
        recalibration=inputs if recalibrated else (),
        moments=input_moments(module, inputs) if fitted else None,
        n_items=64,
    )


def test_the_whole_network_has_lost_nothing() -> None:
    verdict = oracle(fitted=True).judge([groups().n_units])
    np.testing.assert_allclose(verdict.skills, 1.0)
    np.testing.assert_allclose(verdict.drifts, 0.0, atol=1e-9)


def test_answers_drift_further_the_more_is_removed() -> None:
    states = [groups().n_units, HALF, np.array([2, 3])]
    drifts = oracle().judge(states).drifts.mean(axis=1)
    assert drifts[0] < drifts[1] < drifts[2]
    assert drifts[2] > 0.3


def test_fitted_weights_keep_answers_nearer() -> None:
    plain, fitted = (oracle(fitted=f).judge([HALF]) for f in (False, True))
    assert fitted.drifts.sum() < plain.drifts.sum()


def test_without_recalibration_statistics_stay_those_of_the_whole() -> None:
    kept, anew = (oracle(recalibrated=r).judge([HALF]) for r in (False, True))
    assert not np.allclose(kept.losses, anew.losses)


def test_judging_leaves_no_trace() -> None:
    judge = oracle(fitted=True)
    before = {n: v.clone() for n, v in judge._module.state_dict().items()}
    first = judge.judge([HALF])
    assert all(torch.equal(v, before[n]) for n, v in judge._module.state_dict().items())
    np.testing.assert_array_equal(judge.judge([HALF]).skills, first.skills)


def test_what_is_judged_is_of_all_classes_also_in_an_ordered_file() -> None:
    images, targets = small.spots(128, 7)
    order = np.argsort(targets["quarter"], kind="stable")
    ordered = images[order], {name: values[order] for name, values in targets.items()}
    data = infer_from({**small.loaders(), "calibration": [ordered]}, small.build(), seed=0)
    ranked = Ranked(groups(), score_groups(L1(), small.build(), groups()))
    judge = MaskedOracle(small.build(), ranked, data, n_items=24, batch_size=8)
    seen = np.concatenate([batch.targets["quarter"] for batch in judge._batches])
    assert set(seen.tolist()) == {0, 1, 2, 3}


def test_a_task_below_chance_has_nothing_to_lose() -> None:
    module, data = small.build(), small.data()
    with torch.no_grad():
        module.brightness.weight.zero_()
        module.brightness.bias.fill_(9.0)
    useless = MaskedOracle(
        module,
        Ranked(groups(), score_groups(L1(), module, groups())),
        data,
        recalibration=looked_at(data, 128, seed=0),
        n_items=64,
    )
    verdict = useless.judge([groups().n_units, HALF])
    by_task = dict(zip(useless.tasks, verdict.skills.T.tolist(), strict=True))
    assert by_task["brightness"] == [1.0, 1.0]
    assert by_task["quarter"][0] == 1.0 > by_task["quarter"][1]
