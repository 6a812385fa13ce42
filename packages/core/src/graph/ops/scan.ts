/** scan: a loop over the first axis of its inputs whose body is a region. Its gradient is a scan in the other direction. */
import { apply, type OpRecord, type Value } from "../node.ts";
import type { RefArray, Reference } from "../reference/array.ts";
import { refArray } from "../reference/array.ts";
import { closeRegion, type Region } from "../region.ts";
import { sameShape, type TensorType } from "../types.ts";
import { concat } from "./assemble.ts";
import { add, mul, sub } from "./binary.ts";
import { formatType, full, opError, shapeError } from "./common.ts";
import { matmul2d } from "./contract.ts";
import { conv } from "./conv.ts";
import { floats, type Sample, type Samples } from "./sample.ts";
import { scanGradient } from "./scan-gradient.ts";
import { hoist, prune } from "./scan-hoist.ts";
import { inputValue, scalar } from "./source.ts";
import { sigmoid, tanh } from "./unary.ts";
import { broadcastTo, reshape, slice } from "./view.ts";

/** What scans made from one body share: the compiler merges those that also have equal inputs, so that the loop runs once. */
export class Family {
  toJSON(): null {
    return null;
  }
}

/**
 * The inputs are the initial carries, the stacked xs [T, …], then the captures; the region has the same parameters (an x
 * without T). Its results are the next carries and this step's ys; outputs are the last carries and the ys [T, …].
 */
export interface ScanAttrs {
  readonly region: Region;
  readonly length: number;
  /** Steps run from T-1 to 0; ys keep their places. */
  readonly reverse: boolean;
  readonly carries: number;
  readonly xs: number;
  readonly family: Family;
  /** The gradient computes the body's values again instead of storing them. */
  readonly recompute: boolean;
}

const same = (a: TensorType, b: TensorType) => a.dtype === b.dtype && sameShape(a.shape, b.shape);
const stacked = (t: TensorType, length: number): TensorType => ({ shape: [length, ...t.shape], dtype: t.dtype });

export const scanOp: OpRecord<ScanAttrs> = {
  name: "scan",
  infer: (inputs, { region: { parameters, results }, length, carries, xs }) => {
    parameters.forEach((p, i) => {
      const expected = i >= carries && i < carries + xs ? stacked(p.type, length) : p.type;
      if (!same(inputs[i], expected))
        throw shapeError("scan", `input ${i} does not fit the body`, formatType(inputs[i]), formatType(expected));
    });
    for (let i = 0; i < carries; i++) {
      if (same(results[i].type, parameters[i].type)) continue;
      throw shapeError(
        "scan",
        `the body changes the type of carry ${i}`,
        formatType(results[i].type),
        formatType(parameters[i].type),
        "give init the shape and dtype that the body returns",
      );
    }
    return results.map((r, i) => (i < carries ? r.type : stacked(r.type, length)));
  },
  gradient: scanGradient,
  kernel: { kind: "region" },
  flops: (_, __, { region, length }) => length * region.results.length,
};

/** A scan over a region that is complete; unused parameters are dropped. */
export function scanRegion(inputs: readonly Value[], attrs: ScanAttrs): readonly Value[] {
  const pruned = prune(inputs, attrs);
  return apply(scanOp, pruned.inputs, pruned.attrs);
}

export interface ScanOptions {
  readonly length: number;
  readonly reverse?: boolean;
  readonly recompute?: boolean;
}

/**
 * Runs `body` for t = 0 … length-1 (downwards when `reverse`) over slices of `xs` along their first axis. Returns the last
 * carries and the ys stacked along a new first axis.
 */
