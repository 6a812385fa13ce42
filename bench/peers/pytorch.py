"""The reference programs in PyTorch, eager, for `npm run bench -- compare`.

Reads "train" or "predict" from stdin, runs one round on fixed data, answers one line of JSON: the median milliseconds of a
step. A training step is forward, loss, backward and optimizer update. Install: pip install torch==2.13.0
"""

import argparse
import json
import sys
import time

import torch
from torch import nn

STEPS = {"R1": 800, "R2": 80, "R5": 10, "R6": 50, "R7": 80}


def convolutional(channels, size):
    """R2 and R7: three convolutions, two pools."""
    last = ((size - 2) // 2 - 2) // 2 - 2
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(64 * last * last, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def program(name):
    """Model, optimizer and one batch (x, y) of a reference program."""
    if name == "R1":
        model, batch, shape = nn.Sequential(nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10)), 32, (784,)
    elif name == "R2":
        model, batch, shape = convolutional(1, 28), 32, (1, 28, 28)
    elif name == "R5":
        model = nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
            nn.Flatten(), nn.Linear(64 * 12 * 12, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10),
        )  # fmt: skip
        batch, shape = 128, (1, 28, 28)
    elif name == "R6":
        model = nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(32 * 13 * 13, 128), nn.ReLU(), nn.Linear(128, 10),
        )  # fmt: skip
        batch, shape = 128, (1, 28, 28)
    else:
        model, batch, shape = convolutional(3, 32), 32, (3, 32, 32)
    if name == "R5":
        optimizer = torch.optim.Adadelta(model.parameters(), lr=0.001, rho=0.95, eps=1e-7)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=0.001, eps=1e-7)
    return model, optimizer, torch.rand(batch, *shape), torch.randint(0, 10, (batch,))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program", choices=list(STEPS))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--channels-last", action="store_true")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    model, optimizer, x, y = program(options.program)
    if options.channels_last and x.dim() == 4:
        model = model.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    loss_of = nn.CrossEntropyLoss()

    def train():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(model(x), y)
        loss.backward()
        optimizer.step()

    def predict():
        with torch.inference_mode():
            torch.softmax(model(x), dim=1)

    for line in sys.stdin:
        what = line.strip()
        model.train(what == "train")
        step = train if what == "train" else predict
        times = []
        for _ in range(STEPS[options.program]):
            begin = time.perf_counter()
            step()
            times.append(1000 * (time.perf_counter() - begin))
        times.sort()
        print(json.dumps({"ms": times[len(times) // 2], "version": torch.__version__}), flush=True)


if __name__ == "__main__":
    main()
