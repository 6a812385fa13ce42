"""The reference programs in PyTorch: eager, eager with channels-last memory, or compiled (Inductor).

A training step is forward, loss, backward and optimizer update, on one batch that stays the same; prediction ends with the result as
a NumPy array.
"""

from protocol import CLASSES, DEPTH, HEADS, IMAGES, VOCABULARY, WIDTH, answer, arguments

options = arguments(["eager", "channels-last", "compiled"])

import torch  # noqa: E402  (the number of processors is set first)
from torch import nn  # noqa: E402


def convolutional(channels, size):
    """R2 and R7: three convolutions, two pools."""
    last = ((size - 2) // 2 - 2) // 2 - 2
    return nn.Sequential(
        nn.Conv2d(channels, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(64 * last * last, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


class Recurrent(nn.Module):
    """R3: two LSTMs over the rows of an image. R4: one over embedded words."""

    def __init__(self, name):
        super().__init__()
        words = name == "R4"
        self.embedding = nn.Embedding(VOCABULARY, 64) if words else nn.Identity()
        self.lstm = nn.LSTM(64 if words else 28, 64, num_layers=1 if words else 2, batch_first=True)
        self.head = nn.Linear(64, 2 if words else 10)

    def forward(self, x):
        sequence, _ = self.lstm(self.embedding(x))
        return self.head(sequence[:, -1])


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)])
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.wide = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x):
        n, t, _ = x.shape
        heads = [p.view(n, t, HEADS, -1).transpose(1, 2) for p in self.qkv(self.norms[0](x)).chunk(3, dim=2)]
        seen = nn.functional.scaled_dot_product_attention(*heads, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(n, t, WIDTH))
        return x + self.wide(self.norms[1](x))


class GPT(nn.Module):
    def __init__(self, length, vocabulary):
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, WIDTH), nn.Parameter(0.02 * torch.randn(length, WIDTH))
        self.blocks = nn.Sequential(*[Block() for _ in range(DEPTH)])
        self.head = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, vocabulary))

    def forward(self, x):
        return self.head(self.blocks(self.tokens(x) + self.places)).transpose(1, 2)


def model_of(name):
    if name == "GPT":
        return GPT(IMAGES[name][1][0], CLASSES[name])
    if name == "R1":
        return nn.Sequential(nn.Linear(784, 32), nn.ReLU(), nn.Linear(32, 10))
    if name == "R2":
        return convolutional(1, 28)
    if name in ("R3", "R4"):
        return Recurrent(name)
    if name == "R5":
        return nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25),
            nn.Flatten(), nn.Linear(64 * 12 * 12, 128), nn.ReLU(), nn.Dropout(0.5), nn.Linear(128, 10),
        )  # fmt: skip
    if name == "R6":
        return nn.Sequential(
            nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(32 * 13 * 13, 128), nn.ReLU(), nn.Linear(128, 10),
        )  # fmt: skip
    return convolutional(3, 32)


torch.set_num_threads(options.threads)
torch.manual_seed(0)
name = options.program
batch, shape = IMAGES[name]
if name in ("R4", "GPT"):
    x = torch.randint(0, VOCABULARY if name == "R4" else CLASSES[name], (batch, *shape))
elif len(shape) == 3:
    x = torch.rand(batch, shape[2], shape[0], shape[1])
else:
    x = torch.rand(batch, *shape)
y = torch.randint(0, CLASSES.get(name, 10), (batch, *shape) if name == "GPT" else (batch,))
model = model_of(name)
if options.variant == "channels-last" and x.dim() == 4:
    model = model.to(memory_format=torch.channels_last)
    x = x.contiguous(memory_format=torch.channels_last)
if name == "R5":
    optimizer = torch.optim.Adadelta(model.parameters(), lr=0.001, rho=0.95, eps=1e-7)
elif name == "GPT":
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.001, eps=1e-7, weight_decay=0.004)
else:
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, eps=1e-7)
loss_of = nn.CrossEntropyLoss()

run_loss = lambda: loss_of(model(x), y)  # noqa: E731
run_model = lambda: torch.softmax(model(x), dim=1)  # noqa: E731
update = optimizer.step
if options.variant == "compiled":
    run_loss = torch.compile(run_loss)
    run_model = torch.compile(run_model)
    update = torch.compile(optimizer.step)


def train():
    model.train()
    optimizer.zero_grad(set_to_none=True)
    run_loss().backward()
    update()


def predict():
    model.eval()
    with torch.inference_mode():
        return run_model().numpy()


answer({"train": train, "predict": predict}, f"PyTorch {torch.__version__}")
