"""Where the model to be compressed comes from."""

from dataclasses import dataclass
from functools import cached_property

from torch import nn

from niwaki.compress.pruning.copying import copied
from niwaki.core.errors import ConfigError
from niwaki.evaluation.compression.plain_calls import plainly_called
from niwaki.evaluation.compression.plain_weights import computed_weights, with_plain_weights
from niwaki.tasks.python_loaders import imported


@dataclass(frozen=True, eq=False)
class ModelSource:
    """A trained model, by name or at hand.

    Attributes:
        reference: `path/to/file.py:function` or `package.module:function`; called without
            arguments, it returns the model with its trained weights. Empty if `module` is given.
        module: The model itself. It is copied before anything is done to it.
    """

    reference: str = ""
    module: nn.Module | None = None

    def __getstate__(self) -> dict[str, object]:
        """Travel by name where there is one: a worker builds the model for itself."""
        return {"reference": self.reference, "module": self.module}

    @cached_property
    def _built(self) -> object:
        # Once in a process: a user's function may read, or even train, for long.
        return imported(self.reference)()

    def load(self) -> nn.Module:
        """Return the model in evaluation mode, called plainly; the same object each time.

        Whatever the user's own code raises is not caught.

        Raises:
            ConfigError: If the function is not found, or returns something else.
        """
        return self._plain

    @property
    def computed(self) -> tuple[str, ...]:
        """Names of the weights that the model computes at each call, and `load` makes plain."""
        return computed_weights(self._given())

    @cached_property
    def _plain(self) -> nn.Module:
        given = self._given()
        # What a caller holds is left as it is, its mode included.
        own = copied(given) if self.module is not None else given
        return plainly_called(with_plain_weights(own)).eval()

    def _given(self) -> nn.Module:
        found = self.module if self.module is not None else self._built
        if not isinstance(found, nn.Module):
            raise ConfigError(
                f"'{self.reference}' returned a {type(found).__name__}, but a trained "
                "torch.nn.Module is needed"
            )
        return found
