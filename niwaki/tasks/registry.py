"""The sources of data that configurations name.

A factory is `load(settings, *, seed) -> TaskData`, where `settings` is an instance of the frozen
dataclass that annotates its first parameter.
"""

from niwaki.core.registry import Record, Registry

DATA = Registry(
    "tasks",
    (
        Record(
            "digit_scenes",
            "scenes of real handwritten digits: nearest digit, segmentation, depth",
            "niwaki.tasks.digit_scenes:load",
        ),
        Record("npz", "arrays in .npz files", "niwaki.tasks.npz:load"),
        Record(
            "image_folder",
            "a subfolder of images for each class",
            "niwaki.tasks.image_folder:load",
            needs=("pillow",),
        ),
        Record("idx", "images and labels in MNIST's file format", "niwaki.tasks.idx:load"),
        Record(
            "addnist",
            "three digits as red, green and blue: their sum (20 classes)",
            "niwaki.tasks.unseen:load_addnist",
        ),
        Record(
            "multnist",
            "three digits as red, green and blue: the last digit of their product",
            "niwaki.tasks.unseen:load_multnist",
        ),
        Record(
            "cifartile",
            "four photographs in a square: how many kinds of things they show",
            "niwaki.tasks.unseen:load_cifartile",
        ),
        Record(
            "language",
            "four words in a square of positions and letters: which language",
            "niwaki.tasks.unseen:load_language",
        ),
        Record(
            "python",
            "loaders that a function of yours returns",
            "niwaki.tasks.python_loaders:load",
        ),
    ),
)
