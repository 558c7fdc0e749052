"""Every predictor keeps the contract."""

from niwaki.predictors.base import Predictor
from niwaki.predictors.composed.calibrated import Calibrated
from niwaki.predictors.composed.on_columns import OnColumns
from niwaki.predictors.composed.stacking import Stacking
from niwaki.predictors.composed.transformed import Transformed
from niwaki.predictors.gaussian.process import GaussianProcess
from niwaki.predictors.linear.bayesian_ridge import BayesianRidge
from niwaki.predictors.linear.ridge import Ridge
from niwaki.predictors.mlp_ensemble import MlpEnsemble, MlpEnsembleSettings
from niwaki.predictors.trees.ensemble import TreeEnsemble, TreeEnsembleSettings
from niwaki.testing.predictor_contract import PredictorContract


def few_trees() -> TreeEnsemble:
    return TreeEnsemble(TreeEnsembleSettings(n_trees=25))


class TestRidge(PredictorContract):
    least_tau = 0.85

    def make(self) -> Predictor:
        return Ridge()


class TestBayesianRidge(PredictorContract):
    least_tau = 0.85

    def make(self) -> Predictor:
        return BayesianRidge()


class TestTreeEnsemble(PredictorContract):
    def make(self) -> Predictor:
        return few_trees()


class TestGaussianProcess(PredictorContract):
    least_tau = 0.85

    def make(self) -> Predictor:
        return GaussianProcess()


class TestMlpEnsemble(PredictorContract):
    def make(self) -> Predictor:
        return MlpEnsemble(MlpEnsembleSettings(n_networks=4, widths=(32,), n_steps=200))


class TestStacking(PredictorContract):
    least_tau = 0.85

    def make(self) -> Predictor:
        return Stacking(members=[BayesianRidge(), few_trees()])


class TestTransformed(PredictorContract):
    def make(self) -> Predictor:
        return Transformed(Ridge())


class TestOnColumns(PredictorContract):
    def make(self) -> Predictor:
        return OnColumns(Ridge(), range(12))


class TestCalibrated(PredictorContract):
    def make(self) -> Predictor:
        return Calibrated(Transformed(Stacking(members=[Ridge(), few_trees()])))
