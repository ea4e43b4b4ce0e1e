"""Train the demo's network on Fashion-MNIST and write it as a float32 ``.rq`` file.

The network is the table of ``fashion_cnn.py``; here it is a PyTorch module. PyTorch is needed in
this file and nowhere else in the project.

The recipe is fixed beforehand (seed, number of epochs, one-cycle learning rate, AdamW, smoothed
labels) and the last epoch is kept: the test images are looked at once, after training. All 60,000
training images are used, shifted by up to two pixels and mirrored at random. The result repeats
with the same CPU, thread count and PyTorch; others sum in another order and find slightly other
weights.

Example: ``PYTHONPATH=. python examples/train_fashion_cnn.py --out refquant/cli/assets``
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from fashion_cnn import CLASSES, EPSILON, F32, LAYERS, to_graph
from make_fashion_sample import DATA, U8, read_split
from torch import nn
from torch.nn import functional

from refquant.model.rq import write_rq

FILE_NAME = "fashion_cnn.rq"
SEED = 20170828  # the day arXiv:1708.07747 was published
BATCH = 256
MAX_SHIFT = 2  # pixels
PEAK_LEARNING_RATE = 6e-3
WEIGHT_DECAY = 0.05  # of convolution and Gemm weights only
LABEL_SMOOTHING = 0.05


class FashionCnn(nn.Module):
    """float32 ``(N, 1, 28, 28)`` in ``[0, 1]`` -> logits ``(N, 10)``."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(
                layer.channels_in,
                layer.channels_out,
                layer.kernel,
                stride=layer.stride,
                padding=layer.pad,
                groups=layer.group,
                bias=False,
            )
            for layer in LAYERS
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(layer.channels_out, eps=EPSILON) for layer in LAYERS
        )
        self.head = nn.Linear(LAYERS[-1].channels_out, len(CLASSES))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        outputs: dict[str, torch.Tensor] = {}
        for layer, conv, norm in zip(LAYERS, self.convs, self.norms, strict=True):
            x = norm(conv(x))
            if layer.skip is not None:
                x = x + outputs[layer.skip]
            x = outputs[layer.name] = functional.relu(x)
        logits: torch.Tensor = self.head(x.mean(dim=(2, 3)))
        return logits


def augment(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Shift each image by up to ``MAX_SHIFT`` pixels both ways and mirror half of them.

    ``images`` is float32 ``(N, 1, 28, 28)``; so is the result. What a shift uncovers is black.
    """
    count, _, height, width = images.shape
    padded = functional.pad(images[:, 0], (MAX_SHIFT,) * 4)
    shift = torch.randint(2 * MAX_SHIFT + 1, (2, count, 1), generator=generator)
    rows = torch.arange(height) + shift[0]
    columns = torch.arange(width) + shift[1]
    mirrored = torch.rand(count, 1, generator=generator) < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)
    index = torch.arange(count)[:, None, None]
    return padded[index, rows[:, :, None], columns[:, None, :]][:, None]


def to_input(images: U8) -> torch.Tensor:
    """Pixels ``(N, 28, 28)`` -> ``x = pixel / 255``, float32 ``(N, 1, 28, 28)``."""
    return torch.from_numpy(images.astype(np.float32) / np.float32(255))[:, None]


def train(images: U8, labels: U8, *, epochs: int) -> FashionCnn:
    """Train from the fixed seed; return the network of the last epoch, in evaluation mode."""
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    model = FashionCnn().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    weights = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW(
        [{"params": weights, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    )
    x, target = to_input(images), torch.from_numpy(labels.astype(np.int64))
    batches = len(x) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK_LEARNING_RATE, total_steps=epochs * batches, pct_start=0.2
    )
    cost = nn.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING)
    for epoch in range(epochs):
        start, total = time.monotonic(), 0.0
        for chosen in torch.randperm(len(x), generator=generator)[: batches * BATCH].split(BATCH):
            batch = augment(x[chosen], generator).to(memory_format=torch.channels_last)
            loss = cost(model(batch), target[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        seconds = time.monotonic() - start
        print(
            f"epoch {epoch + 1}/{epochs}: loss {total / batches:.4f}, {seconds:.0f} s", flush=True
        )
    return model.eval()


def accuracy(model: FashionCnn, images: U8, labels: U8) -> float:
    """Return the fraction of ``images`` whose largest logit is at their label."""
    with torch.no_grad():
        logits = torch.cat([model(batch) for batch in to_input(images).split(1_000)])
    return float(np.mean(logits.argmax(dim=1).numpy() == labels))


def constants(model: FashionCnn) -> dict[str, F32]:
    """Return the trained tensors under the names they have in the graph."""
    found: dict[str, torch.Tensor] = {}
    for layer, conv, norm in zip(LAYERS, model.convs, model.norms, strict=True):
        found[f"{layer.name}.conv.weight"] = conv.weight
        found[f"{layer.name}.bn.scale"] = norm.weight
        found[f"{layer.name}.bn.bias"] = norm.bias
        found[f"{layer.name}.bn.mean"] = norm.running_mean
        found[f"{layer.name}.bn.var"] = norm.running_var
    found["head.gemm.weight"] = model.head.weight
    found["head.gemm.bias"] = model.head.bias
    return {name: np.ascontiguousarray(t.detach().numpy()) for name, t in found.items()}


def main() -> None:
    """Train, score once, write."""
    parser = argparse.ArgumentParser(
        description="Train the demo's network on Fashion-MNIST and write it as a .rq file.",
        epilog="example: python examples/train_fashion_cnn.py --out refquant/cli/assets",
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the four .gz files")
    parser.add_argument("--epochs", type=int, default=40, help="passes over the training set")
    parser.add_argument("--out", type=Path, required=True, help=f"folder for {FILE_NAME}")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    model = train(*read_split(arguments.data, "train"), epochs=arguments.epochs)
    top1 = accuracy(model, *read_split(arguments.data, "t10k"))
    path = arguments.out / FILE_NAME
    write_rq(path, to_graph(constants(model), meta=describe(arguments.epochs, top1)))
    print(f"{path}: {path.stat().st_size} bytes, top-1 of the 10,000 test images {top1:.4f}")


def describe(epochs: int, top1: float) -> dict[str, object]:
    """Return the ``meta`` of the file: where the weights come from."""
    return {
        "scheme": "float32",
        "task": "Fashion-MNIST, x = pixel / 255",
        "made_by": f"examples/train_fashion_cnn.py, seed {SEED}, {epochs} epochs",
        "tools": {"torch": torch.__version__.split("+")[0]},
        "top1_of_10000": top1,
    }


if __name__ == "__main__":
    main()
