"""Compressing somebody's own model: a study of its smaller versions, and what came of it."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from niwaki.compress.pruning.model_calls import Inputs
from niwaki.core.calls import misfit
from niwaki.core.errors import ConfigError
from niwaki.core.fidelity import Fidelities
from niwaki.core.files import computed_before
from niwaki.core.jsonable import JSON
from niwaki.core.limits import require_counts
from niwaki.core.measurement import Measurement, Trial
from niwaki.core.registry import Record
from niwaki.core.wording import kind_of, qualified_name
from niwaki.evaluation.base import Evaluator
from niwaki.evaluation.compression.evaluator import CompressedEvaluator
from niwaki.evaluation.compression.given_data.given_batches import first_inputs
from niwaki.evaluation.compression.given_data.inferred_data import (
    NO_SCORING,
    infer_data,
    infer_for_part,
    infer_from,
)
from niwaki.evaluation.compression.given_model.model_source import ModelSource
from niwaki.evaluation.compression.settings import CompressionSettings, PruningSettings
from niwaki.evaluation.compression.tuning.effects import (
    ROUNDED,
    TUNING_DETAILS,
    was_taken_back,
    was_tuned,
    was_tuned_by_function,
)
from niwaki.evaluation.deployment import DATA_FILE
from niwaki.search.base import Problem, Searcher
from niwaki.search.listed import Listed
from niwaki.search.registry import SEARCHERS
from niwaki.search.schedulers.base import Scheduler
from niwaki.search.schedulers.registry import SCHEDULERS
from niwaki.spaces.precision import INT8
from niwaki.study.budget import Budget
from niwaki.study.executors.base import Executor
from niwaki.study.executors.in_process import InProcessExecutor
from niwaki.study.executors.local_processes import LocalProcessExecutor, LocalProcessSettings
from niwaki.study.record.history import History
from niwaki.study.record.run_folder import RunFolder
from niwaki.study.results.choice import Choice
from niwaki.study.results.front import Front, FrontModel
from niwaki.study.results.run import Run
from niwaki.study.study import Study, StudySettings
from niwaki.study.watching.observer import Observer
from niwaki.targets.base import Target
from niwaki.targets.onnxruntime_cpu import OnnxRuntimeCpu
from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.own import Scoring
from niwaki.tasks.python_loaders import loaders_from

OBJECTIVES = ("mean_skill", "latency_ms")
_BELOW_BUDGET = 0.95  # a prediction that is a little off should still be within
_WAYS = 3  # fp32, int8, mixed
_LISTED = "listed"  # what searches where no search was asked for
_HARDLY_LOST = 0.01  # of mean skill, where no budget says what to choose


@dataclass(frozen=True)
class CompressionRequest:
    """What is wanted of a compression.

    Attributes:
        latency_ms: Budget on the target; None to see what there is.
        evaluations: Networks that a search may evaluate; 0 for the quick way: a few allocations of
            channels, each in fp32, int8 and mixed.
        searcher: Proposes candidates if there is a search.
        scheduler: Decides how long each candidate of a search is fine-tuned: `asha` or `hyperband`
            tune all a little and the promising longer; `full` all alike.
        n_workers: Processes that evaluate; 0 for this one.
        n_finalists: Models of the front that are exported and verified.
        seed: Of everything random.
        settings: How the model is compressed.
        learn_from: Folders of earlier searches of the same model, such as for another target.
        scoring: Metrics, losses and kinds by output, in the place of what shapes tell, or by a task
            that reads several outputs; an empty name is that of the only output.

    Raises:
        ConfigError: On a number out of its range, or an unknown name.
    """

    latency_ms: float | None = None
    evaluations: int = 0
    searcher: str = "surrogate"
    scheduler: str = "full"
    n_workers: int = 0
    n_finalists: int = 6
    seed: int = 0
    settings: CompressionSettings = field(default_factory=CompressionSettings)
    learn_from: tuple[str, ...] = ()
    scoring: Mapping[str, Scoring] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_counts(self, "evaluations", "n_workers", "n_finalists", "seed")
        latency_ms: object = self.latency_ms
        if latency_ms is not None:
            if not (isinstance(latency_ms, Real) and 0.0 < latency_ms < math.inf):  # type: ignore[operator]
                raise ConfigError(f"'latency_ms' is {latency_ms!r}: give a finite number above 0")
            object.__setattr__(self, "latency_ms", float(latency_ms))
        settings: object = self.settings
        if not isinstance(settings, CompressionSettings):
            raise ConfigError(
                f"'settings' is {kind_of(settings)}: give CompressionSettings(...), of "
                "niwaki.evaluation.compression.settings"
            )
        if self.settings.model:
            raise ConfigError(
                f"the setting 'model' is '{self.settings.model}': it is for configurations; here, "
                "the model is what is given to be compressed"
            )
        _require_call("scheduler", SCHEDULERS.find(self.scheduler), "problem", "fidelities")
        _require_call("searcher", SEARCHERS.find(self.searcher), "problem")
        if self.scheduler != "full":
            self._require_search(f"the scheduler '{self.scheduler}'")
        if self.searcher != "surrogate":
            self._require_search(f"the searcher '{self.searcher}'")
        if self.learn_from:
            self._require_search("learning from earlier runs (`learn_from`, --learn-from)")

    def _require_search(self, what: str) -> None:
        if not self.evaluations:
            raise ConfigError(
                f"{what} needs a search: say how many evaluations it may have (`evaluations`, "
                "--search 30), or leave it out"
            )


def compress(
    model: nn.Module | str | Path,
    example_inputs: Inputs | None = None,
    tasks: TaskData | Mapping[str, Any] | str | None = None,
    target: Target | None = None,
    *,
    part: str = "",
    folder: Path | str = "runs/compress",
    request: CompressionRequest | None = None,
    observer: Observer | None = None,
) -> "Compressed":
    """Make a trained model smaller and faster, and return the front of what came of it.

    The model is pruned, fine-tuned with itself as the teacher, quantized, exported and verified; it
    is not changed. Called again on the same folder, it continues where it stopped.

    Args:
        model: Trained; or `path/to/file.py:function`, which returns it; or the path of an ONNX
            file.
        example_inputs: (n, ...) inputs without labels, several as a tuple, or a mapping by name;
            used if there are no `tasks`.
        tasks: Tasks with their splits; or a mapping from split name to batches, as loaders give
            them; or `path/to/file.py:function`, which returns such a mapping. Without targets, the
            smaller models learn to agree with the original.
        target: Where models run; ONNX Runtime on this processor if not given.
        part: Path of a part of the model, such as `backbone`, to compress alone: it learns to
            answer as it does inside of the model, on the model's data.
        folder: The run folder.
        request: Budget, search and settings.
        observer: Watches.

    Raises:
        ConfigError: If there is neither `tasks` nor `example_inputs`, or no such part.
        DataError: If the data do not fit the model's outputs.
    """
    request = request or CompressionRequest()
    folder = Path(folder).absolute()  # the model's code may change the working directory
    reference, module = (str(model), None) if isinstance(model, str | Path) else ("", model)
    source = ModelSource(reference, module, part, kept=request.settings.outputs)
    study = compression_study(
        source,
        data_loader(source, tasks, example_inputs, seed=request.seed, scoring=request.scoring),
        target or OnnxRuntimeCpu(),
        request,
        folder=folder,
        data_name=_name_of(example_inputs if tasks is None else tasks),
        observer=observer,
    )
    found = Compressed.of(study.run(), Run.read(folder), request)
    if found.front.choice is not None:
        found.front.choice.save(RunFolder(folder).chosen)
        found.front.save()  # which one was chosen is in it
    return found


def data_loader(
    source: ModelSource,
    tasks: TaskData | Mapping[str, Any] | str | None,
    example_inputs: Inputs | None,
    *,
    seed: int,
    scoring: Mapping[str, Scoring] = NO_SCORING,
) -> Callable[[], TaskData]:
    """Return what loads the data; picklable if what it is made from is.

    Generators, and whatever else can be gone through once, are read at once.

    Raises:
        ConfigError: If there are no data.
    """
    if scoring and (source.part or isinstance(tasks, TaskData)):
        what = "a part answers as it does in the model" if source.part else "tasks have their own"
        raise ConfigError(f"metrics and losses of outputs were given, but {what}: leave them out")
    if isinstance(tasks, TaskData):
        if source.part:
            raise ConfigError(
                "a part of a model learns from what it gets inside of the model: give `tasks` as "
                "batches or as a function, or `example_inputs`"
            )
        return partial(_itself, tasks)
    if isinstance(tasks, str):
        return partial(_inferred, tasks, source, seed, dict(scoring))
    if tasks is None:
        if example_inputs is None:
            raise ConfigError(
                "there are no data: give `tasks`, or `example_inputs` without labels, of which "
                "the smaller models learn to agree with the original"
            )
        tasks = {"train": [(example_inputs,)]}
    if isinstance(tasks, Mapping):
        tasks = {n: list(each) if isinstance(each, Iterator) else each for n, each in tasks.items()}
    return partial(_inferred_from, tasks, source, seed, dict(scoring))


def compression_study(
    source: ModelSource,
    load_data: Callable[[], TaskData],
    target: Target,
    request: CompressionRequest,
    *,
    folder: Path,
    data_name: str = "",
    observer: Observer | None = None,
) -> Study:
    """Return the study; `run` starts or continues it.

    Args:
        source: Of the model.
        load_data: Loads the data.
        target: Where models run.
        request: Budget, search and settings.
        folder: The run folder.
        data_name: What the data are called, for the record; what loads them if not given.
        observer: Watches.
    """
    pruning = request.settings.pruning
    if request.latency_ms is not None and pruning.price == "latency":
        budgets = (*pruning.budgets, _BELOW_BUDGET * request.latency_ms)
        pruning = replace(pruning, budgets=budgets)
    evaluator = CompressedEvaluator(
        source,
        load_data,
        target,
        settings=replace(request.settings, pruning=pruning),
        seed=request.seed,
        notify=None if observer is None else observer.say,
    )
    searcher = request.searcher if request.evaluations else _LISTED
    settings = StudySettings(
        OBJECTIVES,
        budget=Budget(
            # The quick way ends by itself, after at most so many.
            request.evaluations or _WAYS * (1 + len(pruning.shares) + len(pruning.budgets))
        ),
        n_finalists=request.n_finalists,
        seed=request.seed,
        searcher=searcher,
        scheduler=request.scheduler if request.scheduler != "full" else "",
        config={
            "subject": _subject(source, data_name or _name_of(load_data)),
            **_config(request, pruning, target, searcher),
        },
        learn_from=request.learn_from,
    )
    return Study(
        folder,
        evaluator,
        partial(_searcher, searcher),
        settings,
        make_scheduler=partial(_scheduler, request.scheduler),
        make_executor=partial(_executor, request.n_workers),
        favourites=partial(_favourites, request.latency_ms),
        references=_references,
        observer=observer,
    )


def _name_of(data: object) -> str:
    return data if isinstance(data, str) else qualified_name(data)


def _subject(source: ModelSource, data_name: str) -> dict[str, JSON]:
    """Return what the model and data are called; that they stay the same, fingerprints see."""
    return {"model": source.name, "part": source.part or None, "data": data_name}


def _config(
    request: CompressionRequest, pruning: PruningSettings, target: Target, searcher: str
) -> dict[str, JSON]:
    """Return what must stay as it is while a compression continues, and what may change."""
    asked = replace(request.settings, pruning=pruning)
    scoring: dict[str, JSON] = {
        name: {
            key: value for key, value in asdict(each).items() if value or key in ("metrics", "loss")
        }
        for name, each in request.scoring.items()
    }
    plain: dict[str, JSON] = json.loads(json.dumps(asdict(asked), default=np.generic.item))
    return {
        "objectives": list(OBJECTIVES),
        "target": type(target).__qualname__,
        # Where answers come from is no part of the target's id.
        **({"scores_here": True} if getattr(target, "scores_here", False) else {}),
        "compression": plain,
        **({"scoring": scoring} if scoring else {}),
        "searcher": searcher,
        "scheduler": request.scheduler,
        "seed": request.seed,
        "budget": {"evaluations": request.evaluations},
        "finalists": request.n_finalists,
        "executor": {"n_workers": request.n_workers},
        "learn_from": list(request.learn_from) or None,
    }


@dataclass(frozen=True)
class Compressed:
    """What came of a compression.

    Attributes:
        front: The front, the original among its competitors.
        original: Measurement of the model as it was given, in fp32: of its exported file, as the
            models of the front are; of the search if it could not be exported.
        int8: Measurement of the same in int8, tuned longest where it is tuned; None if it was not
            tried. Of the search, or of its file if both that and the original's are there.
        int8_loss: What that loses of mean skill, both measured alike.
        latency_ms: The budget, if there was one.
        int8_trained: Whether that int8 version was trained with quantization.
        by_files: Whether the original was exported, so that files are compared with files; if not,
            models are compared with it as the search measured both, which is on another split.
        int8_by_file: Whether the int8 version and the original are compared by their files.
        remarks: What was assumed of the data or is odd about them, and models that fine-tuning did
            harm to, in sentences.
    """

    front: Front
    original: Measurement
    int8: Measurement | None
    int8_loss: float
    latency_ms: float | None
    int8_trained: bool = False
    by_files: bool = True
    int8_by_file: bool = False
    remarks: tuple[str, ...] = ()

    @classmethod
    def of(cls, front: Front, run: Run, request: CompressionRequest) -> "Compressed":
        """Read what a finished run found."""
        baseline = run.history.baseline
        assert baseline is not None
        whole = baseline.measurement.values
        plain = _plain_int8(run.history.trials, baseline)
        int8 = None if plain is None else plain.measurement
        int8_trained = int8 is not None and was_tuned(int8.details, ROUNDED)
        original = run.history.exported.get(baseline.candidate.key)
        by_files = original is not None
        original = original or baseline.measurement
        int8_by_file = by_files and int8 is not None and int8.key in run.history.exported
        if int8 is not None and int8_by_file:
            int8, whole = run.history.exported[int8.key], original.values
        choice = _choice(front, original, request.latency_ms, by_files=by_files)
        return cls(
            replace(front, choice=choice),
            original,
            int8,
            0.0 if int8 is None else whole["mean_skill"] - int8.values["mean_skill"],
            request.latency_ms,
            int8_trained=int8_trained,
            by_files=by_files,
            int8_by_file=int8_by_file,
            remarks=(*_assumed(run), *_taken_back(run)),
        )

    @property
    def chosen(self) -> FrontModel | None:
        """The model to use; None if nothing was measured.

        The best within the budget; without one, the fastest that loses at most 0.01 of mean skill,
        or the knee if all lose more.
        """
        return self.front.chosen

    def summary(self) -> str:
        """Return what the chosen model costs and gains, in a sentence; remarks in further lines."""
        if self.chosen is None:
            return "no smaller model could be measured: see the failures in the report"
        text = f"{self.chosen.key[:8]}: {self._gain(self.chosen)}"
        if self.int8 is not None:
            plain = self.int8.values
            kind = "int8 version, trained so" if self.int8_trained else "plain int8 version"
            change = 0.0 - self.int8_loss  # never -0.0, which would be written as a loss
            is_chosen = self.int8.key == self.chosen.key
            unlike = self.by_files and not self.int8_by_file
            where = " while searching" if unlike else ""
            skill = f"{change:+.3f} of mean skill"
            there = f"; its {kind}: {plain['latency_ms']:.3g} ms, {skill}{where}"
            text += f": it is the {kind}" if is_chosen else there
        return "\n".join((text + self._missed(), *self.remarks))

    def to_json(self) -> dict[str, JSON]:
        """Return the front, what it is compared with, and which model was chosen."""
        return {
            "summary": self.summary(),
            "by_files": self.by_files,
            "int8_by_file": self.int8_by_file,
            "original": dict(self.original.values),
            "int8": None if self.int8 is None else dict(self.int8.values),
            **self.front.to_json(),
        }

    def _gain(self, model: FrontModel) -> str:
        before, latency_ms = self.original.values, model.values["latency_ms"]
        if model.number < 0:
            why = "" if self.front.choice is None else f": it is {self.front.choice.why}"
            return (
                f"the original itself, {latency_ms:.3g} ms in fp32, with "
                f"a mean skill of {before['mean_skill']:.3f}{why}"
            )
        values = _alike(model, by_files=self.by_files)
        faster = before["latency_ms"] / values["latency_ms"]
        smaller = before["size_bytes"] / values["size_bytes"]
        skill = values["mean_skill"] - before["mean_skill"]
        is_unlike = not self.by_files and model.final is not None
        apart = ". Its original could not be exported: as the search measured both, it is"
        return (
            f"{latency_ms:.3g} ms{apart if is_unlike else ','} {faster:.1f}x faster and "
            f"{smaller:.1f}x smaller than the original in fp32 ({before['latency_ms']:.3g} ms), "
            f"at {skill:+.3f} of mean skill ({before['mean_skill']:.3f}){self._on_test(model)}"
        )

    def _on_test(self, model: FrontModel) -> str:
        """Return what the model loses on items that nothing was chosen by, if files tell."""
        if not self.by_files or model.final is None:
            return ""
        before, after = (_test_skill(each) for each in (self.original, model.final))
        return f", on the test split {after - before:+.3f} (from {before:.3f})"

    def _missed(self) -> str:
        if self.latency_ms is None or self.chosen is None:
            return ""
        latency_ms = self.chosen.values["latency_ms"]
        if latency_ms <= self.latency_ms:
            return f". Within the budget of {self.latency_ms:g} ms"
        fastest = min(model.values["latency_ms"] for model in self.front.models)
        return (
            f". The budget of {self.latency_ms:g} ms was not met: the fastest model found takes "
            f"{fastest:.3g} ms"
        )


def _assumed(run: Run) -> Iterator[str]:
    """Yield what was said of the data when the run began."""
    path = run.folder.artifacts / DATA_FILE
    for warning in computed_before(path, lambda noted: list(noted["warnings"])):
        yield f"data: {warning}"


def _taken_back(run: Run) -> Iterator[str]:
    complete = sorted(
        (t.measurement for t in run.history.trials if t.measurement.complete),
        key=lambda measurement: measurement.fidelity,
    )
    last = {each.key: each.details for each in complete if TUNING_DETAILS in each.details}
    # Models that differ in precisions alone have one network, tuned once.
    tuned = {json.dumps(details[TUNING_DETAILS]): details for details in last.values()}.values()
    if n_harmed := sum(map(was_taken_back, tuned)):
        harmed = f"{n_harmed} of {len(tuned)} networks on the search split, and was taken back"
        if any(was_tuned_by_function(details) for details in tuned):
            yield f"your own fine-tuning lowered the mean skill of {harmed}"
        else:
            yield (
                f"fine-tuning raised the loss of {harmed}: try a lower `tuning.learning_rate`, "
                "more `tuning.epochs`, or more data"
            )


def _plain_int8(trials: Iterable[Trial], baseline: Trial) -> Trial | None:
    """Return who has every channel, and most of it in int8, tuned longest; None if nobody."""
    whole = baseline.measurement.values
    quantized = [
        trial
        for trial in trials
        if trial.measurement.complete
        and trial.measurement.values["macs"] == whole["macs"]
        and INT8 in trial.candidate.decisions.values()
    ]
    return min(
        quantized,
        key=lambda t: (t.measurement.values["weight_bytes"], -t.measurement.fidelity),
        default=None,
    )


def _references(history: History) -> Sequence[Trial]:
    """Return the int8 version of the whole model, to which people would compare what is pruned."""
    assert history.baseline is not None
    plain = _plain_int8(history.full_trials, history.baseline)
    return () if plain is None else (plain,)


def _test_skill(measured: Measurement) -> float:
    """Return the mean skill of an exported file on the test split."""
    test = measured.details["test"]
    assert isinstance(test, Mapping)
    skill = test["mean_skill"]
    assert isinstance(skill, float)
    return skill


def _alike(model: FrontModel, *, by_files: bool) -> Mapping[str, float]:
    """Return a model's values to be compared with the original's."""
    return model.values if by_files else model.searched.values


def _favourites(latency_ms: float | None, front: Front, original: Measurement) -> Sequence[str]:
    """Return who would be chosen by what the search measured, and who if files fall short of it."""
    if latency_ms is None:
        choices = [_choice(front, original, None, lost=x) for x in (_HARDLY_LOST, _HARDLY_LOST / 2)]
    else:
        choices = [_choice(front, original, x) for x in (latency_ms, _BELOW_BUDGET * latency_ms)]
    return [choice.key for choice in choices if choice is not None]


def _choice(
    front: Front,
    original: Measurement,
    latency_ms: float | None,
    *,
    by_files: bool = True,
    lost: float = _HARDLY_LOST,
) -> Choice | None:
    if not front.models:
        return None
    fastest = min(front.models, key=lambda m: m.values["latency_ms"])
    if latency_ms is not None:
        within = [m for m in front.models if m.values["latency_ms"] <= latency_ms]
        if not within:
            return Choice(fastest.key, f"the fastest: none is within {latency_ms:g} ms")
        best = max(within, key=lambda m: m.values["mean_skill"])
        return Choice(best.key, f"the best within {latency_ms:g} ms")
    least = original.values["mean_skill"] - lost
    skills = [(m, _alike(m, by_files=by_files)["mean_skill"]) for m in front.models]
    as_good = [model for model, skill in skills if skill >= least]
    if as_good:
        fastest = min(as_good, key=lambda m: m.values["latency_ms"])
        return Choice(fastest.key, f"the fastest that loses at most {lost:g} of mean skill")
    assert front.knee is not None
    return Choice(front.knee.key, f"the knee: all lose more than {lost:g} of mean skill")


def _itself(data: TaskData) -> TaskData:
    return data


def _inferred(
    function: str, source: ModelSource, seed: int, scoring: Mapping[str, Scoring]
) -> TaskData:
    if source.part:
        loaders = {str(name): loader for name, loader in loaders_from(function).items()}
        return _inferred_from(loaders, source, seed, scoring)
    if source.hangs_on_data:
        _fit(source, loaders_from(function)[SplitName.TRAIN])
    check = source.require_own_layers
    return infer_data(function, source.load(), seed=seed, check=check, scoring=scoring)


def _inferred_from(
    loaders: Mapping[str, Any], source: ModelSource, seed: int, scoring: Mapping[str, Scoring]
) -> TaskData:
    if source.hangs_on_data and str(SplitName.TRAIN) in loaders:
        _fit(source, loaders[str(SplitName.TRAIN)])
    module, check = source.load(), source.require_own_layers
    if source.part:
        whole = source.whole()
        return infer_for_part(
            loaders,
            whole,
            source.part,
            module,
            seed=seed,
            check=check,
            check_whole=partial(source.require_own_layers, whole=whole),
        )
    return infer_from(loaders, module, seed=seed, check=check, scoring=scoring)


def _fit(source: ModelSource, loader: Iterable[Any]) -> None:
    """Let a file be read as the data have it: its open sizes, and inputs that nothing reads."""
    given = first_inputs(loader, "the loader of the train split")
    source.fit({key: values.shape[1:] for key, values in given.items()})


def _require_call(field: str, record: Record, *given: str) -> None:
    """Check that a searcher or scheduler can be made without settings, which are not given here."""
    if fault := misfit(record.load(), given):
        raise ConfigError(f"the {field} '{record.name}' {fault}. Give `settings` a default")


def _searcher(name: str, problem: Problem) -> Searcher:
    if name == _LISTED:
        return Listed(problem)
    searcher: Searcher = SEARCHERS.find(name).load()(problem)
    return searcher


def _scheduler(name: str, problem: Problem, fidelities: Fidelities) -> Scheduler:
    scheduler: Scheduler = SCHEDULERS.find(name).load()(problem, fidelities)
    return scheduler


def _executor(n_workers: int, evaluator: Evaluator) -> Executor:
    if not n_workers:
        return InProcessExecutor(evaluator)
    return LocalProcessExecutor(evaluator, LocalProcessSettings(n_workers=n_workers))
