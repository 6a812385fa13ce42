/** Random bits from counters (Threefry-2x32-20), and what is made of them: uniform, normal, Bernoulli numbers, new keys. */
import { affine, type Index, KernelBuilder, scaled } from "../../compiler/builder.ts";
import type { Operand } from "../../compiler/loopir.ts";
import type { Lowered } from "../../compiler/lowered.ts";
import { apply1, type OpRecord, type Value } from "../node.ts";
import { hostRandomBits, parity, rotations, threefry2x32 } from "../random/threefry.ts";
import { type Reference, refArray } from "../reference/array.ts";
import { type Shape, sizeOf, type TensorType } from "../types.ts";
import { less, mul, shiftRight, sub } from "./binary.ts";
import { cast } from "./cast.ts";
import { shapeError } from "./common.ts";
import { literal, type Samples } from "./sample.ts";
import { scalar } from "./source.ts";
import { cos, log, sqrt } from "./unary.ts";
import { reshape, slice } from "./view.ts";

interface BitsAttrs {
  readonly shape: Shape;
  readonly bits: 32 | 16;
}

const isKey = (t: TensorType) => t.dtype === "u32" && t.shape.length === 1 && t.shape[0] === 2;

/** Both words for a vector of counters; the key is two scalars spread over the lanes. */
function rounds(b: KernelBuilder, k0: Operand, k1: Operand, counter: Operand, second: Operand): [Operand, Operand] {
  const { lanes } = counter;
  const u = (x: number) => b.u32(x, lanes);
  const keys = [k0, k1, b.binary("xor", b.binary("xor", k0, k1), u(parity))];
  let x0: Operand = b.add(counter, keys[0]);
  let x1: Operand = b.add(second, keys[1]);
  for (let round = 0; round < 20; round++) {
    const r = rotations[round % 8];
    x0 = b.add(x0, x1);
    x1 = b.binary("xor", b.binary("or", b.binary("shl", x1, u(r)), b.binary("shr", x1, u(32 - r))), x0);
    if (round % 4 === 3) {
      const s = (round + 1) / 4;
      x0 = b.add(x0, keys[s % 3]);
      x1 = b.add(b.add(x1, keys[(s + 1) % 3]), u(s));
    }
  }
  return [x0, x1];
}

/** Counters per task. */
const countersPerTask = 512;

/**
 * 32 bits: elements come in groups of 32; the first 16 of group g are word 0 of counters 16g … 16g+15, the others word 1.
 * 16 bits: groups of 64: low halves of word 0, high halves of word 0, low and high halves of word 1, 16 elements each.
 */
