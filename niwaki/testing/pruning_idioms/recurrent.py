"""Idioms of recurrent networks."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from niwaki.testing.pruning_idioms.composed import Composed, conv_norm, relu


def long_short_term_memory() -> nn.Module:
    """An LSTM between linear layers."""
    return _between_linear(nn.LSTM(16, 12, batch_first=True), lambda y: y[:, -1])


def gated_recurrent_unit() -> nn.Module:
    """A GRU between linear layers."""
    return _between_linear(nn.GRU(16, 12, batch_first=True), lambda y: y.mean(1))


def _between_linear(memory: nn.Module, read: Callable[[Tensor], Tensor]) -> nn.Module:
    def compute(m: Any, x: Tensor) -> Any:
        y, _ = m.memory(relu(m.enter(x)))
        return m.head(relu(m.after(read(y))))

    parts = {
        "enter": nn.Linear(6, 16),
        "memory": memory,
        "after": nn.Linear(12, 20),
        "head": nn.Linear(20, 5),
    }
    return Composed(compute, parts)


def memory_alone() -> nn.Module:
    """An LSTM and its head: only hidden units can go."""

    def compute(m: Any, x: Tensor) -> Any:
        return m.head(m.memory(x)[0][:, -1])

    parts = {"memory": nn.LSTM(6, 12, batch_first=True), "head": nn.Linear(12, 5)}
    return Composed(compute, parts)


def memory_both_ways() -> nn.Module:
    """A GRU of two layers in both directions: they have as many units as each other."""

    def compute(m: Any, x: Tensor) -> Any:
        y, last = m.memory(relu(m.enter(x)))
        return m.head(y.mean(1) + torch.cat([last[-2], last[-1]], 1))

    parts = {
        "enter": nn.Linear(6, 16),
        "memory": nn.GRU(16, 12, 2, batch_first=True, bidirectional=True),
        "head": nn.Linear(24, 5),
    }
    return Composed(compute, parts)


def projected_memory() -> nn.Module:
    """An LSTM whose outputs are fewer than its units: outputs can go, units stay."""

    def compute(m: Any, x: Tensor) -> Any:
        y, (last, _) = m.memory(relu(m.enter(x)))
        return m.head(y[:, 0] + last[-1])

    parts = {
        "enter": nn.Linear(6, 16),
        "memory": nn.LSTM(16, 12, 2, batch_first=True, proj_size=8),
        "head": nn.Linear(8, 5),
    }
    return Composed(compute, parts)


def packed_memory() -> nn.Module:
    """An LSTM over packed sequences of different lengths."""

    def compute(m: Any, x: Tensor) -> Any:
        lengths = torch.tensor([4, 7])
        packed = pack_padded_sequence(relu(m.enter(x)), lengths, True, enforce_sorted=False)
        y, _ = pad_packed_sequence(m.memory(packed)[0], batch_first=True)
        return m.head(y.sum(1))

    parts = {
        "enter": nn.Linear(6, 16),
        "memory": nn.LSTM(16, 12, batch_first=True),
        "head": nn.Linear(12, 5),
    }
    return Composed(compute, parts)


def memory_with_a_start() -> nn.Module:
    """A GRU that starts from learnt values, and one from zeros of a size of the model."""

    def compute(m: Any, x: Tensor) -> Any:
        y, _ = m.first(x, m.start.expand(-1, len(x), -1).contiguous())
        _, last = m.second(y, torch.zeros(1, len(x), m.width, dtype=x.dtype))
        return m.head(last[0])

    parts = {
        "first": nn.GRU(6, 16, batch_first=True),
        "start": nn.Parameter(torch.randn(1, 1, 16)),
        "second": nn.GRU(16, 12, batch_first=True),
        "width": 12,
        "head": nn.Linear(12, 5),
    }
    return Composed(compute, parts)


def cells_in_a_loop() -> nn.Module:
    """An LSTM cell, a GRU cell and a plain one, step by step."""

    def compute(m: Any, x: Tensor) -> Any:
        long, short, plain = None, None, None
        for step in m.enter(x).unbind(1):
            long = m.long(step, long)
            short = m.short(long[0], short)
            plain = m.plain(short, plain)
        return m.head(plain)

    parts = {
        "enter": nn.Linear(6, 16),
        "long": nn.LSTMCell(16, 12),
        "short": nn.GRUCell(12, 10),
        "plain": nn.RNNCell(10, 8, nonlinearity="relu"),
        "head": nn.Linear(8, 5),
    }
    return Composed(compute, parts)


def memory_of_columns() -> nn.Module:
    """Convolutions whose columns an LSTM reads, as in the recognition of text."""

    def compute(m: Any, x: Tensor) -> Any:
        y = m.b(m.a(x))
        y, _ = m.memory(y.flatten(1, 2).transpose(1, 2))
        return m.head(y)

    parts = {
        "a": conv_norm(3, 16, stride=2),
        "b": conv_norm(16, 24),
        "memory": nn.LSTM(24 * 4, 12, batch_first=True, bidirectional=True),
        "head": nn.Linear(24, 5),
    }
    return Composed(compute, parts)
