/** Assembling: pad (with a constant edge and gaps between elements) and concat. The output is filled, then parts are copied in. */
import { apply1, type OpRecord, type Value } from "../node.ts";
import { type RefArray, type Reference, refArray } from "../reference/array.ts";
import { normalizeAxis, rowMajor, sizeOf, type TensorType } from "../types.ts";
import { formatType, requireIntegers, requireSameDType, shapeError } from "./common.ts";
import { floats, integers, type Samples } from "./sample.ts";
import { slice } from "./view.ts";

export interface PadAttrs {
  readonly low: readonly number[];
  readonly high: readonly number[];
  /** Distance of neighbours in the result: 1 leaves no gap. */
  readonly step: readonly number[];
  readonly value: number;
}

export const padOp: OpRecord<PadAttrs> = {
  name: "pad",
  infer: ([x], { low, high, step }) => {
    const rank = x.shape.length;
    requireIntegers("pad", "low", low, rank, 0);
    requireIntegers("pad", "high", high, rank, 0);
    requireIntegers("pad", "step", step, rank, 1);
    return [{ shape: x.shape.map((d, i) => low[i] + high[i] + (d === 0 ? 0 : (d - 1) * step[i] + 1)), dtype: x.dtype }];
  },
  gradient: ({ inputs, grads, attrs: { low, step } }) => {
    const { shape } = inputs[0];
    if (sizeOf(shape) === 0) return [null];
    const limit = shape.map((d, i) => low[i] + (d - 1) * step[i] + 1);
    return [slice(grads[0]!, low, limit, step)];
  },
  kernel: {
    kind: "assemble",
    parts: (_, { low, step }) => [
      step.every((s) => s === 1) ? { input: 0, start: low } : { input: 0, start: low, step },
    ],
    fill: ({ value }) => value,
  },
};

/** `x` with `low` and `high` elements of `value` before and after each axis. Negative numbers cut elements off. */
export function pad(x: Value, low: readonly number[], high: readonly number[], value = 0): Value {
  return padInterior(
    x,
    low,
    high,
    x.shape.map(() => 1),
    value,
  );
}

/** `x` with `steps[i] - 1` zeros between neighbours along axis i. */
export function dilate(x: Value, steps: readonly number[]): Value {
  const none = x.shape.map(() => 0);
  return padInterior(x, none, none, steps, 0);
}

/** `pad` and `dilate` in one. Negative `low` and `high` cut elements off the dilated tensor. */
export function padInterior(
  x: Value,
  low: readonly number[],
  high: readonly number[],
  step: readonly number[],
  value: number,
): Value {
  const rank = x.shape.length;
  requireIntegers("pad", "low", low, rank, Number.NEGATIVE_INFINITY);
  requireIntegers("pad", "high", high, rank, Number.NEGATIVE_INFINITY);
  requireIntegers("pad", "step", step, rank, 1);
  const steps = step.map((s, i) => (x.shape[i] > 1 ? s : 1));
  const positive = (list: readonly number[]) => list.map((v) => Math.max(0, v));
  let y = x;
  if (low.some((v) => v > 0) || high.some((v) => v > 0) || steps.some((s) => s > 1)) {
    y = apply1(padOp, [x], { low: positive(low), high: positive(high), step: steps, value });
  }
  if (low.some((v) => v < 0) || high.some((v) => v < 0)) {
    const start = low.map((v) => Math.max(0, -v));
    const limit = y.shape.map((d, i) => d - Math.max(0, -high[i]));
    if (limit.some((l, i) => l < start[i])) {
      throw shapeError(
        "pad",
        "more is cut off than there is",
        `low [${low.join(", ")}], high [${high.join(", ")}] of ${formatType(x.type)}`,
        "sizes of at least 0",
      );
    }
    y = slice(y, start, limit);
  }
  return y;
}

export const concatOp: OpRecord<{ readonly axis: number }> = {
  name: "concat",
  infer: (inputs, { axis }) => {
    requireSameDType("concat", inputs);
    const [first] = inputs;
    let size = 0;
    for (const t of inputs) {
      if (t.shape.length !== first.shape.length || t.shape.some((d, i) => i !== axis && d !== first.shape[i])) {
        throw shapeError(
          "concat",
          `shapes differ beside axis ${axis}`,
          inputs.map(formatType).join(", "),
          `equal sizes on every axis but ${axis}`,
        );
      }
      size += t.shape[axis];
    }
    return [{ shape: first.shape.map((d, i) => (i === axis ? size : d)), dtype: first.dtype }];
  },
  gradient: ({ inputs, grads, attrs: { axis }, wants }) => {
    const starts = offsets(inputs, axis);
    return inputs.map((v, i) => {
      if (!wants[i]) return null;
      const start = v.shape.map((_, j) => (j === axis ? starts[i] : 0));
      const limit = v.shape.map((d, j) => (j === axis ? starts[i] + d : d));
      return slice(grads[0]!, start, limit);
    });
  },
  kernel: {
    kind: "assemble",
    parts: (inputs, { axis }) => {
      const starts = offsets(inputs, axis);
      return inputs.map((t, i) => ({ input: i, start: t.shape.map((_, j) => (j === axis ? starts[i] : 0)) }));
    },
  },
};

