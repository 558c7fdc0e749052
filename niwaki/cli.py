"""The command line: parse, call, print. No logic."""

import ctypes
import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from pathlib import Path
from shutil import get_terminal_size
from types import TracebackType
from typing import Annotated, Any

import typer

from niwaki._version import __version__
from niwaki.core.errors import NiwakiError
from niwaki.core.jsonable import finite_json
from niwaki.core.standard_streams import OutputLostError, guard_standard_streams
from niwaki.core.wording import for_terminal

INTERRUPTED = 130
_STANDARD_OUTPUT, _STANDARD_ERROR = 1, 2
_STRICT = ("strict", "surrogateescape")  # ways in which what there is no letter for is an error

app = typer.Typer(
    name="niwaki",
    help="Searches for neural networks that fit, and hands back the Pareto front.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

grammar = typer.Typer(help="Search spaces written as grammars.", no_args_is_help=True)
app.add_typer(grammar, name="grammar")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
Within = Annotated[
    list[str] | None,
    typer.Option(help="A further constraint, such as 'latency_ms <= 2'; may be repeated."),
]
Weigh = Annotated[
    list[str] | None,
    typer.Option(help="objective=number: how much it matters where the knee is; may be repeated."),
]
Goal = Annotated[str, typer.Option(help="One goal of a run that has several; all if empty.")]
TargetName = Annotated[
    str,
    typer.Option(
        help="cpu, what `niwaki list targets` names, a YAML file with a target section, or "
        "ssh=user@host."
    ),
]
RunPath = Annotated[Path, typer.Argument(help="A run folder, such as runs/quickstart.")]


def main() -> None:
    """Run the command line; every error of ours becomes one sentence and a stable exit code."""
    _open_closed_streams()
    guard_standard_streams()
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors in _STRICT:
        # A name may hold what a terminal has no letter for; standard error copes by itself.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        try:
            app(prog_name="niwaki")
        finally:
            sys.stdout.flush()  # here, as nobody explains what fails when Python ends
    except BrokenPipeError:
        sys.exit(1)
    except NiwakiError as error:
        _complain(error)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        error.__traceback__ = _from_the_command(error.__traceback__)
        raise


def _from_the_command(traceback: TracebackType | None) -> TracebackType | None:
    """Return what follows the command line's own frames: what people look for is at its end."""
    for each in _frames(traceback):
        code = each.tb_frame.f_code
        if code.co_filename == __file__ and code is not main.__code__:
            return each
    return traceback


def _frames(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _open_closed_streams() -> None:
    """Let what was closed (`>&-`) go nowhere; a file of ours may not get its number, either."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115


def _complain(error: NiwakiError) -> None:
    if "--json" in sys.argv and not isinstance(error, OutputLostError):
        with suppress(OutputLostError, BrokenPipeError):
            _print_json(_error_json(error))
            sys.stdout.flush()
            return
    sys.stderr.write(f"error: {for_terminal(str(error))}\n")


def _error_json(error: NiwakiError) -> dict[str, Any]:
    kind = type(error).__name__
    return {"error": {"kind": kind, "message": str(error), "code": error.exit_code}}


@app.callback(invoke_without_command=True)
def _version(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        _print(__version__)
        raise typer.Exit
    if context.invoked_subcommand is None:
        _print(context.get_help())


@contextmanager
def _among_users_code() -> Iterator[None]:
    """Send what the user's code prints to standard error: standard output is the answer's alone.

    What programs write that it starts, and its native code, goes there, too. Whoever reads the
    answer may be a program, or may have stopped to listen, as `head` does.
    """
    with ExitStack() as stack:
        with suppress(OSError):  # one of them is closed: nothing is written there anyway
            answers = os.dup(_STANDARD_OUTPUT)
            stack.callback(os.close, answers)
            os.dup2(_STANDARD_ERROR, _STANDARD_OUTPUT)
            stack.callback(os.dup2, answers, _STANDARD_OUTPUT)
            stack.callback(ctypes.CDLL(None).fflush, None)  # what native code has not written yet
        with redirect_stdout(sys.stderr):
            yield


@contextmanager
def _interruptible() -> Iterator[None]:
    """Say what Ctrl-C means for a study, and exit; afterwards, be where the command began.

    What the study's code prints goes to standard error.

    Raises:
        ConfigError: If the working directory was deleted.
    """
    from niwaki.core.errors import ConfigError

    try:
        began = Path.cwd()
    except FileNotFoundError as error:
        raise ConfigError("the working directory was deleted: go to another one") from error
    try:
        with _among_users_code():
            yield
    except KeyboardInterrupt:
        sys.stderr.write("stopped; nothing is lost, and the same command continues\n")
        raise typer.Exit(INTERRUPTED) from None
    finally:
        # What the user's code does to it is undone; where nobody may enter, no path starts either.
        with suppress(OSError):
            os.chdir(began)


@app.command()
def search(
    config: Annotated[Path, typer.Argument(help="A configuration file.")],
    runs: Annotated[Path, typer.Option(help="Folder of run folders.")] = Path("runs"),
    name: Annotated[str, typer.Option(help="Name of the run; the file's own if empty.")] = "",
    override: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a setting: --set budget.evaluations=20."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Start a search, or continue it after a kill: the same command."""
    from rich.console import Console

    from niwaki.config import build_study, read_config
    from niwaki.study.answers.report_page import write_report
    from niwaki.study.results.run import Run
    from niwaki.study.watching.progress import progress_for

    console = Console(stderr=True, soft_wrap=True, highlight=False)
    with _interruptible():
        absolute = runs.absolute()
        settings = read_config(config, name=name, overrides=override or [])
        study = build_study(settings, absolute / settings.name, observer=progress_for(console))
        front = study.run()
    folder = runs / settings.name
    run = Run.read(folder)
    if as_json:
        page = write_report(run)
        _print_json({"run": str(folder), "report": str(page), **front.to_json()})
        return
    from niwaki.study.answers.tables import export_line, front_text

    _print(front_text(run))
    _print(f"\nreport: {write_report(run)}{export_line(run)}")


@app.command()
def compress(
    model: Annotated[
        str,
        typer.Argument(
            help="my_model.py:build, which returns the trained torch module; or my_model.onnx."
        ),
    ],
    data: Annotated[
        str,
        typer.Option(help="my_data.py:loaders: {split: batches}, with targets or without."),
    ],
    target: TargetName = "cpu",
    latency_ms: Annotated[
        float | None, typer.Option(help="Budget on the target; none to see what there is.")
    ] = None,
    only: Annotated[str, typer.Option(help="prune or quantize; both if not given.")] = "",
    part: Annotated[
        str, typer.Option(help="A part of the model to compress alone, such as backbone.")
    ] = "",
    search: Annotated[
        int, typer.Option(help="Networks that a search may evaluate; 0 for the quick way.")
    ] = 0,
    scheduler: Annotated[
        str, typer.Option(help="asha tunes all a little, the promising longer; full all alike.")
    ] = "full",
    finalists: Annotated[
        int, typer.Option(help="Models of the front that are exported and verified.")
    ] = 6,
    task: Annotated[
        list[str] | None,
        typer.Option(help="Outputs that one task reads together: objects=p3,p4,p5."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            help="How an output is scored: my_own.py:f1, or output_1=my_own.py:f1, or "
            "'{function: my_own.py:mae, direction: minimize}'."
        ),
    ] = None,
    loss: Annotated[
        list[str] | None,
        typer.Option(help="How an output is trained: my_own.py:focal; see --metric."),
    ] = None,
    tune: Annotated[
        str,
        typer.Option(help="Fine-tunes in niwaki's place: my_own.py:f(network, epochs, original)."),
    ] = "",
    kind: Annotated[
        list[str] | None,
        typer.Option(help="What an output is: regression, or output_1=classification."),
    ] = None,
    output: Annotated[
        list[str] | None,
        typer.Option(help="Output to keep, such as logits; all if not given. May be repeated."),
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a setting: --set tuning.epochs=10."),
    ] = None,
    learn_from: Annotated[
        list[str] | None,
        typer.Option(
            help="Run of an earlier search of this model, as for another target; may be repeated."
        ),
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder of run folders.")] = Path("runs"),
    name: Annotated[str, typer.Option(help="Name of the run.")] = "compress",
    workers: Annotated[int, typer.Option(help="Processes that evaluate; 0 for this one.")] = 0,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    as_json: Json = False,
) -> None:
    """Make a trained model smaller and faster."""
    from rich.console import Console

    from niwaki.config.compression import compression_request
    from niwaki.config.reader import folder_name
    from niwaki.config.targets import named_target
    from niwaki.study.answers.report_page import write_report
    from niwaki.study.answers.tables import export_line, front_text
    from niwaki.study.compression import compress as compress_model
    from niwaki.study.results.run import Run
    from niwaki.study.watching.progress import progress_for

    request = compression_request(
        only=only,
        latency_ms=latency_ms,
        evaluations=search,
        scheduler=scheduler,
        n_finalists=finalists,
        n_workers=workers,
        seed=seed,
        overrides=override or [],
        learn_from=learn_from or [],
        tasks=task or [],
        metrics=metric or [],
        losses=loss or [],
        tune=tune,
        kinds=kind or [],
        outputs=output or [],
    )
    folder = runs / folder_name(name)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    with _interruptible():
        found = compress_model(
            model,
            tasks=data,
            target=named_target(target),
            part=part,
            folder=folder,
            request=request,
            observer=progress_for(console),
        )
    run = Run.read(folder)
    page = write_report(run)
    if as_json:
        result = {"run": str(folder), "report": str(page), **found.to_json()}
        _print_json(result)
        return
    _print(f"{found.summary()}\n\n{front_text(run)}\n\nreport: {page}{export_line(run)}")


@app.command()
def status(run: RunPath, as_json: Json = False) -> None:
    """Show how far a search is, from any other terminal."""
    from niwaki.study.answers.tables import status_json, status_text
    from niwaki.study.results.run import Run

    snapshot = Run.read(run)
    if as_json:
        _print_json(status_json(snapshot))
    else:
        _print(status_text(snapshot))


@app.command()
def front(
    run: RunPath,
    goal: Goal = "",
    within: Within = None,
    weigh: Weigh = None,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
) -> None:
    """Show the Pareto front."""
    from niwaki.core.errors import ConfigError
    from niwaki.study.answers.tables import front_text
    from niwaki.study.results.front import weights_of
    from niwaki.study.results.run import Run

    if as_json and as_csv:
        raise ConfigError("give either --json or --csv")
    found = Run.read(run, goal=goal).wishing(within or (), weights_of(weigh or ()))
    if as_json:
        _print_json(found.front.to_json())
    elif as_csv:
        _print_csv(found.front.to_csv())
    else:
        _print(front_text(found))


@app.command()
def trials(
    run: RunPath,
    goal: Goal = "",
    as_json: Json = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print comma-separated values, with all decisions.")
    ] = False,
) -> None:
    """Show every evaluation: what was decided, and what came of it."""
    from niwaki.core.errors import ConfigError
    from niwaki.study.answers.trials import trials_csv, trials_json, trials_text
    from niwaki.study.results.run import Run

    if as_json and as_csv:
        raise ConfigError("give either --json or --csv")
    found = Run.read(run, goal=goal)
    if as_json:
        _print_json(trials_json(found))
    elif as_csv:
        _print_csv(trials_csv(found))
    else:
        _print(trials_text(found))


@app.command()
def export(
    run: RunPath,
    to: Annotated[Path, typer.Option(help="Folder for the models; created if need be.")],
    model: Annotated[
        str,
        typer.Option(help="all, chosen, knee, best:<objective>, or the first digits of a key."),
    ] = "all",
    goal: Goal = "",
    within: Within = None,
    weigh: Weigh = None,
    as_json: Json = False,
) -> None:
    """Write models of the front as ONNX, with cards, and verify."""
    from niwaki.core.errors import ConfigError, ExportError
    from niwaki.study.answers.tables import front_text
    from niwaki.study.results.front import KNEE, weights_of
    from niwaki.study.results.run import Run

    if weigh and model != KNEE:
        raise ConfigError(f"'--weigh' says which model is the knee: give '--model {KNEE}' with it")
    found = Run.read(run, goal=goal).wishing(within or (), weights_of(weigh or ()))
    if not found.front.models:
        raise ExportError(front_text(found))
    written = found.front.export(to, which=model)
    for name, reason in found.front.lacking(model).items():
        typer.echo(for_terminal(f"nothing of goal '{name}': {reason}"), err=True)
    _verify(written, as_json=as_json)


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="An exported model's folder, or one of several.")],
    as_json: Json = False,
) -> None:
    """Check exported models: torch = ONNX = optimised ONNX."""
    from niwaki.export.bundle import find_bundles

    _verify(find_bundles(path), as_json=as_json)