export function scan(
  body: (carry: readonly Value[], x: readonly Value[]) => { carry: readonly Value[]; ys: readonly Value[] },
  init: readonly Value[],
  xs: readonly Value[],
  { length, reverse = false, recompute = false }: ScanOptions,
): { carry: readonly Value[]; ys: readonly Value[] } {
  const carry = init.map((v, i) => inputValue(`carry${i}`, v.type));
  const x = xs.map((v, i) => inputValue(`x${i}`, { shape: v.shape.slice(1), dtype: v.dtype }));
  const made = body(carry, x);
  if (made.carry.length !== init.length) {
    throw opError(
      "E103",
      "scan: the body returns another number of carries",
      String(made.carry.length),
      String(init.length),
    );
  }
  const { region, captures } = closeRegion([...carry, ...x], [...made.carry, ...made.ys]);
  const attrs: ScanAttrs = {
    region,
    length,
    reverse,
    carries: init.length,
    xs: xs.length,
    family: new Family(),
    recompute,
  };
  const hoisted = hoist([...init, ...xs, ...captures], attrs);
  const outputs = scanRegion(hoisted.inputs, hoisted.attrs);
  return { carry: outputs.slice(0, init.length), ys: outputs.slice(init.length) };
}

// ---- beside the record

function sliceOf(x: RefArray, t: number): RefArray {
  const shape = x.shape.slice(1);
  const size = shape.reduce((a, b) => a * b, 1);
  return { shape, data: x.data.subarray(t * size, (t + 1) * size) };
}

// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: Record<string, Reference<any>> = {
  scan: (inputs, { region, length, reverse, carries, xs }: ScanAttrs, outputs, _, evaluate) => {
    const { parameters, results } = region;
    let carry = inputs.slice(0, carries);
    const ys = outputs.slice(carries).map((t) => refArray(t.shape));
    for (let i = 0; i < length; i++) {
      const t = reverse ? length - 1 - i : i;
      const feed = new Map(
        parameters.map((p, k) => [p, k < carries ? carry[k] : k < carries + xs ? sliceOf(inputs[k], t) : inputs[k]]),
      );
      const made = evaluate(results, feed);
      carry = made.slice(0, carries);
      made.slice(carries).forEach((y, k) => {
        ys[k].data.set(y.data, t * y.data.length);
      });
    }
    return [...carry, ...ys];
  },
};

export const docs: Record<string, string> = {
  scan: "carries, xs [T, …], captures → last carries, ys [T, …]: (carry, y[t]) = body(carry, x[t]) for every t in order.",
};

const decay: Sample["build"] = (h, x) => {
  const { carry, ys } = scan(
    ([c], [xt]) => {
      const next = tanh(add(mul(c, scalar(0.5)), xt));
      return { carry: [next], ys: [mul(next, c)] };
    },
    [h],
    [x],
    { length: x.shape[0] },
  );
  return [carry[0], ys[0]];
};

const recurrent =
  (reverse: boolean, recompute = false): Sample["build"] =>
  (h0, c0, x, wx, wh, bias) => {
    const units = h0.shape[1];
    const { carry, ys } = scan(
      ([h, c], [xt]) => {
        const rows = h.shape[0];
        const z = add(add(matmul2d(xt, wx), broadcastTo(bias, [rows, 4 * units])), matmul2d(h, wh));
        const gate = (i: number) => slice(z, [0, i * units], [rows, (i + 1) * units]);
        const next = add(mul(sigmoid(gate(1)), c), mul(sigmoid(gate(0)), tanh(gate(2))));
        const out = mul(sigmoid(gate(3)), tanh(next));
        return { carry: [out, next], ys: [out] };
      },
      [h0, c0],
      [x],
      { length: x.shape[0], reverse, recompute },
    );
    return [carry[0], carry[1], ys[0]];
  };

/** Errors of several steps add up to what they are beside numbers of size 1, not beside results that nearly cancel. */
const absolute = { sum: { terms: 9, magnitude: () => full([4096], 1, "f32") } };

const lstmInputs = (t: number, n: number, f: number, u: number) => [
  floats([n, u], -1, 1, 1),
  floats([n, u], -1, 1, 2),
  floats([t, n, f], -1, 1, 3),
  floats([f, 4 * u], -0.5, 0.5, 4),
  floats([u, 4 * u], -0.5, 0.5, 5),
  floats([4 * u], -0.5, 0.5, 6),
];

