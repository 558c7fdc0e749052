"""BoTorch as its users run it: a mixed GP per objective, and qLogNEHVI over rows of the table."""

import warnings

import numpy as np
import torch
from botorch import fit_gpytorch_mll
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.models import MixedSingleTaskGP, ModelListGP
from botorch.models.transforms import Standardize
from botorch.optim import optimize_acqf_discrete
from botorch.sampling import SobolQMCNormalSampler
from botorch.utils.multi_objective.hypervolume import infer_reference_point
from gpytorch.mlls import SumMarginalLogLikelihood
from torch import Tensor

from benchmarks.efficiency.scenario import Meter

INITIAL = 20
SAMPLES = {2: 128, 3: 64}  # by objectives: cells of the dominated space are many above two
FEW_SAMPLES = 32
CHOICES = 1000
STEPS = 50  # of fitting: after these, it hardly improves
SETTINGS = f"{INITIAL} random, MixedSingleTaskGP, qLogNEHVI over {CHOICES} random rows, one by one"


def run(meter: Meter, seed: int) -> None:
    """Search until the meter is done."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    scenario = meter.scenario
    order = rng.permutation(len(scenario.grid))
    grid = torch.tensor(scenario.grid, dtype=torch.float64)
    rows: list[int] = []
    values: list[Tensor] = []
    for row in order[:INITIAL].tolist():
        _evaluate(meter, row, rows, values)
    while not meter.done:
        known = set(meter.rows)
        new = [row for row in rng.permutation(len(grid)).tolist() if row not in known][:CHOICES]
        if not new:
            return
        chosen = (
            _best(grid[rows], torch.stack(values), grid[new], seed + len(known))
            if len(rows) >= 2
            else 0
        )
        _evaluate(meter, new[chosen], rows, values)


def _evaluate(meter: Meter, row: int, rows: list[int], values: list[Tensor]) -> None:
    """Evaluate a row, and keep what did not fail, to be maximised."""
    answer = meter.evaluate_row(row)
    if answer.costs is not None:
        rows.append(row)
        values.append(-torch.tensor(answer.costs, dtype=torch.float64))


def _best(X: Tensor, Y: Tensor, choices: Tensor, seed: int) -> int:
    """Return the position of the best choice."""
    n_samples = SAMPLES.get(Y.shape[1], FEW_SAMPLES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = [
            MixedSingleTaskGP(
                X,
                column[:, None],
                cat_dims=list(range(X.shape[1])),
                outcome_transform=Standardize(m=1),
            )
            for column in Y.T
        ]
        model = ModelListGP(*models)
        fit_gpytorch_mll(
            SumMarginalLogLikelihood(model.likelihood, model),
            optimizer_kwargs={"options": {"maxiter": STEPS}},
        )
        acquisition = qLogNoisyExpectedHypervolumeImprovement(
            model=model,
            ref_point=infer_reference_point(Y),
            X_baseline=X,
            sampler=SobolQMCNormalSampler(torch.Size([n_samples]), seed=seed),
            prune_baseline=True,
        )
        best, _ = optimize_acqf_discrete(acquisition, q=1, choices=choices, max_batch_size=256)
    return int((choices == best[0]).all(dim=1).nonzero()[0, 0])
