import { describe, expect, it } from "vitest";
import { functional } from "../models/functional.ts";
import { sequential } from "../models/sequential.ts";
import { installOracles } from "../oracles.ts";
import { configure } from "../tensor/config.ts";
import { type Tensor, tensor, tensorFrom } from "../tensor/tensor.ts";
import * as l from "./index.ts";
import { maskOf, setMask } from "./mask.ts";

installOracles();
configure({ device: "reference", seed: 1 });

const bools = (shape: number[], values: number[]): Tensor => tensorFrom(Uint8Array.from(values), shape, "bool");
const ids = (rows: number[][]): Tensor => tensor(rows, undefined, "i32");

describe("masks are part of the value", () => {
  it("a layer that cannot carry one says so when the model is built", () => {
    const words = () => l.embedding(5, 3, { maskZero: true, inputShape: [4] });
    expect(() => sequential([words(), l.conv1d(2, 2)]).build([null, 4])).toThrow(
      /E106: conv1D "conv1d" cannot use a masked input/,
    );
    const x = l.input([4], { dtype: "int32" });
    expect(() => l.conv1d(2, 2, { name: "window" }).apply(words().apply(x))).toThrow(/E106: conv1D "window"/);
    // An equation that moves the steps away cannot carry the mask of steps; one that keeps them can.
    expect(() => l.einsumDense("abc,cd->acd", [3, 2]).apply(words().apply(x))).toThrow(/E106/);
    expect(l.einsumDense("abc,cd->abd", [null, 2]).apply(words().apply(x)).maskShape).toEqual([null, 4]);
  });
  it("passes through layers of one value per step and is used up where steps are joined", () => {
    const x = l.input([4], { dtype: "int32" });
    const words = l.embedding(5, 3, { maskZero: true }).apply(x);
    const seen = l.layerNormalization().apply(l.dense(3).apply(words));
    const looked = l.multiHeadAttention(1, 2).apply([seen, seen]);
    expect([words.maskShape, seen.maskShape, looked.maskShape]).toEqual([
      [null, 4],
      [null, 4],
      [null, 4],
    ]);
    const pooled = l.globalAveragePooling1d().apply(looked);
    expect(pooled.maskShape).toBeNull();
    // Padding changes nothing: neither the padded positions' values nor what the others see.
    const model = functional({ inputs: x, outputs: pooled });
    const short = model.apply<Tensor>(ids([[1, 2, 0, 0]])).dataSync();
    const alone = functional({ inputs: x, outputs: l.globalAveragePooling1d().apply(looked) });
    expect(alone.apply<Tensor>(ids([[1, 2, 0, 0]])).dataSync()).toEqual(short);
    const other = model.apply<Tensor>(ids([[1, 2, 3, 0]])).dataSync();
    expect(other).not.toEqual(short);
  });
  it("merging layers count a step that any of their inputs counts, as Keras does, and need masks on all", () => {
    const a = setMask(tensor([[[1], [2], [3], [4]]]), bools([1, 4], [1, 1, 0, 0]));
    const b = setMask(tensor([[[1], [2], [3], [4]]]), bools([1, 4], [0, 1, 1, 0]));
    expect(maskOf(l.add().apply<Tensor>([a, b]))?.dataSync()).toEqual(Uint8Array.of(1, 1, 1, 0));
    expect(maskOf(l.multiply().apply<Tensor>([a, tensor([[[1], [1], [1], [1]]])]))).toBeNull();
  });
});

describe("rows in which everything is masked", () => {
  const x = tensor([
    [
      [1, 2],
      [3, 4],
    ],
    [
      [5, 6],
      [7, 8],
    ],
  ]);
  const mask = bools([2, 2], [1, 0, 0, 0]);
  it("the mean of no step is NaN, as in Keras", () => {
    const y = l.globalAveragePooling1d().apply<Tensor>(x, { mask });
    expect([...y.dataSync()]).toEqual([1, 2, Number.NaN, Number.NaN]);
  });
  it("softmax gives zeros", () => {
    const y = l.softmax().apply<Tensor>(tensor([[1, 2, 3]]), { mask: bools([1, 3], [0, 0, 0]) });
    expect([...y.dataSync()]).toEqual([0, 0, 0]);
  });
  it("masking marks steps whose features are all the mask's value", () => {
    const y = l.masking().apply<Tensor>(
      tensor([
        [
          [0, 0],
          [0, 1],
        ],
        [
          [0, 0],
          [0, 0],
        ],
      ]),
    );
    expect(maskOf(y)?.dataSync()).toEqual(Uint8Array.of(0, 1, 0, 0));
  });
});