def _verify(folders: "list[Path]", *, as_json: bool) -> None:
    """Verify models and print what was found; all of them, also after a failure."""
    records, errors = [], []
    for folder in folders:
        record, summary, error = _verified(folder)
        records.append({"folder": str(folder), **record})
        if error is not None:
            errors.append(error)
        if not as_json:
            _print(f"{folder}: {summary}")
    if as_json:
        # Both in one object, or nothing could read either.
        _print_json({"models": records, **(_error_json(errors[0]) if errors else {})})
    if errors and as_json:
        raise typer.Exit(errors[0].exit_code) from errors[0]
    if errors:
        raise errors[0]


def _verified(folder: Path) -> tuple[dict[str, Any], str, NiwakiError | None]:
    """Verify a model: what programs are told of it, what people are, and what is wrong with it."""
    from niwaki.export.bundle import verify_bundle

    try:
        check = verify_bundle(folder)
    except NiwakiError as error:
        return {"passed": False, **_error_json(error)}, f"FAILED: {error}", error
    try:
        check.require(f"'{folder}'")
    except NiwakiError as error:
        return check.to_json(), check.summary(), error
    return check.to_json(), check.summary(), None


@app.command()
def report(
    run: RunPath,
    to: Annotated[
        Path | None, typer.Option(help="The HTML file; in the run folder if not given.")
    ] = None,
    goal: Goal = "",
    as_json: Json = False,
) -> None:
    """Write one offline HTML page: fronts, progress, failures."""
    from niwaki.study.answers.report_page import write_report
    from niwaki.study.results.run import Run

    page = write_report(Run.read(run, goal=goal), to)
    if as_json:
        _print_json({"report": str(page), "size_bytes": page.stat().st_size})
    else:
        _print(str(page))


