/** The reference programs in TensorFlow.js with its WebAssembly backend, which lacks the gradients of convolutions. */

import { createRequire } from "node:module";
import { availableParallelism } from "node:os";
import { dirname, join, sep } from "node:path";
import { answer, folder, fromFolder, program } from "./protocol.mjs";

const tf = (await fromFolder("@tensorflow/tfjs")).default;
const wasm = (await fromFolder("@tensorflow/tfjs-backend-wasm")).default;
const require = createRequire(join(folder, "package.json"));
wasm.setWasmPaths(dirname(require.resolve("@tensorflow/tfjs-backend-wasm")) + sep);
wasm.setThreadsCount(availableParallelism());
await tf.setBackend("wasm");
await tf.ready();

const { conv2d, dense, dropout, embedding, flatten, lstm, maxPooling2d, rescaling } = tf.layers;
const convolutional = (inputShape) => [
  conv2d({ filters: 32, kernelSize: 3, activation: "relu", inputShape }),
  maxPooling2d({ poolSize: 2 }),
  conv2d({ filters: 64, kernelSize: 3, activation: "relu" }),
  maxPooling2d({ poolSize: 2 }),
  conv2d({ filters: 64, kernelSize: 3, activation: "relu" }),
  flatten(),
  dense({ units: 64, activation: "relu" }),
  dense({ units: 10, activation: "softmax" }),
];
const programs = {
  R1: [
    32,
    [784],
    () => [dense({ units: 32, activation: "relu", inputShape: [784] }), dense({ units: 10, activation: "softmax" })],
  ],
  R2: [32, [28, 28, 1], () => convolutional([28, 28, 1])],
  R3: [
    32,
    [28, 28],
    () => [
      lstm({ units: 64, returnSequences: true, inputShape: [28, 28] }),
      lstm({ units: 64 }),
      dense({ units: 10, activation: "softmax" }),
    ],
  ],
  R4: [
    32,
    [80],
    () => [
      embedding({ inputDim: 20000, outputDim: 64, inputLength: 80 }),
      lstm({ units: 64 }),
      dense({ units: 2, activation: "softmax" }),
    ],
  ],
  R5: [
    128,
    [28, 28, 1],
    () => [
      conv2d({ filters: 32, kernelSize: 3, activation: "relu", inputShape: [28, 28, 1] }),
      conv2d({ filters: 64, kernelSize: 3, activation: "relu" }),
      maxPooling2d({ poolSize: 2 }),
      dropout({ rate: 0.25 }),
      flatten(),
      dense({ units: 128, activation: "relu" }),
      dropout({ rate: 0.5 }),
      dense({ units: 10, activation: "softmax" }),
    ],
  ],
  R6: [
    128,
    [28, 28, 1],
    () => [
      rescaling({ scale: 1 / 255, inputShape: [28, 28, 1] }),
      conv2d({ filters: 32, kernelSize: 3, activation: "relu" }),
      maxPooling2d({ poolSize: 2 }),
      flatten(),
      dense({ units: 128, activation: "relu" }),
      dense({ units: 10, activation: "softmax" }),
    ],
  ],
  R7: [32, [32, 32, 3], () => convolutional([32, 32, 3])],
};
const [batch, shape, layers] = programs[program];
const model = tf.sequential({ layers: layers() });
model.compile({
  optimizer: program === "R5" ? tf.train.adadelta(0.001) : tf.train.adam(0.001),
  loss: "sparseCategoricalCrossentropy",
});
const x =
  program === "R4" ? tf.randomUniform([batch, ...shape], 0, 20000, "int32") : tf.randomUniform([batch, ...shape]);
const y = tf.cast(tf.randomUniform([batch, 1], 0, program === "R4" ? 2 : 10, "int32"), "float32");

const train = async () => {
  await model.trainOnBatch(x, y);
};
const predict = async () => {
  const out = model.predictOnBatch(x);
  await out.data();
  out.dispose();
};
await answer({ train, predict }, `TensorFlow.js ${tf.version.tfjs}`);
