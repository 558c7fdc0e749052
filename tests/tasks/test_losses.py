"""Losses against torch, and their scale."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from niwaki.tasks.base import SplitName, TaskData
from niwaki.tasks.losses import ClassLoss, ValueLoss, task_losses, total_distillation, total_loss
from tests.tasks.made_up import task_data


def train_targets(data: TaskData) -> dict[str, torch.Tensor]:
    (batch,) = data[SplitName.TRAIN].batches(10_000)
    return {name: torch.from_numpy(values) for name, values in batch.targets.items()}


def constant_outputs(data: TaskData, targets: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The best constant predictions: log-frequencies of classes, medians of numbers."""
    outputs = {}
    for task in data.tasks:
        target = targets[task.name]
        if task.kind.has_classes:
            counts = torch.bincount(target.reshape(-1), minlength=task.n_outputs)
            best = (counts / counts.sum()).log()
        else:
            best = target.movedim(1, -1).reshape(-1, task.n_outputs).median(dim=0).values
        shape = (len(target), task.n_outputs, *target.shape[1 if task.kind.has_classes else 2 :])
        outputs[task.name] = best.view(1, -1, *(1,) * (len(shape) - 2)).expand(shape)
    return outputs


@pytest.mark.parametrize("of_numbers", ["smooth_l1", "l1"])
def test_the_best_constant_prediction_costs_one_in_every_task(of_numbers: str) -> None:
    data = task_data(200)
    tasks = (t if t.kind.has_classes else replace(t, loss=of_numbers) for t in data.tasks)
    data = replace(data, tasks=tuple(tasks))
    targets = train_targets(data)
    outputs = constant_outputs(data, targets)
    for name, loss in task_losses(data).items():
        assert float(loss.against_targets(outputs[name], targets[name])) == pytest.approx(
            1, rel=0.03
        )


def test_total_loss_is_the_weighted_sum() -> None:
    data = task_data(200)
    targets = train_targets(data)
    outputs = constant_outputs(data, targets)
    assert float(total_loss(task_losses(data), outputs, targets)) == pytest.approx(4, rel=0.03)


def test_cross_entropy_is_that_of_torch_over_chance() -> None:
    outputs = torch.randn(6, 5, 3, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(54).reshape(6, 3, 3) % 5
    expected = functional.cross_entropy(outputs, labels) / 1.5
    found = ClassLoss(weight=1.0, chance_nats=1.5).against_targets(outputs, labels)
    assert float(found) == pytest.approx(float(expected))


def test_ignored_pixels_cost_nothing() -> None:
    outputs = torch.randn(2, 5, 4, 4, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(32).reshape(2, 4, 4) % 5
    labels[:, 2:] = 255
    loss = ClassLoss(weight=1.0, chance_nats=1.0, ignore_index=255)
    expected = functional.cross_entropy(outputs[:, :, :2], labels[:, :2])
    assert float(loss.against_targets(outputs, labels)) == pytest.approx(float(expected))


def test_a_batch_without_labels_that_count_costs_zero() -> None:
    loss = ClassLoss(weight=1.0, chance_nats=1.0, ignore_index=255)
    outputs = torch.zeros(2, 5, 4, 4, requires_grad=True)
    value = loss.against_targets(outputs, torch.full((2, 4, 4), 255))
    torch.autograd.backward(value)
    assert value.item() == 0.0


def test_a_single_label_counts_whole() -> None:
    labels = ClassLoss(weight=1.0, chance_nats=1.0, ignore_index=255)
    one = labels.against_targets(torch.zeros(1, 4, 2), torch.tensor([[255, 1]]))
    assert one.item() == pytest.approx(np.log(4.0))
    numbers = ValueLoss(weight=1.0, std=(1.0,), chance=1.0, beta=0.0)
    number = numbers.against_targets(torch.zeros(2, 1), torch.tensor([[torch.nan], [3.0]]))
    assert number.item() == 3.0


def test_each_output_counts_in_its_own_standard_deviations() -> None:
    loss = ValueLoss(weight=1.0, std=(1.0, 100.0), chance=1.0, beta=0.0)
    small = loss.against_targets(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2))
    large = loss.against_targets(torch.tensor([[0.0, 100.0]]), torch.zeros(1, 2))
    assert float(small) == pytest.approx(float(large))


def test_real_outputs_of_another_resolution_are_refused() -> None:
    loss = ValueLoss(weight=1.0, std=(1.0,), chance=1.0, beta=0.0)
    with pytest.raises(ValueError, match="resize a decoder's outputs to the labels"):
        loss.against_targets(torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 8, 8))


