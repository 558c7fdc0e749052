"""The scenarios: real tables, tidy, noisy and failing, with two to four objectives; made ones.

Adding one is a function that yields `Scenario`s, and its name in `SOURCES`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TypeAlias

from benchmarks.efficiency.made import made
from benchmarks.efficiency.scenario import Scenario
from benchmarks.efficiency.trained import REMEDY, not_made, trained
from niwaki.evaluation.table import TableEvaluator, TableSettings, ValueColumn

Source: TypeAlias = Callable[[], Iterator[Scenario]]

DEVICES = ("raspi4", "pixel3", "gold_6226", "1080ti_1", "titan_rtx_32", "samsung_a50")
CELLS = "nasbench201"
FAILING_SHARE = 1 / 3
TASKS = {
    "class": "class_object__valid_top1",
    "segment": "segmentsemantic__valid_mIoU",
    "normal": "normal__valid_ssim",
}
LATENCIES = ("latency_zcu102_mean", "latency_vck190_mean")
THROUGHPUTS = (
    "throughput_a100_mean",
    "throughput_3090_mean",
    "throughput_tpuv2_mean",
    "throughput_tpuv3_mean",
)


def nasbench201() -> Iterator[Scenario]:
    """NAS-Bench-201, accuracy after 200 epochs against latency."""
    for data in ("c10", "c100"):
        for device in DEVICES:
            table = _cells(f"{data}_val", data, device)
            name = f"nasbench201/{data}/{device}"
            yield Scenario(name, "nasbench201", table, ("accuracy", "latency_ms"), family=CELLS)


def noisy() -> Iterator[Scenario]:
    """The same, but the search is told the accuracy of a single training run.

    It is judged by the mean accuracy over training runs, of those evaluated rows that look
    non-dominated by what was told. Evaluating the whole table would then reach less than 100%.
    """
    for device in DEVICES:
        table = _cells("c100_test_1seed", "c100", device, mean_accuracy="c100_val")
        yield Scenario(
            f"noise/c100/{device}",
            "noise",
            table,
            ("accuracy", "latency_ms"),
            judged_by={"accuracy": "mean_accuracy"},
            family=CELLS,
        )


def failing() -> Iterator[Scenario]:
    """The same, but a third of the evaluations fail; the front is that of the others."""
    for device in DEVICES:
        yield Scenario(
            f"failing/c100/{device}",
            "failing",
            _cells("c100_val", "c100", device),
            ("accuracy", "latency_ms"),
            failing_share=FAILING_SHARE,
            family=CELLS,
        )


def _cells(accuracy: str, data: str, device: str, *, mean_accuracy: str = "") -> TableEvaluator:
    """Return the cells that have a path from input to output: the others are no networks."""
    values = {
        "accuracy": ValueColumn("maximize", accuracy, "%"),
        "latency_ms": ValueColumn("minimize", f"help_lat_ms_{device}", "ms"),
        "flops_m": ValueColumn("minimize", f"{data}_flops_m"),
        "params_m": ValueColumn("minimize", f"{data}_params_m"),
    }
    if mean_accuracy:
        values["mean_accuracy"] = ValueColumn("maximize", mean_accuracy, "%")
    return TableEvaluator(
        TableSettings(
            file="nasbench201_devices.parquet",
            decisions=tuple(f"op{edge}" for edge in range(6)),
            values=values,
            where={"connected": True},
            identity="unique_str",
            cheap=("flops_m", "params_m"),
        )
    )


def transnas() -> Iterator[Scenario]:
    """TransNAS-Bench-101: each task against FLOPs, then two tasks, three, and three with FLOPs."""
    for space in ("micro", "macro"):
        for task in TASKS:
            yield _tasks(space, (task, "flops_m"))
        yield _tasks(space, ("class", "segment"))
        yield _tasks(space, tuple(TASKS))
        yield _tasks(space, (*TASKS, "flops_m"))


def _tasks(space: str, wanted: Sequence[str]) -> Scenario:
    values = {task: ValueColumn("maximize", column) for task, column in TASKS.items()}
    values["flops_m"] = ValueColumn("minimize", "class_object__flops_m")
    values["params_m"] = ValueColumn("minimize", "class_object__params_m")
    table = TableEvaluator(
        TableSettings(
            file="transnasbench101_3tasks.parquet",
            decisions=tuple(f"g{position}" for position in range(6)),
            values=values,
            where={"space": space, "connected": True},
            absent={"g4": (0,), "g5": (0,)} if space == "macro" else (),
            cheap=("flops_m", "params_m"),
        )
    )
    group = f"transnas, {len(wanted)} objectives"
    name = f"transnas/{space}/{'+'.join(wanted)}"
    return Scenario(name, group, table, tuple(wanted), family=f"transnas-{space}")


def accelerators() -> Iterator[Scenario]:
    """Accel-NASBench: 5,125 of 78,000 million MnasNet-like networks, accuracy against speed."""
    for column in (*LATENCIES, *THROUGHPUTS):
        speed = ValueColumn("minimize" if column in LATENCIES else "maximize", column)
        table = TableEvaluator(
            TableSettings(
                file="accel_nasbench.parquet",
                decisions=tuple(
                    f"block{block}_{part}" for block in range(7) for part in ("e", "k", "l", "se")
                ),
                values={
                    "accuracy": ValueColumn("maximize", "val_top1", "%"),
                    "speed": speed,
                    "macs_m": ValueColumn("minimize"),
                    "params_m": ValueColumn("minimize"),
                },
                cheap=("macs_m", "params_m"),
                duplicates="mean",
            )
        )
        name = f"accelerators/{column.removesuffix('_mean')}"
        wanted = ("accuracy", "speed")
        yield Scenario(name, "accelerators", table, wanted, family="accelerators")


SOURCES: Mapping[str, Source] = {
    "nasbench201": nasbench201,
    "transnas": transnas,
    "accelerators": accelerators,
    "noise": noisy,
    "failing": failing,
    "made": made,
    "trained": trained,
}


def all_scenarios() -> dict[str, Scenario]:
    """Return every scenario by name."""
    return {scenario.name: scenario for source in SOURCES.values() for scenario in source()}


def require(names: Collection[str]) -> None:
    """Stop before anything is searched if a scenario is not there, and say what makes it.

    Raises:
        SystemExit: If one is not.
    """
    if missing := [name for name in not_made() if name in names]:
        raise SystemExit(f"not made yet: {', '.join(missing)}. {REMEDY}")
    if unknown := sorted(set(names) - all_scenarios().keys()):
        raise SystemExit(f"there is no table called {' or '.join(unknown)}")