function offsets(inputs: readonly { readonly shape: readonly number[] }[], axis: number): number[] {
  let at = 0;
  return inputs.map((t) => {
    const start = at;
    at += t.shape[axis];
    return start;
  });
}

/** The tensors one after another along `axis`; their other sizes and dtypes are equal. */
export function concat(values: readonly Value[], axis: number): Value {
  if (values.length === 0) throw shapeError("concat", "nothing to concatenate", "no tensors", "at least one tensor");
  const a = normalizeAxis(axis, values[0].shape.length, "concat");
  // Also checks the values that are dropped below.
  const [type] = concatOp.infer(
    values.map((v) => v.type),
    { axis: a },
  );
  const full = values.filter((v) => v.shape[a] > 0);
  if (full.length <= 1) return full[0] ?? values[0];
  return sizeOf(type.shape) === 0 ? apply1(concatOp, values, { axis: a }) : apply1(concatOp, full, { axis: a });
}

// ---- beside the records

function place(out: RefArray, x: RefArray, start: readonly number[], step: readonly number[]): void {
  const strides = rowMajor(out.shape);
  refArray(x.shape, (i, c) => {
    out.data[c.reduce((sum, v, j) => sum + (start[j] + v * step[j]) * strides[j], 0)] = x.data[i];
    return 0;
  });
}

// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: Record<string, Reference<any>> = {
  pad: ([x], { low, step, value }: PadAttrs, [type]: readonly TensorType[]) => {
    const out = refArray(type.shape, () => value);
    place(out, x, low, step);
    return [out];
  },
  concat: (inputs, { axis }: { axis: number }, [type]) => {
    const out = refArray(type.shape);
    const starts = offsets(inputs, axis);
    inputs.forEach((x, i) => {
      place(
        out,
        x,
        x.shape.map((_, j) => (j === axis ? starts[i] : 0)),
        x.shape.map(() => 1),
      );
    });
    return [out];
  },
};

export const docs: Record<string, string> = {
  pad: "x [d…] → [low + (d-1)·step + 1 + high …]: x[i] at low + i·step, `value` elsewhere.",
  concat: "values [… dᵢ …] → [… Σ dᵢ …]: one after another along `axis`.",
};

export const samples: Samples = {
  pad: () => [
    { name: "edges", inputs: [floats([3, 4])], build: (x) => pad(x, [1, 0], [0, 2]), gradient: true },
    { name: "value", inputs: [floats([3])], build: (x) => pad(x, [2], [1], 7.5), gradient: true },
    { name: "infinite value", inputs: [floats([3])], build: (x) => pad(x, [1], [1], Number.NEGATIVE_INFINITY) },
    { name: "dilates", inputs: [floats([3, 4])], build: (x) => dilate(x, [2, 3]), gradient: true },
    {
      name: "dilates and pads",
      inputs: [floats([2, 3, 2])],
      build: (x) => padInterior(x, [1, 0, 0], [0, 2, 0], [2, 2, 1], 1),
      gradient: true,
    },
    { name: "cuts", inputs: [floats([4, 5])], build: (x) => pad(x, [-1, 1], [0, -2]), gradient: true },
    { name: "an empty tensor", inputs: [floats([0, 3])], build: (x) => pad(x, [1, 0], [2, 1], 3), gradient: true },
    { name: "i32", inputs: [integers([2, 3], -9, 9)], build: (x) => pad(x, [0, 1], [1, 0], -1) },
  ],
  concat: () => [
    {
      name: "rows",
      inputs: [floats([2, 3], -2, 2, 1), floats([1, 3], -2, 2, 2)],
      build: (a, b) => concat([a, b], 0),
      gradient: true,
    },
    {
      name: "columns",
      inputs: [floats([2, 3], -2, 2, 1), floats([2, 5], -2, 2, 2), floats([2, 1], -2, 2, 3)],
      build: (a, b, c) => concat([a, b, c], -1),
      gradient: true,
    },
    { name: "the same twice", inputs: [floats([2, 3])], build: (a) => concat([a, a], 1), gradient: true },
    {
      name: "with an empty part",
      inputs: [floats([2, 0]), floats([2, 2]), floats([2, 1])],
      build: (a, b, c) => concat([a, b, c], 1),
      gradient: true,
    },
    { name: "size 0", inputs: [floats([0, 2]), floats([0, 1])], build: (a, b) => concat([a, b], 1) },
    {
      name: "u8",
      inputs: [integers([3], 0, 256, 1, "u8"), integers([2], 0, 256, 2, "u8")],
      build: (a, b) => concat([a, b], 0),
    },
  ],
};
