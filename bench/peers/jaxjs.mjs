/** R1 in jax-js, jitted. Its convolutions run on one thread without blocking: one step of the other programs takes seconds to minutes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { answer, folder, fromFolder, program } from "./protocol.mjs";

if (program !== "R1") throw new Error(`${program} is not written for jax-js: a step takes seconds to minutes there`);
const { grad, init, jit, nn, numpy: np, random, tree, blockUntilReady } = await fromFolder("@jax-js/jax");
await init("wasm");
const { version } = JSON.parse(readFileSync(join(folder, "node_modules/@jax-js/jax/package.json"), "utf8"));

const key = random.key(0);
const [k1, k2, k3] = random.split(key, 3);
const weights = {
  w1: random.normal(k1, [784, 32]).mul(0.05),
  b1: np.zeros([32]),
  w2: random.normal(k2, [32, 10]).mul(0.2),
  b2: np.zeros([10]),
};
const x = random.uniform(k3, [32, 784]);
const y = nn.oneHot(
  np.array(
    Array.from({ length: 32 }, (_, i) => i % 10),
    { dtype: np.int32 },
  ),
  10,
);

const logits = ({ w1, b1, w2, b2 }, rows) => np.dot(nn.relu(np.dot(rows, w1).add(b1)), w2).add(b2);
const loss = (w, rows, labels) =>
  nn
    .logSoftmax(logits(w, rows))
    .mul(labels)
    .sum()
    .mul(-1 / 32);
const update = jit((w, m, v, rows, labels) => {
  const g = grad(loss)(tree.ref(w), rows, labels);
  const m2 = tree.map((a, b) => a.mul(0.9).add(b.mul(0.1)), m, tree.ref(g));
  const v2 = tree.map((a, b) => a.mul(0.999).add(b.ref.mul(b).mul(0.001)), v, g);
  const w2 = tree.map((p, a, b) => p.sub(a.mul(0.001).div(np.sqrt(b).add(1e-7))), w, tree.ref(m2), tree.ref(v2));
  return [w2, m2, v2];
});
const forward = jit((w, rows) => nn.softmax(logits(w, rows)));

let state = [weights, tree.map((a) => np.zeros(a.shape), weights), tree.map((a) => np.zeros(a.shape), weights)];
const train = async () => {
  state = update(...state, x.ref, y.ref);
  await blockUntilReady(state[0].w1.ref);
};
const predict = async () => {
  await forward(tree.ref(state[0]), x.ref).data();
};
await answer({ train, predict }, `jax-js ${version}`);
