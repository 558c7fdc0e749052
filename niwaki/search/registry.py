"""The searchers by name."""

from niwaki.core.registry import Record, Registry

# Each factory takes (problem, settings); the annotation of `settings` is the frozen dataclass that
# a configuration is checked against.
SEARCHERS = Registry(
    "searchers",
    (
        Record(
            "random",
            "uniform draws without repeats: the baseline",
            "niwaki.search.random_search:RandomSearch",
        ),
        Record(
            "surrogate",
            "Gaussian processes and expected hypervolume: the fewest evaluations; the default",
            "niwaki.search.surrogate:Surrogate",
        ),
        Record(
            "linas",
            "rounds of measuring, learning and evolving on predictions (LINAS), mended or faithful",
            "niwaki.search.linas:Linas",
        ),
        Record(
            "nsga2",
            "evolution by rank and crowding (NSGA-II), asynchronous",
            "niwaki.search.nsga2:NSGA2",
        ),
        Record(
            "nsga3",
            "NSGA-III, asynchronous: survivors near evenly spread directions, for 3+ objectives",
            "niwaki.search.nsga3:NSGA3",
        ),
        Record(
            "age_moea",
            "AGE-MOEA, asynchronous: adapts to the shape of the front, for many objectives",
            "niwaki.search.age_moea:AgeMoea",
        ),
        Record(
            "sms_emoa",
            "SMS-EMOA, asynchronous: whoever adds least to the hypervolume leaves",
            "niwaki.search.sms_emoa:SMSEMOA",
        ),
        Record(
            "regularized_evolution",
            "evolution that retires the oldest (Real et al. 2019), for any number of objectives",
            "niwaki.search.regularized_evolution:RegularizedEvolution",
        ),
        Record(
            "botorch",
            "Bayesian optimisation by BoTorch: noisy expected hypervolume improvement",
            "niwaki.search.botorch_searcher:BotorchSearcher",
            ("botorch",),
            check="niwaki.search.botorch_searcher:require_botorch",
        ),
        Record(
            "optuna",
            "any sampler of Optuna: TPE, GP, NSGA-II, NSGA-III, QMC, ...",
            "niwaki.search.optuna_sampler:OptunaSearcher",
        ),
    ),
)