def test_distillation_is_zero_at_the_teacher_and_positive_elsewhere() -> None:
    data = task_data()
    losses = task_losses(data)
    teacher = constant_outputs(data, train_targets(data))
    moved = {name: values + torch.arange(values.shape[1]).view(1, -1, *(1,) * (values.ndim - 2))
             for name, values in teacher.items()}  # fmt: skip
    moved["depth"] = teacher["depth"] + 1.0
    assert float(total_distillation(losses, teacher, teacher)) == pytest.approx(0.0, abs=1e-6)
    for name, loss in losses.items():
        assert float(loss.against_teacher(moved[name], teacher[name])) > 1e-3


def test_total_distillation_is_the_weighted_sum() -> None:
    outputs = {name: torch.tensor([[1.0], [3.0]]) for name in ("a", "b")}
    losses = {
        n: ValueLoss(w, std=(2.0,), chance=0.5, beta=0.0) for n, w in (("a", 1.0), ("b", 3.0))
    }
    teacher = {name: torch.zeros(2, 1) for name in outputs}
    # Errors of 0.5 and 1.5 standard deviations, over 0.5 at chance.
    assert float(total_distillation(losses, outputs, teacher)) == pytest.approx(2.0 + 3 * 2.0)
    assert float(total_loss(losses, outputs, teacher)) == pytest.approx(2.0 + 3 * 2.0)


def test_no_gradient_flows_into_the_teacher() -> None:
    teacher = torch.randn(4, 3, requires_grad=True)
    student = torch.randn(4, 3, requires_grad=True)
    loss = ClassLoss(weight=1.0, chance_nats=1.0)
    torch.autograd.backward(loss.against_teacher(student, teacher))
    assert teacher.grad is None
    assert student.grad is not None


def test_distillation_has_the_gradient_of_soft_labels() -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = torch.randn(2, 4, 3, 5, 5, generator=generator)
    student.requires_grad_()
    loss = ClassLoss(weight=1.0, chance_nats=2.0)
    torch.autograd.backward(loss.against_teacher(student, teacher))
    expected = (student.softmax(dim=1) - teacher.softmax(dim=1)) / (4 * 25) / 2.0
    assert student.grad is not None
    assert np.allclose(student.grad.numpy(), expected.detach().numpy(), atol=1e-6)


def test_temperature_keeps_the_size_of_small_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    teacher = 0.01 * torch.randn(8, 3, generator=generator)
    sizes = []
    for temperature in (1.0, 8.0):
        student = torch.zeros(8, 3, requires_grad=True)
        loss = ClassLoss(weight=1.0, chance_nats=1.0, temperature=temperature)
        torch.autograd.backward(loss.against_teacher(student, teacher))
        assert student.grad is not None
        sizes.append(float(student.grad.norm()))
    assert sizes[0] == pytest.approx(sizes[1], rel=0.02)


def test_where_there_is_no_number_nothing_is_learnt() -> None:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(2, 1, 4, 4, generator=generator, requires_grad=True)
    targets = torch.randn(2, 1, 4, 4, generator=generator)
    loss = ValueLoss(weight=1.0, std=(2.0,), chance=0.7, beta=0.5)
    half = targets.clone()
    half[1] = torch.nan
    found = loss.against_targets(outputs, half)
    torch.testing.assert_close(found, loss.against_targets(outputs[:1], targets[:1]))
    found.backward()  # type: ignore[no-untyped-call]
    assert outputs.grad is not None
    assert outputs.grad[0].abs().min() > 0.0
    assert outputs.grad[1].abs().max() == 0.0
    assert loss.against_targets(outputs, torch.full_like(targets, torch.nan)).item() == 0.0


def test_a_teacher_that_answers_nan_is_not_a_missing_label() -> None:
    loss, outputs = ValueLoss(1.0, (1.0,), 1.0, 0.5), torch.zeros(3, 1)
    teacher = torch.tensor([[0.0], [float("nan")], [1.0]])
    assert loss.against_teacher(outputs, teacher).isnan()
    assert loss.against_targets(outputs, teacher).isfinite()


def test_a_loss_first_asked_for_in_inference_mode_still_trains() -> None:
    loss, targets = ValueLoss(1.0, (1.25, 2.5), 1.0, 0.5), torch.ones(3, 2)
    with torch.inference_mode():
        loss.against_targets(torch.zeros(3, 2), targets)
    outputs = torch.zeros(3, 2, requires_grad=True)
    loss.against_targets(outputs, targets).backward()  # type: ignore[no-untyped-call]
    assert outputs.grad is not None
