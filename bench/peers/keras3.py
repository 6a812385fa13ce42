"""The reference programs in Keras 3, on TensorFlow or JAX.

A training step is the compiled train function that `fit` calls for each batch, on data that already lies in the framework's own
memory: `fit`'s data pipeline and callbacks are left out, which only favours Keras. Prediction ends with the result as a NumPy array.
On TensorFlow with XLA or without, whichever is faster in a trial.
"""

import os
import time

from protocol import CLASSES, DEPTH, HEADS, IMAGES, VOCABULARY, WIDTH, answer, arguments

options = arguments(["tensorflow", "jax"])
os.environ["KERAS_BACKEND"] = options.variant
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras  # noqa: E402  (the number of processors and the backend are set first)
import numpy as np  # noqa: E402
from keras import layers  # noqa: E402


def convolutional():
    return [
        layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"), layers.Flatten(),
        layers.Dense(64, activation="relu"), layers.Dense(10, activation="softmax"),
    ]  # fmt: skip


def layers_of(name):
    if name == "R1":
        return [layers.Dense(32, activation="relu"), layers.Dense(10, activation="softmax")]
    if name == "R3":
        return [layers.LSTM(64, return_sequences=True), layers.LSTM(64), layers.Dense(10, activation="softmax")]
    if name == "R4":
        return [layers.Embedding(VOCABULARY, 64), layers.LSTM(64), layers.Dense(2, activation="softmax")]
    if name == "R5":
        return [
            layers.Conv2D(32, 3, activation="relu"), layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(2),
            layers.Dropout(0.25), layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]  # fmt: skip
    if name == "R6":
        return [
            layers.Rescaling(1 / 255), layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(2), layers.Flatten(),
            layers.Dense(128, activation="relu"), layers.Dense(10, activation="softmax"),
        ]  # fmt: skip
    return convolutional()


class Places(layers.Layer):
    """Adds a trained vector to each position."""

    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:], initializer="glorot_uniform")

    def call(self, x):
        return x + self.table


def gpt(length, vocabulary):
    tokens = keras.Input((length,), dtype="int32")
    x = Places()(layers.Embedding(vocabulary, WIDTH)(tokens))
    for _ in range(DEPTH):
        seen = layers.LayerNormalization(epsilon=1e-5)(x)
        x = x + layers.MultiHeadAttention(HEADS, WIDTH // HEADS)(seen, seen, use_causal_mask=True)
        wide = layers.Dense(4 * WIDTH, activation="gelu")(layers.LayerNormalization(epsilon=1e-5)(x))
        x = x + layers.Dense(WIDTH)(wide)
    return keras.Model(tokens, layers.Dense(vocabulary)(layers.LayerNormalization(epsilon=1e-5)(x)))


name = options.program
batch, shape = IMAGES[name]
classes = CLASSES.get(name, 10)
random = np.random.default_rng(0)
if name in ("R4", "GPT"):
    x = random.integers(0, VOCABULARY if name == "R4" else classes, (batch, *shape)).astype("int32")
else:
    x = random.random((batch, *shape), dtype="float32")
labels = random.integers(0, classes, (batch, *shape) if name == "GPT" else batch)
one_hot = name in ("R1", "R5")
y = np.eye(classes, dtype="float32")[labels] if one_hot else labels.astype("int32")


def build(**compile_options):
    keras.utils.set_random_seed(0)
    if name == "GPT":
        model = gpt(shape[0], classes)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer=keras.optimizers.AdamW(0.001), loss=loss, **compile_options)
        return model
    model = keras.Sequential([keras.Input(shape, dtype=x.dtype.name), *layers_of(name)])
    model.compile(
        optimizer=keras.optimizers.Adadelta() if name == "R5" else "adam",
        loss="categorical_crossentropy" if one_hot else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        **compile_options,
    )
    return model


if options.variant == "tensorflow":
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)

    def steps_of(model):
        data = (tf.constant(x), tf.constant(y))
        model.make_train_function()
        model.make_predict_function()
        last = {}

        def train():
            last["logs"] = model.train_function(iter([data]))

        def predict():
            last["result"] = model.predict_function([data[:1]]).numpy()

        # On a CPU functions return when they are done; reading a number makes sure.
        def wait():
            for v in keras.tree.flatten(last.get("logs")):
                v.numpy()

        return {"train": train, "predict": predict}, wait

    # A trial of a program whose step takes seconds is one step, of a fast one ten.
    def seconds(steps, wait, what):
        def timed(count):
            begin = time.perf_counter()
            for _ in range(count):
                steps[what]()
            wait()
            return time.perf_counter() - begin

        timed(1)
        count = max(1, min(10, int(2 / timed(1))))
        timed(count // 2)
        return timed(count) / count

    plain, xla = steps_of(build(jit_compile=False)), None
    try:
        xla = steps_of(build(jit_compile=True))
        faster = {w: (xla if seconds(*xla, w) < seconds(*plain, w) else plain) for w in ("train", "predict")}
    except Exception:  # some layers have no XLA kernels
        faster = {w: plain for w in ("train", "predict")}
    steps = {w: faster[w][0][w] for w in faster}
    wait = lambda: [faster[w][1]() for w in faster]  # noqa: E731
    for w in steps:
        steps[w]()
    used = " ".join(f"{w} {'with' if faster[w] is xla else 'without'} XLA" for w in faster)
    version = f"Keras {keras.__version__} on TensorFlow {tf.__version__} ({used})"
else:
    import jax

    model = build()
    data = (jax.device_put(x), jax.device_put(y), None)
    model._symbolic_build(data_batch=data)
    model.make_train_function()
    model.make_predict_function()
    state = {
        "train": model._get_jax_state(
            trainable_variables=True, non_trainable_variables=True, optimizer_variables=True, metrics_variables=True
        )
    }
    # A step takes over the memory of the state it is given: prediction has a copy.
    state["predict"] = tuple([jax.numpy.array(v) for v in part] for part in state["train"][:2])
    last = {}

    def train():
        last["logs"], state["train"] = model.train_function(state["train"], iter([data]))

    def predict():
        result, state["predict"] = model.predict_function(state["predict"], iter([data[:1]]))
        last["result"] = np.asarray(result)

    steps = {"train": train, "predict": predict}
    wait = lambda: jax.block_until_ready((last, state))  # noqa: E731
    version = f"Keras {keras.__version__} on JAX {jax.__version__}"

answer(steps, version, wait)
