"""Bundles: a folder with a model, its card, and the data that verify it."""

import hashlib
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from niwaki.core.errors import ExportError
from niwaki.core.files import UNFINISHED, clear_abandoned, sync_to_disk
from niwaki.export.card import (
    CARD_FILE,
    FileCard,
    InputCard,
    ModelCard,
    current_versions,
    write_metadata,
)
from niwaki.export.comparison import Tolerance
from niwaki.export.inference import infer
from niwaki.export.privacy import refuse_local_paths_in_bytes, strip_local_information
from niwaki.export.verification_data import (
    WRITE_AGAIN,
    Arrays,
    VerificationData,
    first_items,
    fitting_items,
    sampled,
)
from niwaki.export.verify import Verification, verify_model
from niwaki.targets.sessions import SessionSettings

MODEL_FILE = "model.onnx"
VERIFICATION_FILE = "verification.npz"

_DEFAULT_TOLERANCE = Tolerance()


@dataclass(frozen=True)
class Bundle:
    """A folder that holds one model.

    Attributes:
        folder: Where it is.
        card: What `model.json` says.
    """

    folder: Path
    card: ModelCard

    @property
    def model_path(self) -> Path:
        """The ONNX file."""
        return self.folder / MODEL_FILE

    @property
    def settings(self) -> SessionSettings:
        """How the model wants to be run, on one thread."""
        return SessionSettings(disabled_optimizers=self.card.disabled_optimizers)

    def verification_data(self) -> VerificationData:
        """Read the data that verify the model.

        Raises:
            ExportError: If the file is missing or damaged, or holds no inputs of this model.
        """
        return _verification_data_in(self.folder, self.card)


