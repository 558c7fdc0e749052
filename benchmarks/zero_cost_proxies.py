"""Zero-cost proxies: published rank correlations, and ours beside them on the same networks.

First, from `zero_cost_proxies.parquet` of $NIWAKI_DATA alone: Spearman and Kendall correlation of
each published proxy with the accuracy, by space and task. Then NAS-Bench-201 networks are built and
initialised here, our proxies are computed on CIFAR-10 images, and each row tells how our scores
rank accuracy, how the published scores of the same networks do, and how the two agree. Scores go to
`--cache`, and the same command goes on where it was stopped.

Run: python -m benchmarks.zero_cost_proxies --networks 200 --cells 5 --cache runs/proxies
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from niwaki.core.randomness import derived_seed, stream
from niwaki.predictors.proxies.base import Batch
from niwaki.predictors.proxies.registry import PROXIES, proxy_scores
from niwaki.predictors.quality import kendall_tau

DATA = Path(os.environ.get("NIWAKI_DATA", "../shared/data"))
PUBLISHED = (
    "flops",
    "params",
    "synflow",
    "grasp",
    "fisher",
    "grad_norm",
    "l2_norm",
    "plain",
    "nwot",
    "epe_nas",
    "jacov",
    "snip",
)
# Ours, and what the table calls it; ZiCo is younger than the table.
NAMES = {"macs": "flops", "naswot": "nwot", "zico": ""}
EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))


def convolution(n_in: int, n_out: int, kernel: int, stride: int = 1) -> nn.Module:
    """ReLU, convolution, batch-norm, as the benchmark has it."""
    return nn.Sequential(
        nn.ReLU(),
        nn.Conv2d(n_in, n_out, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(n_out),
    )


def operation(code: int, width: int) -> nn.Module | None:
    """Return the operation of an edge: 0 none, 1 skip, 2 conv 1x1, 3 conv 3x3, 4 pool 3x3."""
    if code == 0:
        return None
    if code == 1:
        return nn.Identity()
    if code == 4:
        return nn.AvgPool2d(3, 1, 1, count_include_pad=False)
    return convolution(width, width, 1 if code == 2 else 3)


class Cell(nn.Module):
    """Four nodes; each is the sum of what its edges make of earlier nodes."""

    def __init__(self, codes: tuple[int, ...], width: int) -> None:
        super().__init__()
        made = {edge: operation(code, width) for edge, code in zip(EDGES, codes, strict=True)}
        self.edges = [edge for edge, each in made.items() if each is not None]
        self.operations = nn.ModuleList(each for each in made.values() if each is not None)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, width, H, W) to the same shape."""
        nodes = [x, *(torch.zeros_like(x) for _ in range(3))]
        for (start, end), each in zip(self.edges, self.operations, strict=True):
            nodes[end] = nodes[end] + each(nodes[start])
        return nodes[3]


class Reduction(nn.Module):
    """A residual block that halves the resolution and doubles the width."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.body = nn.Sequential(convolution(n_in, n_out, 3, 2), convolution(n_out, n_out, 3))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(n_in, n_out, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, n_in, H, W) to (B, n_out, H / 2, W / 2)."""
        y: Tensor = self.body(x) + self.shortcut(x)
        return y