function lowerBits(size: number, bits: 32 | 16): Lowered {
  const b = new KernelBuilder(`random_bits_${bits}`);
  const key = b.buffer("key", "u32", 2, "read");
  const y = b.buffer("y", bits === 32 ? "u32" : "i16", size, "write");
  const perGroup = bits === 32 ? 32 : 64;
  const groups = Math.ceil(size / perGroup);
  const lanes = 16;
  if (size > 0) {
    const k0 = b.splat(b.load(key, 0), lanes);
    const k1 = b.splat(b.load(key, 1), lanes);
    const perTask = countersPerTask / 16;
    const tasks = Math.ceil(groups / perTask);
    const t: Index = tasks > 1 ? b.task("block", tasks) : 0;
    const group = (g: Index, elements: number): void => {
      const first = b.bitcast(b.index(scaled(g, 16)), "u32");
      const counter = b.add(b.splat(first, lanes), b.bitcast(b.iota(lanes), "u32"));
      const [w0, w1] = rounds(b, k0, k1, counter, b.u32(0, lanes));
      const half = (w: Operand): Operand[] => {
        const s = b.bitcast(w, "i32");
        return [
          b.binary("shr", b.binary("shl", s, b.i32(16, lanes)), b.i32(16, lanes)),
          b.binary("shr", s, b.i32(16, lanes)),
        ];
      };
      const parts = bits === 32 ? [w0, w1] : [...half(w0), ...half(w1)];
      parts.forEach((p, i) => {
        const left = elements - 16 * i;
        if (left > 0) b.store(y, affine(scaled(g, perGroup), 16 * i), p, left < lanes ? { count: left } : {});
      });
    };
    const run = (start: Index, count: number, tail: number): void => {
      b.loop("g", tail > 0 ? count - 1 : count, (g) => group(affine(start, g), perGroup));
      if (tail > 0) group(affine(start, count - 1), tail);
    };
    const lastGroups = groups - (tasks - 1) * perTask;
    const tail = size % perGroup;
    if (tasks === 1) run(0, groups, tail);
    else if (lastGroups === perTask && tail === 0) run(scaled(t, perTask), perTask, 0);
    else
      b.if(
        b.compare("eq", b.index(t), b.i32(tasks - 1)),
        () => run((tasks - 1) * perTask, lastGroups, tail),
        () => run(scaled(t, perTask), perTask, 0),
      );
  }
  return {
    steps: [
      {
        kernel: b.finish({ flops: (size / perGroup) * 16 * 120, bytes: size * (bits / 8) }),
        roles: [
          { role: "input", index: 0 },
          { role: "output", index: 0 },
        ],
      },
    ],
    temps: [],
  };
}

export const randomBitsOp: OpRecord<BitsAttrs> = {
  name: "randomBits",
  infer: ([key], { shape, bits }) => {
    if (!isKey(key)) throw shapeError("randomBits", "the key is two u32 words", `${key.dtype}[${key.shape}]`, "u32[2]");
    return [{ shape, dtype: bits === 32 ? "u32" : "i16" }];
  },
  gradient: "none",
  kernel: { kind: "lower", lower: ({ attrs }) => lowerBits(sizeOf(attrs.shape), attrs.bits) },
};

/**
 * Random bits for a key (u32 [2]): 32 → u32; 16 → i16, all 65,536 values alike. The bits of an element depend on key and
 * element number alone (see `lowerBits` for the mapping), not on the target.
 */
export function randomBits(key: Value, shape: Shape, bits: 32 | 16 = 32): Value {
  return apply1(randomBitsOp, [key], { shape: [...shape], bits });
}

/** f32 in [0, 1): the upper 24 bits over 2^24. */
export function uniform(key: Value, shape: Shape): Value {
  const bits = shiftRight(randomBits(key, shape), scalar(8, "u32"));
  return mul(cast(bits, "f32"), scalar(2 ** -24));
}
/** Standard normal numbers by Box and Muller (1958): √(-2·log u)·cos(2πv), u in (0, 1], v in [0, 1). */
export function normal(key: Value, shape: Shape): Value {
  const n = sizeOf(shape);
  const both = uniform(key, [2 * n]);
  const u = sub(scalar(1), slice(both, [0], [n]));
  const v = slice(both, [n], [2 * n]);
  return reshape(mul(sqrt(mul(log(u), scalar(-2))), cos(mul(v, scalar(2 * Math.PI)))), shape);
}
/** True with probability p: 16 random bits against round(p·65536); p is met to 1/131072. */
export function bernoulli(key: Value, p: number, shape: Shape): Value {
  const limit = Math.round(p * 65536) - 32768;
  return less(cast(randomBits(key, shape, 16), "i32"), scalar(limit, "i32"));
}