def write_bundle(
    folder: Path,
    model: onnx.ModelProto,
    card: ModelCard,
    *,
    inputs: Arrays,
    torch_outputs: Arrays,
    tolerance: Tolerance = _DEFAULT_TOLERANCE,
) -> Bundle:
    """Write a model, verify what was written, and only then put it in place.

    Args:
        folder: Where it shall be. A bundle that is there is replaced; anything else is not.
        model: Left as it is; what is written is a stripped copy.
        card: Versions, file and verification are filled in.
        inputs: (n, ...) real data by input name; as many items are kept as fit.
        torch_outputs: (n, ...) outputs of the float network on them, by output name.
        tolerance: How far outputs may be apart.

    Raises:
        VerificationError: If the model does not compute what it should. Nothing is written then.
        ExportError: If the folder holds something else, a local path would be written, or the
            files cannot be written.
    """
    _refuse_other_folders(folder)
    data, card = _serialised(model, card)
    with _temporary_sibling(folder) as draft, _explained(folder):
        (draft / MODEL_FILE).write_bytes(data)
        settings = SessionSettings(disabled_optimizers=card.disabled_optimizers)
        kept = _verification_data(
            draft / MODEL_FILE, inputs, torch_outputs, settings, class_axes=card.class_axes
        )
        kept.save(draft / VERIFICATION_FILE)
        verification = _verify(draft, card, tolerance)
        verification.require(f"model '{card.name}'")
        card = replace(card, verification=verification.to_json())
        card.save(draft / CARD_FILE)
        _put_in_place(draft, folder)
    return Bundle(folder, card)


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle, and check that its model is the one its card speaks of.

    Raises:
        ExportError: If a file is missing, damaged, or changed since the export.
    """
    card = ModelCard.load(folder / CARD_FILE)
    path = folder / MODEL_FILE
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ExportError(
            f"model '{path}' cannot be read ({error.strerror}): {WRITE_AGAIN}"
        ) from error
    if found != card.file.sha256:
        raise ExportError(
            f"'{path}' is not the file that its card speaks of: its SHA-256 starts with "
            f"{found[:12]}, and {card.file.sha256[:12]} was written. Restore it, or {WRITE_AGAIN}"
        )
    return Bundle(folder, card)


def intact_bundle(folder: Path) -> Bundle | None:
    """Return the bundle in a folder; None if not all of its files can be read and are its own."""
    try:
        bundle = read_bundle(folder)
        bundle.verification_data()
    except ExportError:
        return None
    return bundle


def replace_card(bundle: Bundle, card: ModelCard) -> Bundle:
    """Write a card in the place of a bundle's, whole or not at all.

    Raises:
        ExportError: If the card cannot be written.
    """
    with _explained(bundle.folder):
        card.save(bundle.folder / CARD_FILE)
    return replace(bundle, card=card)


def copy_bundle(source: Path, to: Path) -> Path:
    """Copy a bundle, whole or not at all; one that is there already is replaced.

    Returns:
        The new folder.

    Raises:
        ExportError: If the source is no intact bundle, or the copy cannot be written.
    """
    read_bundle(source).verification_data()
    _refuse_other_folders(to)
    with _temporary_sibling(to) as draft, _explained(to):
        for name in (MODEL_FILE, CARD_FILE, VERIFICATION_FILE):
            shutil.copyfile(source / name, draft / name)
        _put_in_place(draft, to)
    return to


def find_bundles(folder: Path) -> list[Path]:
    """Return the bundles in a folder: itself, or those right below it, sorted by name.

    Those whose names begin with a dot are no bundles: a kill while one was written leaves such.

    Raises:
        ExportError: If there are none.
    """
    below = sorted(folder.glob("[!.]*")) if folder.is_dir() else []
    found = [path for path in (folder, *below) if (path / CARD_FILE).is_file()]
    if not found:
        raise ExportError(
            f"there is no exported model in '{folder}': give a folder that `niwaki export` wrote"
        )
    return found


def verify_bundle(folder: Path, *, tolerance: Tolerance = _DEFAULT_TOLERANCE) -> Verification:
    """Verify a bundle on this machine, with the data that it carries. Needs no torch.

    Returns:
        All comparisons; ask `passed`, or `require` it.

    Raises:
        ExportError: If the bundle is incomplete, damaged, or changed since the export.
        TargetError: If the runtime here cannot load the model.
    """
    bundle = read_bundle(folder)
    return _verify(folder, bundle.card, tolerance)


def _verify(folder: Path, card: ModelCard, tolerance: Tolerance) -> Verification:
    data = _verification_data_in(folder, card)
    return verify_model(
        folder / MODEL_FILE,
        data.inputs,
        torch_outputs=data.torch,
        recorded=data.recorded,
        class_axes=card.class_axes,
        settings=SessionSettings(disabled_optimizers=card.disabled_optimizers),
        tolerance=tolerance,
    )


def _verification_data_in(folder: Path, card: ModelCard) -> VerificationData:
    path = folder / VERIFICATION_FILE
    data = VerificationData.load(path)
    if fault := _fault_of(data.inputs, card.inputs):
        raise ExportError(f"'{path}' holds {fault}: {WRITE_AGAIN}")
    return data


def _fault_of(arrays: Arrays, cards: Collection[InputCard]) -> str:
    """Return which arrays are not the inputs that a model takes; empty if they are."""
    wanted = sorted(card.name for card in cards)
    if sorted(arrays) != wanted:
        return f"inputs {sorted(arrays)}, but its model takes {wanted}"
    for card in cards:
        found = arrays[card.name]
        if (found.shape[1:], found.dtype.name) != (card.shape, card.dtype):
            return (
                f"items of shape {found.shape[1:]} and type {found.dtype.name} for input "
                f"'{card.name}', but its model takes {card.shape} and {card.dtype}"
            )
    return ""


def _serialised(model: onnx.ModelProto, card: ModelCard) -> tuple[bytes, ModelCard]:
    """Return the bytes of the model, stripped, and the card that knows them."""
    stripped = onnx.ModelProto()
    stripped.CopyFrom(model)
    strip_local_information(stripped)
    write_metadata(stripped, card)
    data = bytes(stripped.SerializeToString(deterministic=True))
    refuse_local_paths_in_bytes(data, what=f"model '{card.name}'")
    file = FileCard(hashlib.sha256(data).hexdigest(), len(data))
    return data, replace(card, file=file, versions=current_versions(stripped))


def _verification_data(
    path: Path,
    inputs: Arrays,
    torch_outputs: Arrays,
    settings: SessionSettings,
    *,
    class_axes: Mapping[str, int],
) -> VerificationData:
    n_items = fitting_items(inputs, torch_outputs, class_axes)
    inputs = first_items(inputs, n_items)
    runs = first_items(torch_outputs, n_items), infer(path, inputs, settings=settings)
    return VerificationData(inputs, *(sampled(outputs, class_axes) for outputs in runs))


def _refuse_other_folders(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ExportError(f"'{folder}' is a file: give a folder to export to")
    strangers = _strangers(folder)
    if strangers:
        raise ExportError(
            f"'{folder}' holds '{strangers[0]}', which no export wrote: give a new folder"
        )


def _strangers(folder: Path) -> list[str]:
    ours: Collection[str] = (MODEL_FILE, CARD_FILE, VERIFICATION_FILE)
    draft = f".{CARD_FILE}.*{UNFINISHED}"
    names = [path.name for path in folder.iterdir() if not path.match(draft)]
    return sorted(name for name in names if name not in ours)


@contextmanager
def _temporary_sibling(folder: Path) -> Iterator[Path]:
    """A folder on the same file system, gone afterwards unless it was moved away."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        clear_abandoned(folder)
        draft = Path(
            tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=UNFINISHED, dir=folder.parent)
        )
    except OSError as error:
        raise ExportError(
            f"'{folder}' cannot be made: the system says '{error.strerror}'; give another folder"
        ) from error
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def _explained(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExportError(
            f"the bundle '{folder}' cannot be written ({error.strerror}): free some space, or "
            "give another folder"
        ) from error


def _put_in_place(draft: Path, folder: Path) -> None:
    """Make `draft` the bundle. A kill leaves the old bundle, the new one, or none; never half."""
    for path in (*draft.iterdir(), draft):
        sync_to_disk(path)
    draft.chmod(0o755)
    with tempfile.TemporaryDirectory(
        prefix=f".{folder.name}.old-", suffix=UNFINISHED, dir=folder.parent
    ) as old:
        if folder.exists():
            folder.rename(Path(old) / "bundle")
        draft.rename(folder)
    sync_to_disk(folder.parent)