def network(codes: tuple[int, ...], *, cells: int, width: int = 16, classes: int = 10) -> nn.Module:
    """Return a NAS-Bench-201 network: three stages of `cells` cells each (5 as published)."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)]
    for stage in range(3):
        if stage:
            layers.append(Reduction(width, 2 * width))
            width *= 2
        layers += [Cell(codes, width) for _ in range(cells)]
    layers += [nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(width, classes))


def images(n: int) -> Batch:
    """Return the first `n` CIFAR-10 images, normalised, with their classes."""
    from io import BytesIO

    from PIL import Image

    with np.load(DATA / "cifar10_small_jpeg.npz") as file:
        data, offsets, labels = file["data"], file["offsets"], file["labels"][:n]
    pictures = [
        np.asarray(Image.open(BytesIO(data[offsets[i] : offsets[i + 1]].tobytes())).convert("RGB"))
        for i in range(n)
    ]
    pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255.0
    mean = torch.tensor([0.4914, 0.4822, 0.4465])[:, None, None]
    spread = torch.tensor([0.2470, 0.2435, 0.2616])[:, None, None]
    return Batch((pixels - mean) / spread, torch.from_numpy(labels.astype(np.int64)))


def spearman(first: Any, second: Any) -> float:
    """Return the rank correlation of two sequences, NaN rows left out."""
    from scipy.stats import spearmanr

    first, second = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    known = ~(np.isnan(first) | np.isnan(second))
    return float(spearmanr(first[known], second[known]).statistic)


def frame(name: str) -> Any:
    """Return a table of the data folder."""
    import pyarrow.parquet as pq

    return pq.read_table(DATA / f"{name}.parquet").to_pandas()


def print_published(table: Any) -> None:
    """Print how every published proxy ranks every space and task."""
    print("published scores: Spearman / Kendall correlation with the accuracy")
    for (space, task), rows in table.groupby(["space", "task"]):
        print(f"\n{space} {task}, {len(rows)} networks")
        for name in PUBLISHED:
            known = rows[np.isfinite(rows[name])]
            tau = kendall_tau(known[name].to_numpy(), known["val_metric"].to_numpy())
            print(f"  {name:<10} {spearman(known[name], known['val_metric']):6.3f} {tau:6.3f}")


def scored(rows: Any, arguments: argparse.Namespace) -> dict[int, dict[str, float]]:
    """Return our scores by index of the network; computes and keeps what is missing."""
    path = arguments.cache / f"scores-{arguments.cells}-cells-{arguments.batch}-images.jsonl"
    arguments.cache.mkdir(parents=True, exist_ok=True)
    lines = path.read_text().splitlines() if path.exists() else []
    known = {one["arch_idx"]: one["scores"] for one in map(json.loads, lines)}
    batch = images(arguments.batch)
    with path.open("a") as file:
        for row in rows.itertuples():
            if row.arch_idx in known:
                continue
            codes = tuple(int(getattr(row, f"op{edge}")) for edge in range(len(EDGES)))
            torch.manual_seed(derived_seed(0, "network", row.arch_idx))
            scores = proxy_scores(network(codes, cells=arguments.cells), batch)
            known[row.arch_idx] = scores
            file.write(json.dumps({"arch_idx": int(row.arch_idx), "scores": scores}) + "\n")
            file.flush()
            print(f"{len(known)} of {len(rows)}", end="\r", file=sys.stderr)
    return known


def print_ours(table: Any, arguments: argparse.Namespace) -> None:
    """Compute our proxies on a sample of networks, and print them beside the published ones."""
    rows = table[(table["space"] == "nasbench201") & (table["task"] == "cifar10")]
    operations = frame("nasbench201_devices")[["arch_idx", *(f"op{i}" for i in range(6))]]
    rows = rows.drop_duplicates("arch_idx").merge(operations, on="arch_idx")
    rows = rows.sort_values("arch_idx").reset_index(drop=True)
    chosen = stream(0, "sample").permutation(len(rows))[: arguments.networks]
    rows = rows.iloc[np.sort(chosen)]
    scores = scored(rows, arguments)
    accuracy = rows["val_metric"].to_numpy()
    print(
        f"\nNAS-Bench-201, CIFAR-10: {len(rows)} networks of {arguments.cells} cells per stage and "
        f"16 channels, batch of {arguments.batch}\n"
        "Spearman correlation with the accuracy of ours, and of the published score; of ours with "
        "the published score"
    )
    for name in PROXIES.names():
        ours = np.array([scores[index][name] for index in rows["arch_idx"]])
        line = f"  {name:<10} ours {spearman(ours, accuracy):6.3f}"
        if theirs := NAMES.get(name, name):
            line += f"  published {spearman(rows[theirs], accuracy):6.3f}"
            line += f"  agreement {spearman(ours, rows[theirs]):6.3f}"
        print(line)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=200, help="0 for the published ones alone")
    parser.add_argument("--cells", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--cache", type=Path, default=Path("runs/proxies"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = frame("zero_cost_proxies")
    print_published(table)
    if arguments.networks:
        print_ours(table, arguments)


if __name__ == "__main__":
    main()
