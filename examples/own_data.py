"""Data of one's own, searched from Python: `python examples/own_data.py`. About a minute.

Pictures of one bright square: where it is (segmentation), and how large (regression).
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from niwaki import Front
from niwaki.config import build_study
from niwaki.config.reader import parse_config

EDGE = 32


def write_squares(path: Path, n: int = 240) -> None:
    """Write pictures of squares, their masks and their edges in pixels."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 90, (n, EDGE, EDGE, 1), dtype=np.uint8)
    masks = np.zeros((n, EDGE, EDGE), np.uint8)
    edges = rng.integers(4, 16, n)
    for image, mask, edge in zip(images, masks, edges, strict=True):
        row, column = rng.integers(0, EDGE - edge, 2)
        mask[row : row + edge, column : column + edge] = 1
        image[mask == 1] += 120
    np.savez(path, inputs=images, square=masks, edge=edges.astype(np.float32))


def search(folder: Path) -> Front:
    """Write the data and search; calling it again on the same folder finds everything done."""
    folder.mkdir(parents=True, exist_ok=True)
    write_squares(folder / "squares.npz")
    stage = {"widths": [8, 16], "hidden": [8, 16], "depths": [1, 2]}
    config = parse_config(
        {
            "data": {
                "kind": "npz",
                "path": str(folder / "squares.npz"),
                "tasks": {
                    "square": {"kind": "segmentation", "classes": ["dark", "bright"]},
                    "edge": {"kind": "regression", "unit": "px"},
                },
            },
            "space": {
                "kind": "slimmable",
                "stem_widths": [8],
                "stages": [{**stage, "stride": 1}, stage],
                "default_decoder": [4, 8],
            },
            "evaluator": {"kind": "supernet", "training": {"epochs": 4, "batch_size": 24}},
            "target": {"kind": "onnxruntime_cpu"},
            "objectives": ["square_miou", "latency_ms"],
            "constraints": ["edge_rmse <= 2 * baseline"],
            "executor": {"kind": "in_process"},
            "budget": {"evaluations": 8},
            "finalists": 2,
        }
    )
    return build_study(config, folder / "run").run()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        front = search(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(scratch))
        for model in front.models:
            print({name: round(value, 4) for name, value in model.values.items()})