@app.command()
def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, two or more.")],
    goal: Annotated[
        str, typer.Option(help="By whose objectives runs are compared, where they have goals.")
    ] = "",
    within: Annotated[
        list[str] | None,
        typer.Option(
            help="A constraint that all fronts keep to, in place of the runs' own, such as "
            "'latency_ms <= 2'; may be repeated."
        ),
    ] = None,
    apart: Annotated[
        bool, typer.Option("--apart", help="A line for each run, also where only seeds differ.")
    ] = False,
    exported: Annotated[
        bool,
        typer.Option(
            "--exported", help="What exported files measured, in place of what searches did."
        ),
    ] = False,
    to: Annotated[
        Path | None, typer.Option(help="An HTML file, for fronts and curves in one picture.")
    ] = None,
    as_json: Json = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print comma-separated values, a line for each run.")
    ] = False,
) -> None:
    """Set runs beside each other: what each found, and what it took."""
    from rich.console import Console

    from niwaki.core.errors import ConfigError
    from niwaki.study.comparison import compare_runs
    from niwaki.study.comparison.page import write_comparison
    from niwaki.study.comparison.records import comparison_csv, comparison_json
    from niwaki.study.comparison.tables import comparison_text

    if as_json and as_csv:
        raise ConfigError("give either --json or --csv")
    with Console(stderr=True).status(f"comparing {len(runs)} runs"):  # many objectives take long
        found = compare_runs(runs, within=within or (), goal=goal, apart=apart, exported=exported)
        page = None if to is None else write_comparison(found, to)
    if as_json:
        _print_json({**comparison_json(found), **({"page": str(page)} if page else {})})
    elif as_csv:
        _print_csv(comparison_csv(found))
    else:
        width = get_terminal_size().columns if sys.stdout.isatty() else 0
        text = comparison_text(found, width=width)
        _print(text if page is None else f"{text}\n\npage: {page}")


