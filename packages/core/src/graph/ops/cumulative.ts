/** Running sums and products along an axis. */
import { affine, type Index, KernelBuilder, scaled } from "../../compiler/builder.ts";
import type { Operand } from "../../compiler/loopir.ts";
import type { Lowered } from "../../compiler/lowered.ts";
import { apply1, type OpRecord, type Value } from "../node.ts";
import { type Reference, refArray } from "../reference/array.ts";
import { type DType, isFloat, normalizeAxis, type Shape, sizeOf } from "../types.ts";
import { div, mul } from "./binary.ts";
import { requireDType } from "./common.ts";
import { floats, integers, type Samples } from "./sample.ts";
import { abs } from "./unary.ts";

interface CumulativeAttrs {
  readonly axis: number;
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

const split = (shape: Shape, axis: number) => ({
  outer: sizeOf(shape.slice(0, axis)),
  n: shape[axis],
  inner: sizeOf(shape.slice(axis + 1)),
});

/** One accumulator per column, n sequential steps; columns are vectors and tasks. */
function lower(
  kind: "add" | "mul",
  shape: Shape,
  dtype: DType,
  { axis, exclusive, reverse }: CumulativeAttrs,
): Lowered {
  const { outer, n, inner } = split(shape, axis);
  const size = outer * n * inner;
  const b = new KernelBuilder(kind === "add" ? "cumsum" : "cumprod");
  const x = b.buffer("x", dtype, size, "read");
  const y = b.buffer("y", dtype, size, "write");
  if (size > 0) {
    const o: Index = outer > 1 ? b.task("outer", outer) : 0;
    const lanes = inner === 1 ? 1 : inner > 8 ? 16 : inner > 4 ? 8 : 4;
    const vectors = Math.ceil(inner / lanes);
    const c: Index = vectors > 1 ? b.task("columns", vectors) : 0;
    const type = isFloat(dtype) ? "f32" : dtype === "u32" ? "u32" : "i32";
    const walk = (count: number): void => {
      const acc = b.var(b.const(type, kind === "add" ? 0 : 1, lanes));
      b.loop("i", n, (i) => {
        const step = reverse ? affine(n - 1, scaled(i, -1)) : i;
        const at = affine(scaled(o, n * inner), scaled(step, inner), scaled(c, lanes));
        const next: Operand = b.binary(kind, acc, b.load(x, at, lanes));
        b.store(y, at, exclusive ? acc : next, count < lanes ? { count } : {});
        b.assign(acc, next);
      });
    };
    const rest = inner % lanes;
    if (rest === 0 || typeof c === "number") walk(rest === 0 ? lanes : rest);
    else
      b.if(
        b.compare("eq", b.index(c), b.i32(vectors - 1)),
        () => walk(rest),
        () => walk(lanes),
      );
  }
  return {
    steps: [
      {
        kernel: b.finish({ flops: size, bytes: 8 * size }),
        roles: [
          { role: "input", index: 0 },
          { role: "output", index: 0 },
        ],
      },
    ],
    temps: [],
  };
}

// @__NO_SIDE_EFFECTS__
function record(
  name: string,
  kind: "add" | "mul",
  gradient: OpRecord<CumulativeAttrs>["gradient"],
): OpRecord<CumulativeAttrs> {
  return {
    name,
    infer: ([x]) => {
      requireDType(name, "number", x);
      return [x];
    },
    gradient,
    kernel: { kind: "lower", lower: ({ attrs, inputs: [x] }) => lower(kind, x.type.shape, x.type.dtype, attrs) },
  };
}
export const cumSumOp = record("cumSum", "add", ({ grads: [dy], attrs }) => [
  apply1(cumSumOp, [dy!], { ...attrs, reverse: !attrs.reverse }),
]);
/** dx_k = Σ_{i ≥ k} dy_i·y_i / x_k, for x without zeros. */
export const cumProdOp = record("cumProd", "mul", ({ inputs: [x], outputs: [y], grads: [dy], attrs }) => [
  div(apply1(cumSumOp, [mul(dy!, y)], { ...attrs, reverse: !attrs.reverse }), x),
]);

type Options = { readonly exclusive?: boolean; readonly reverse?: boolean };
const attrsOf = (x: Value, axis: number, o: Options): CumulativeAttrs => ({
  axis: normalizeAxis(axis, x.shape.length, "cumulative"),
  exclusive: o.exclusive ?? false,
  reverse: o.reverse ?? false,
});
/** Sums of the elements up to each one along an axis (`exclusive`: before it; `reverse`: from the end). */
export function cumSum(x: Value, axis: number, options: Options = {}): Value {
  return apply1(cumSumOp, [x], attrsOf(x, axis, options));
}
export function cumProd(x: Value, axis: number, options: Options = {}): Value {
  return apply1(cumProdOp, [x], attrsOf(x, axis, options));
}

// @__NO_SIDE_EFFECTS__
function reference(kind: "add" | "mul"): Reference<CumulativeAttrs> {
  return ([x], { axis, exclusive, reverse }, [type]) => {
    const { outer, n, inner } = split(x.shape, axis);
    const y = refArray(x.shape);
    const wrap = (v: number) => (type.dtype === "i32" ? v | 0 : v);
    for (let o = 0; o < outer; o++) {
      for (let k = 0; k < inner; k++) {
        let acc = kind === "add" ? 0 : 1;
        for (let i = 0; i < n; i++) {
          const at = (o * n + (reverse ? n - 1 - i : i)) * inner + k;
          const next = wrap(kind === "add" ? acc + x.data[at] : acc * x.data[at]);
          y.data[at] = exclusive ? acc : next;
          acc = next;
        }
      }
    }
    return [y];
  };
}
// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: Record<string, Reference<any>> = { cumSum: reference("add"), cumProd: reference("mul") };

export const docs: Record<string, string> = {
  cumSum: "x → x's shape: running sum along an axis.",
  cumProd: "x → x's shape: running product along an axis.",
};

export const samples: Samples = {
  cumSum: () => [
    {
      name: "last axis",
      inputs: [floats([3, 9])],
      build: (x) => cumSum(x, 1),
      gradient: true,
      second: true,
      sum: { terms: 9, magnitude: (x) => cumSum(abs(x), 1) },
    },
    {
      name: "first axis, 20 columns",
      inputs: [floats([4, 20])],
      build: (x) => cumSum(x, 0),
      gradient: true,
      sum: { terms: 4, magnitude: (x) => cumSum(abs(x), 0) },
    },
    {
      name: "reverse, exclusive",
      inputs: [floats([2, 5, 3])],
      build: (x) => cumSum(x, 1, { reverse: true, exclusive: true }),
      gradient: true,
      sum: { terms: 5, magnitude: (x) => cumSum(abs(x), 1, { reverse: true, exclusive: true }) },
    },
    { name: "integers", inputs: [integers([6], -5, 5)], build: (x) => cumSum(x, 0) },
    { name: "size 0", inputs: [floats([0, 3])], build: (x) => cumSum(x, 0) },
  ],
  cumProd: () => [
    { name: "last axis", inputs: [floats([3, 6], 0.5, 1.5)], build: (x) => cumProd(x, 1), gradient: true },
    {
      name: "exclusive",
      inputs: [floats([6, 3], 0.5, 1.5)],
      build: (x) => cumProd(x, 0, { exclusive: true }),
      gradient: true,
    },
  ],
};
