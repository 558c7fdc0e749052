"""Random networks of einspace, each trained once and alike, by how they are drawn.

Networks are scored in torch, and neither exported nor timed, so that one costs its training alone.
Where fewer are to be trained in full than are drawn, all are trained for a quarter of the steps
first, and the best of these go on, from new weights. Everything is kept in one file per sampling
and seed: what was trained is not trained again. A network that was begun and never scored, because
torch itself crashed, counts as failed.
"""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

from benchmarks.einspace_study import DATA_SEED, Setup
from benchmarks.einspace_training import trained_skills
from niwaki import Candidate
from niwaki.core.randomness import stream
from niwaki.evaluation.families import family_of
from niwaki.spaces.einspace.family import NetworkFamily
from niwaki.tasks.base import SplitName

CHANCE = 0.0
SCREENING = 0.25  # of the steps
_TRAINING_SEED, _ANEW = 1, 1_000_003
_MOST_DRAWS = 20  # per network that is wanted, before draws that differ count as used up


@dataclass(frozen=True)
class Trained:
    """What came of one network.

    Attributes:
        key: Of the candidate.
        seed: Of the training.
        split: That it was scored on.
        share: Of the steps of a whole training; above 1 for a longer one.
        skill: 0 is chance, 1 is perfect; chance for one that failed.
        failure: Why there is no score; empty if there is one.
        loss: Mean of the last epoch, about 1 at chance.
        seconds: Of processor time.
        operations: Of its tree.
        macs: Multiply-accumulates.
        tree: Its text.
    """

    key: str
    seed: int
    split: str
    share: float
    skill: float = CHANCE
    failure: str = ""
    loss: float = float("nan")
    seconds: float = 0.0
    operations: int = 0
    macs: float = 0.0
    tree: str = ""

    @property
    def name(self) -> tuple[str, int, str, float]:
        """Tells it from all others of one file."""
        return self.key, self.seed, self.split, self.share


class RandomNetworks:
    """The random networks of one sampling and seed.

    Args:
        setup: Task, scale and folder.
        sampling: Name among `SAMPLINGS`.
        seed: Of the drawing.
    """

    def __init__(self, setup: Setup, sampling: str, seed: int) -> None:
        self._setup, self._seed = setup, seed
        self._data = setup.load()
        self._family: NetworkFamily = family_of(setup.space(sampling), self._data)  # type: ignore[assignment]
        setup.folder.mkdir(parents=True, exist_ok=True)
        self._file = setup.folder / f"random-{sampling}-{seed}.jsonl"
        self._candidates: dict[str, Candidate] = {}
        self._n_draws = 0
        self._known = _read(self._file, {**setup.scale.training, "data": DATA_SEED})

    def trained(self, n: int) -> list[Trained]:
        """Return n distinct random networks with their score on the search split.

        Those that were not among the best after a part of the training have their score from there.
        """
        drawn, n_full = self._drawn(n), self._setup.scale.screened
        if not 0 < n_full < n:
            return [self._result(c, _TRAINING_SEED) for c in drawn]
        begun = [self._result(c, _TRAINING_SEED, share=SCREENING) for c in drawn]
        order = sorted(range(len(drawn)), key=lambda i: -begun[i].skill)
        return [
            self._result(drawn[i], _TRAINING_SEED) if place < n_full else begun[i]
            for place, i in enumerate(order)
        ]

    def test_skill(self, n: int) -> float:
        """Return the mean test score of the best of n, over trainings anew."""
        whole = [each for each in self.trained(n) if each.share == 1.0]
        best = max(whole, key=lambda each: each.skill)
        candidate = next(c for c in self._drawn(n) if c.key == best.key)
        seeds = [_ANEW + number for number in range(self._setup.scale.retrained)]
        scale = self._setup.scale
        share = (scale.final_epochs or scale.epochs) / scale.epochs
        anew = [
            self._result(candidate, seed, split=SplitName.TEST, share=share).skill for seed in seeds
        ]
        return sum(anew) / len(anew)

    def _drawn(self, n: int) -> list[Candidate]:
        """Return the first n that differ, or fewer if draws run out."""
        while len(self._candidates) < n and self._n_draws < _MOST_DRAWS * n:
            candidate = self._family.space.sample(stream(self._seed, "random", self._n_draws))
            self._candidates.setdefault(candidate.key, candidate)
            self._n_draws += 1
        return list(self._candidates.values())[:n]

    def _result(
        self,
        candidate: Candidate,
        seed: int,
        *,
        split: SplitName = SplitName.SEARCH,
        share: float = 1.0,
    ) -> Trained:
        begun = Trained(candidate.key, seed, str(split), share, failure="torch crashed")
        if begun.name not in self._known:
            self._take_down(begun)
            self._known[begun.name] = self._train(candidate, begun)
            self._take_down(self._known[begun.name])
        return self._known[begun.name]

    def _train(self, candidate: Candidate, begun: Trained) -> Trained:
        started, recipe = time.process_time(), self._setup.scale.recipe
        longer = max(1.0, begun.share)
        epochs, seconds = round(recipe.epochs * longer), recipe.max_seconds * longer
        (skill,), progress = trained_skills(
            self._family,
            self._data,
            candidate,
            recipe=replace(recipe, epochs=epochs, max_seconds=seconds),
            seed=begun.seed,
            splits=[SplitName(begun.split)],
            share=begun.share / longer,
        )
        tree = self._family.space.tree(candidate)
        return replace(
            begun,
            skill=skill if isfinite(skill) else CHANCE,
            failure=progress.failure,
            loss=progress.loss,
            seconds=time.process_time() - started,
            operations=tree.n_leaves,
            macs=self._family.counts(candidate)["macs"],
            tree=str(tree),
        )

    def _take_down(self, result: Trained) -> None:
        with self._file.open("a") as file:
            file.write(json.dumps(asdict(result)) + "\n")


def _read(file: Path, scale: Mapping[str, Any]) -> dict[tuple[str, int, str, float], Trained]:
    """Return what a file knows, and begin one that does not exist; its first line is the scale."""
    if not file.exists():
        file.write_text(json.dumps(scale) + "\n")
    first, *lines = file.read_text().splitlines()
    if json.loads(first) != json.loads(json.dumps(scale)):
        raise SystemExit(f"{file} was trained at another scale: {first}. Give another --folder")
    results = (Trained(**json.loads(line)) for line in lines)
    return {each.name: each for each in results}
