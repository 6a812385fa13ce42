/**
 * `npm run bench -- unit`: GFLOP/s of a product of 1536³, second by second, with the CPU's matrix unit and without, on one thread and on
 * all. A host that is short of power slows the unit down after a while, and multiply-adds much less.
 */
import { configure, jit, ops, type Tensor, tensor } from "layerwise";

const side = 1536;

export async function unit(seconds: number, threads: number): Promise<void> {
  const factor = (step: number) =>
    tensor(
      Float32Array.from({ length: side * side }, (_, i) => Math.sin(i * step)),
      [side, side],
    );
  for (const count of new Set([1, threads]))
    for (const matrixUnit of [false, true]) {
      configure({ device: "native", threads: count, matrixUnit });
      const [a, b] = [factor(0.37), factor(0.73)];
      const product = jit((x: Tensor, y: Tensor) => ops.sum(ops.matmul(x, y)));
      const run = async () => void (await product(a, b).data());
      for (let i = 0; i < 5; i++) await run();
      const rates: number[] = [];
      for (let s = 0; s < seconds; s++) {
        const begin = performance.now();
        let runs = 0;
        while (performance.now() - begin < 1000) {
          await run();
          runs++;
        }
        rates.push((runs * 2 * side ** 3) / (performance.now() - begin) / 1e6);
      }
      const name = `${count} thread${count > 1 ? "s" : ""}, ${matrixUnit ? "matrix unit" : "multiply-adds"}`;
      console.log(name.padEnd(26), rates.map((r) => r.toFixed(0)).join(" "));
    }
}
