"""From the command line of `niwaki compress` to a request."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from niwaki.config.reader import with_override
from niwaki.config.settings import read_settings
from niwaki.config.yaml_file import parse_yaml
from niwaki.core.errors import ConfigError
from niwaki.evaluation.compression.settings import CompressionSettings
from niwaki.study.compression import CompressionRequest
from niwaki.tasks.own import LossSettings, MetricSettings, Scoring

S = TypeVar("S", MetricSettings, LossSettings)

SEARCHER = "surrogate"  # the one that needs fewest evaluations


def compression_request(
    *,
    only: str,
    latency_ms: float | None,
    evaluations: int,
    scheduler: str = "full",
    n_finalists: int = CompressionRequest.n_finalists,
    n_workers: int,
    seed: int,
    overrides: Sequence[str] = (),
    learn_from: Sequence[str] = (),
    tasks: Sequence[str] = (),
    metrics: Sequence[str] = (),
    losses: Sequence[str] = (),
    tune: str = "",
    kinds: Sequence[str] = (),
    outputs: Sequence[str] = (),
) -> CompressionRequest:
    """Return the request.

    Args:
        only: `prune`, `quantize`, or empty.
        latency_ms: Budget, if there is one.
        evaluations: Of a search; 0 for none.
        scheduler: Of a search.
        n_finalists: Models of the front that are exported and verified.
        n_workers: Processes that evaluate; 0 for this one.
        seed: Of everything random.
        overrides: Settings of the evaluator to change: `tuning.epochs=10`; values are YAML.
        learn_from: Folders of earlier searches of the same model.
        tasks: Of several outputs each: `objects=p3,p4,p5`.
        metrics: Of outputs: `my_metrics.py:f1`, or `output_1=my_metrics.py:f1` of one of several;
            or of these tasks. In the place of `my_metrics.py:f1`, all settings of one in YAML:
            `{function: my_metrics.py:error, direction: minimize}`.
        losses: The same, of losses.
        tune: Function that fine-tunes: `my_training.py:tune`; niwaki does if empty.
        kinds: The same, of what outputs are: `regression`, or `output_1=regression`.
        outputs: Names of those that are kept; all if empty.

    Raises:
        ConfigError: If anything is wrong.
    """
    data: dict[str, Any] = {"only": only, "outputs": list(outputs), "tuning": {"function": tune}}
    for text in overrides:
        data = with_override(data, text)
    return CompressionRequest(
        latency_ms=latency_ms,
        evaluations=evaluations,
        searcher=SEARCHER,
        scheduler=scheduler,
        n_finalists=n_finalists,
        n_workers=n_workers,
        seed=seed,
        settings=read_settings(CompressionSettings, data, ""),
        learn_from=tuple(learn_from),
        scoring=_scoring(tasks, metrics, losses, kinds),
    )


def _scoring(
    tasks: Sequence[str], metrics: Sequence[str], losses: Sequence[str], kinds: Sequence[str]
) -> dict[str, Scoring]:
    """Return metrics, loss and kind by output or task; an empty name is that of the only one.

    Raises:
        ConfigError: If a task has no outputs, or is given twice, or an output has two losses or
            two kinds.
    """
    found: dict[str, Scoring] = {}
    for text in tasks:
        task, _, listed = text.partition("=")
        outputs = tuple(name.strip() for name in listed.split(","))
        if not (task and all(outputs)) or task in found:
            raise ConfigError(
                f"--task {text}: give each task once, with the outputs that it reads, as in "
                "--task objects=p3,p4,p5"
            )
        found[task] = Scoring(outputs=outputs)
    for text in metrics:
        output, metric = _named(text, MetricSettings, "--metric")
        given = found.get(output, Scoring())
        found[output] = replace(given, metrics=(*given.metrics, metric))
    for text in losses:
        output, loss = _named(text, LossSettings, "--loss")
        given = found.get(output, Scoring())
        if given.loss:
            raise ConfigError(f"--loss {text}: the output has '{given.loss}' already; give one")
        found[output] = replace(given, loss=loss)
    for text in kinds:
        output, _, kind = text.rpartition("=")
        given = found.get(output, Scoring())
        if given.kind:
            raise ConfigError(f"--kind {text}: the output is '{given.kind}' already; give one")
        found[output] = replace(given, kind=kind)
    return found


def _named(text: str, kind: type[S], option: str) -> tuple[str, str | S]:
    """Return the output that a text is of, and what it says of it: a name, or settings in YAML.

    Raises:
        ConfigError: If these are wrong.
    """
    before, brace, inside = text.partition("{")
    if not brace:
        output, _, function = text.rpartition("=")
        return output, function
    settings = parse_yaml(brace + inside, f"'{option} {text}'")
    return before.rstrip("="), read_settings(kind, settings, option)
