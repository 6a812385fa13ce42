/**
 * Trains a reference program for 20 steps on several devices and prints, for each, the loss and the sha256 of all weights:
 * `R1|R2|R3|R5|R6 strict|fma batchSize device…`. Run by tests/native.test.ts.
 */
import { createHash } from "node:crypto";
import { activeDevice, configure, tensor } from "layerwise";
import { programs } from "../../examples/reference/index.ts";

const [name, mode, batch, ...devices] = process.argv.slice(2);
const program = programs[name as "R1"];
const batchSize = Number(batch);
const rows = 20 * batchSize;

for (const spec of devices) {
  const [device, threads = "1"] = spec.split("/");
  configure({ device, threads: Number(threads), seed: 3, strict: mode === "strict" });
  const data = program.prepare({
    x: tensor(
      Uint8Array.from({ length: rows * 784 }, (_, i) => (Math.imul(i, 2654435761) >>> 13) % 256),
      [rows, 28, 28],
    ),
    y: tensor(
      Uint8Array.from({ length: rows }, (_, i) => (i * 7) % 10),
      [rows],
    ),
  });
  const model = program.createModel();
  const { history } = await model.fit(data.x, data.y, { batchSize, epochs: 1, verbose: 0 });
  const hash = createHash("sha256");
  for (const w of model.getWeights()) hash.update(Buffer.from(w.dataSync().slice().buffer));
  console.log(activeDevice(), history["loss"][0], hash.digest("hex").slice(0, 16));
}