interface FoldAttrs {
  readonly count: number;
}
/** New keys: the words of counter (data, 0x9e3779b9) under the key, for data, data + 1, …. */
export const foldKeysOp: OpRecord<FoldAttrs> = {
  name: "foldKeys",
  infer: ([key, data], { count }) => {
    if (!isKey(key)) throw shapeError("foldIn", "the key is two u32 words", `${key.dtype}[${key.shape}]`, "u32[2]");
    if (data.dtype !== "u32" || sizeOf(data.shape) !== 1)
      throw shapeError("foldIn", "the number is one u32", `${data.dtype}[${data.shape}]`, "u32[]");
    return [{ shape: [count, 2], dtype: "u32" }];
  },
  gradient: "none",
  kernel: {
    kind: "lower",
    lower: ({ attrs: { count } }) => {
      const b = new KernelBuilder("fold_keys");
      const key = b.buffer("key", "u32", 2, "read");
      const data = b.buffer("data", "u32", 1, "read");
      const y = b.buffer("y", "u32", 2 * count, "write");
      const [k0, k1, d] = [b.load(key, 0), b.load(key, 1), b.load(data, 0)];
      b.loop("i", count, (i) => {
        const [w0, w1] = rounds(b, k0, k1, b.add(d, b.bitcast(b.index(i), "u32")), b.u32(0x9e3779b9));
        b.store(y, scaled(i, 2), w0);
        b.store(y, affine(scaled(i, 2), 1), w1);
      });
      return {
        steps: [
          {
            kernel: b.finish({ flops: 120 * count, bytes: 8 * count }),
            roles: [
              { role: "input", index: 0 },
              { role: "input", index: 1 },
              { role: "output", index: 0 },
            ],
          },
        ],
        temps: [],
      };
    },
  },
};
/** A key that depends on another and a number (u32 scalar): streams for layers, steps, iterations. */
export function foldIn(key: Value, data: Value): Value {
  return reshape(apply1(foldKeysOp, [key, data], { count: 1 }), [2]);
}
/** n independent keys, u32 [n, 2]. */
export function split(key: Value, n = 2): Value {
  return apply1(foldKeysOp, [key, scalar(0, "u32")], { count: n });
}

// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: Record<string, Reference<any>> = {
  randomBits: ([key], { shape, bits }: BitsAttrs) => {
    const k: [number, number] = [key.data[0], key.data[1]];
    if (bits === 32) return [refArray(shape, (i) => hostRandomBits(k, i))];
    return [
      refArray(shape, (i) => {
        const part = (i >>> 4) & 3;
        const word = threefry2x32(k[0], k[1], (i >>> 6) * 16 + (i & 15), 0)[part >> 1];
        return (part & 1 ? word : word << 16) >> 16;
      }),
    ];
  },
  foldKeys: ([key, data], { count }: FoldAttrs) => [
    refArray(
      [count, 2],
      (i) => threefry2x32(key.data[0], key.data[1], (data.data[0] + (i >> 1)) >>> 0, 0x9e3779b9)[i & 1],
    ),
  ],
};

export const docs: Record<string, string> = {
  randomBits: "key u32 [2] → shape: Threefry-2x32-20 of the element number.",
  foldKeys: "key u32 [2], data u32 → [count, 2]: keys for data, data + 1, ….",
};

const key = literal([0x12345678, 0x9abcdef0], "u32");
export const samples: Samples = {
  randomBits: () => [
    { name: "32 bits", inputs: [key], build: (k) => randomBits(k, [3, 37]) },
    { name: "16 bits", inputs: [key], build: (k) => randomBits(k, [5, 41], 16) },
    { name: "many", inputs: [key], build: (k) => randomBits(k, [3000]) },
    { name: "exactly one task", inputs: [key], build: (k) => randomBits(k, [2048], 16) },
    { name: "uniform", inputs: [key], build: (k) => uniform(k, [50]) },
    { name: "bernoulli", inputs: [key], build: (k) => bernoulli(k, 0.25, [70]) },
    { name: "normal", inputs: [key], build: (k) => normal(k, [33]), ulps: 64 },
    { name: "none", inputs: [key], build: (k) => randomBits(k, [0]) },
  ],
  foldKeys: () => [
    { name: "fold in", inputs: [key, literal([7], "u32", [])], build: (k, d) => foldIn(k, d) },
    { name: "split", inputs: [key], build: (k) => split(k, 5) },
  ],
};
