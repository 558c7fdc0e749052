"""The predictors by name."""

from niwaki.core.registry import Record, Registry

# Each factory takes (settings); the annotation of `settings` is the frozen dataclass that a
# configuration is checked against.
PREDICTORS = Registry(
    "predictors",
    (
        Record(
            "ridge",
            "ridge regression on the features and their pairwise products",
            "niwaki.predictors.linear.ridge:Ridge",
        ),
        Record(
            "bayesian_ridge",
            "ridge that learns its own strength, with the spread that follows from it",
            "niwaki.predictors.linear.bayesian_ridge:BayesianRidge",
        ),
        Record(
            "gaussian_process",
            "Gaussian process: smooth, sure of itself near data only; for few rows",
            "niwaki.predictors.gaussian.process:GaussianProcess",
        ),
        Record(
            "tree_ensemble",
            "randomised trees: no assumption about the shape, and no extrapolation",
            "niwaki.predictors.trees.ensemble:TreeEnsemble",
        ),
        Record(
            "mlp_ensemble",
            "a few small neural networks; for many rows",
            "niwaki.predictors.mlp_ensemble:MlpEnsemble",
        ),
        Record(
            "stacking",
            "several of these, weighted by cross-validation",
            "niwaki.predictors.composed.stacking:Stacking",
        ),
    ),
)
