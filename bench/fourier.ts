/**
 * Processor time of real Fourier transforms, in milliseconds for about a million samples: the least of fifteen runs.
 *
 *   node scripts/run.mjs --packages bench/fourier.ts [--device wasm]
 */
import { parseArgs } from "node:util";
import { configure, jit, ops, type Tensor, tensor } from "layerwise";

const { values } = parseArgs({ options: { device: { type: "string", default: "wasm" } } });
configure({ device: values.device, threads: 1 });
for (const n of [64, 128, 160, 256, 500, 512, 1024, 2000, 2048]) {
  const rows = Math.round(2 ** 20 / n);
  const x = tensor(
    Float32Array.from({ length: rows * n }, (_, i) => Math.sin(i * i)),
    [rows, n],
  );
  const power = jit((t: Tensor) => {
    const [re, im] = ops.rfft(t);
    return ops.sum(re.mul(re).add(im.mul(im)), -1);
  });
  power(x).dataSync();
  const times = Array.from({ length: 15 }, () => {
    const start = process.cpuUsage().user;
    power(x).dataSync();
    return (process.cpuUsage().user - start) / 1000;
  });
  console.log(`${rows} × ${n}: ${Math.min(...times).toFixed(1)} ms`);
}
