/** Large tables: gradients of few rows are never written as a whole, and updates are those of a dense product. */
import { expect, test } from "vitest";
import { gradients } from "../autodiff/gradients.ts";
import { compileGraph } from "../compiler/compile.ts";
import * as g from "../graph/ops/index.ts";
import { adam } from "../optimizers/index.ts";
import { createWasmDevice } from "../targets/wasm/device.ts";
import { configure } from "../tensor/config.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor, tensor } from "../tensor/tensor.ts";
import { Trace, withTrace } from "../tensor/trace.ts";
import { Variable } from "../tensor/variable.ts";
import { embedding } from "./index.ts";

const [rows, size] = [16384, 16];

test("the gradient of a large table is read by the update where its rows lie", () => {
  const layer = embedding(rows, size);
  const ids = g.inputValue("ids", { shape: [8, 5], dtype: "i32" });
  const bias = new Variable(new Float32Array(size), [size], "f32", { name: "bias" });
  const trace = new Trace({ training: true });
  const optimizer = adam({});
  const { loss } = withTrace(trace, () => {
    const y = (layer.apply(new Tensor(ids)) as Tensor).add(bias.read());
    const weights = [layer.embeddings, bias];
    optimizer.build(weights);
    const loss = y.mul(y).sum().value;
    const found = gradients(
      [loss],
      [g.scalar(1)],
      weights.map((w) => w.value()),
    );
    optimizer.apply(
      found.map((d) => new Tensor(d!)),
      weights,
    );
    return { loss };
  });
  expect(layer.embeddings.parent).toBeNull();
  const source = { name: "step", inputs: [ids], outputs: [loss], writes: trace.writes() };
  const { program } = compileGraph(source, createWasmDevice({ threads: 1 }).profile);
  const large = program.kernels
    .filter((k) => k.buffers.some((b) => b.access !== "read" && b.size === rows * size))
    .map((k) => k.name);
  expect(large.length).toBe(2);
  expect(large).toContain("scatter_rows");
  expect(large.find((name) => name.startsWith("guard"))).toBeDefined();
});

test("Adam moves all rows as it does after a product with one-hot rows", () => {
  configure({ device: "wasm", threads: 2 });
  try {
    const values = Float32Array.from({ length: rows * size }, (_, i) => Math.sin(i));
    const batches = [
      [3, 9, 3, 16383],
      [0, 9, 77, 5000],
      [3, 3, 3, 3],
    ];
    const trained = (look: (table: Tensor, ids: Tensor) => Tensor): Variable => {
      const table = new Variable(values.slice(), [rows, size], "f32", { name: "table" });
      table.table = true;
      const optimizer = adam({ learningRate: 0.01 });
      optimizer.build([table]);
      const weights = tensor(
        Float32Array.from({ length: 4 * size }, (_, i) => Math.cos(i)),
        [4, size],
      );
      for (const batch of batches) {
        const ids = tensor(batch, [4], "i32");
        const read = table.read();
        const y = look(read, ids).mul(weights).sum();
        const [gradient] = gradients([y.value], [g.scalar(1)], [read.value]);
        optimizer.apply([new Tensor(gradient!)], [table]);
      }
      return table;
    };
    const sparse = trained((table, ids) => new Tensor(g.gather(table.value, ids.value, 0)));
    const dense = trained((table, ids) => ops.matmul(ops.oneHot(ids, rows), table));
    const [a, b] = [sparse.snapshot(), dense.snapshot()];
    let worst = 0;
    for (let i = 0; i < a.length; i++) worst = Math.max(worst, Math.abs(Number(a[i]) - Number(b[i])));
    expect(worst).toBeLessThan(1e-6);
    expect(Math.abs(Number(a[9 * size]) - values[9 * size])).toBeGreaterThan(0.01);
    expect(a[8 * size]).toBe(values[8 * size]);
  } finally {
    configure({ device: "auto", threads: null });
  }
});