@app.command()
def predict(
    run: RunPath,
    candidate: Annotated[Path | None, typer.Option(help="A JSON file of decisions.")] = None,
    batch: Annotated[Path | None, typer.Option(help="A JSON-lines file of many.")] = None,
    value: Annotated[
        list[str] | None,
        typer.Option(help="Value to predict; objectives and what constraints are on if not given."),
    ] = None,
    predictor: Annotated[
        str,
        typer.Option(
            help="What learns: one of `niwaki list predictors`, or my_file.py:Mine; the standard "
            "one if not given."
        ),
    ] = "",
    level: Annotated[float, typer.Option(help="Share of the truth in the interval.")] = 0.9,
    as_json: Json = False,
) -> None:
    """Predict what candidates would measure."""
    from niwaki.config.prediction import load_predictor
    from niwaki.study.answers.asking import (
        predictions_json,
        predictions_text,
        read_candidates,
        require_level,
    )

    require_level(level)
    places, written = read_candidates(candidate, batch)
    with _among_users_code():
        fitted = load_predictor(run, names=value or (), predictor=predictor or None)
        candidates = fitted.spelled(written, places=places)
        prediction = fitted.predict_spelled(candidates)
    if as_json:
        answer = predictions_json(fitted, candidates, prediction, level=level)
        _print_json(answer, compact=batch is not None)
    else:
        _print(predictions_text(fitted, candidates, prediction, level=level))