export const samples: Samples = {
  scan: () => [
    {
      name: "elementwise",
      inputs: [floats([3]), floats([5, 3], -2, 2, 2)],
      build: decay,
      gradient: true,
      second: true,
      ...absolute,
    },
    { name: "one step", inputs: [floats([2, 3]), floats([1, 2, 3], -2, 2, 2)], build: decay, gradient: true },
    { name: "rank 0 carry", inputs: [floats([]), floats([4], -2, 2, 2)], build: decay, gradient: true },
    {
      name: "long short-term memory",
      inputs: lstmInputs(4, 3, 2, 5),
      build: recurrent(false),
      gradient: true,
      ...absolute,
    },
    {
      name: "in reverse",
      inputs: lstmInputs(3, 2, 3, 2),
      build: recurrent(true),
      gradient: true,
      second: true,
      ...absolute,
    },
    { name: "many rows", inputs: lstmInputs(5, 35, 7, 6), build: recurrent(false), gradient: true, ...absolute },
    {
      name: "recomputed in the gradient",
      inputs: lstmInputs(4, 3, 2, 3),
      build: recurrent(false, true),
      gradient: true,
      ...absolute,
    },
    {
      name: "rows that depend on one another",
      inputs: [floats([3, 4]), floats([5, 3, 4], -1, 1, 2), floats([3, 3], -0.6, 0.6, 3)],
      build: (h0, x, w) => {
        const { carry, ys } = scan(
          ([h], [xt]) => {
            const next = tanh(add(matmul2d(w, h), xt));
            return { carry: [next], ys: [h] };
          },
          [h0],
          [x],
          { length: x.shape[0] },
        );
        return [carry[0], ys[0]];
      },
      gradient: true,
      ...absolute,
    },
    {
      name: "convolutions",
      inputs: [
        floats([2, 4, 4, 2]),
        floats([3, 2, 4, 4, 1], -1, 1, 2),
        floats([3, 3, 1, 2], -0.5, 0.5, 3),
        floats([3, 3, 2, 2], -0.5, 0.5, 4),
      ],
      build: (h0, x, kernel, recurrent) => {
        const ones = [1, 1];
        const options = { strides: ones, dilation: ones, padLow: ones, padHigh: ones, groups: 1 };
        const { carry, ys } = scan(
          ([h], [xt]) => {
            const next = tanh(add(conv(xt, kernel, options), conv(h, recurrent, options)));
            return { carry: [next], ys: [mul(next, h)] };
          },
          [h0],
          [x],
          { length: x.shape[0] },
        );
        return [carry[0], ys[0]];
      },
      gradient: true,
      ...absolute,
    },
    {
      name: "nested",
      inputs: [floats([2, 3]), floats([3, 4, 2, 3], -1, 1, 2), floats([3], 0.5, 1, 3)],
      build: (h0, x, w) => {
        const outer = scan(
          ([h], [xs]) => {
            const inner = scan(
              ([c], [xt]) => {
                const next = tanh(add(mul(c, broadcastTo(w, c.shape)), xt));
                return { carry: [next], ys: [sub(next, h)] };
              },
              [h],
              [xs],
              { length: xs.shape[0] },
            );
            return { carry: [inner.carry[0]], ys: [inner.ys[0]] };
          },
          [h0],
          [x],
          { length: x.shape[0] },
        );
        return [outer.carry[0], outer.ys[0]];
      },
      gradient: true,
      ...absolute,
    },
    {
      name: "carry passed through, ys of inputs, swapped carries",
      inputs: [floats([2, 3]), floats([2, 3], -1, 1, 5), floats([4, 2, 3], -1, 1, 2)],
      build: (a0, b0, x) => {
        const { carry, ys } = scan(
          ([a, b, k], [xt]) => ({
            carry: [b, add(a, xt), k],
            ys: [xt, a, concat([reshape(b, [6]), reshape(xt, [6])], 0)],
          }),
          [a0, b0, mul(a0, b0)],
          [x],
          { length: x.shape[0] },
        );
        return [...carry, ...ys];
      },
      gradient: true,
    },
  ],
};