@grammar.command(name="check")
def check_grammar(
    file: Annotated[Path, typer.Argument(help="A grammar, as text or YAML.")],
    as_json: Json = False,
) -> None:
    """Explain what is wrong with a grammar, by line, and with modules of your own."""
    from niwaki.spaces.einspace.trial_builds import full_report

    with _among_users_code():
        report = full_report(file)
    if as_json:
        _print_json(report.to_json())
    else:
        _print(report.text)
    raise typer.Exit(report.exit_code)


@app.command()
def bench(
    path: Annotated[
        Path, typer.Argument(help="An ONNX file, an exported model's folder, or one of several.")
    ],
    target: TargetName = "cpu",
    threads: Annotated[
        int | None, typer.Option(help="Threads inside one operator on this machine; 1.", min=1)
    ] = None,
    dim: Annotated[
        list[str] | None,
        typer.Option(help="Size of a dimension that an ONNX file leaves open: --dim height=224."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Measure the latency of models so that one can believe it."""
    from niwaki.config.targets import bench_target
    from niwaki.export.timing import time_models
    from niwaki.targets.bench import sizes_by_name

    dims = sizes_by_name(dim or ())
    with _among_users_code():
        on = bench_target(target, threads)
        found = time_models(path, on.calibrated(on.calibrate()), dims=dims)
    if as_json:
        _print_json({"models": [{"path": str(p), **x.to_json()} for p, x in found.items()]})
        return
    for measured, latency in found.items():
        _print(f"{measured}: {latency} on {latency.target_id}")


@app.command(name="list")
def list_plugins(
    noun: Annotated[
        str, typer.Argument(help="searchers, spaces, tasks, targets, ...; all if empty.")
    ] = "",
    as_json: Json = False,
) -> None:
    """List what configuration files can name."""
    from niwaki.config.catalogue import catalogue

    found = catalogue(noun)
    if as_json:
        _print_json(found)
        return
    for title, records in found.items():
        _print(title)
        for name, summary in records.items():
            _print(f"  {name:<22} {summary}")


@app.command()
def schema(as_json: Json = False) -> None:  # noqa: ARG001 - it is JSON anyway
    """Print the JSON Schema of configuration files, for editors."""
    from niwaki.config.schema import config_schema

    _print_json(config_schema())


@app.command()
def doctor(
    target: Annotated[
        str, typer.Option(help="Of a target instead: cpu, a YAML file, or ssh=user@host.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Say what this machine or a target can run."""
    from niwaki.config.doctor import diagnose
    from niwaki.config.targets import diagnose_target, named_target

    with _among_users_code():
        findings = diagnose_target(named_target(target)) if target else diagnose()
    if as_json:
        _print_json(findings)
        return
    for title, finding in findings.items():
        _print(title)
        lines = finding.items() if isinstance(finding, dict) else [("", finding)]
        for name, value in lines:
            _print(f"  {name:<22} {_plain(value)}".rstrip() if name else f"  {value}")


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _print(text: str) -> None:
    sys.stdout.write(for_terminal(text) + "\n")


def _print_csv(text: str) -> None:
    if sys.stdout.isatty():
        _print(text.rstrip())
    else:  # for programs: as in a file
        typer.echo(text.encode(), nl=False)


def _print_json(value: Any, *, compact: bool = False) -> None:
    indent = None if compact else 2
    _print(json.dumps(finite_json(value), indent=indent, default=str, allow_nan=False))
