/** Random numbers from keys (Threefry-2x32-20): bits, uniform, normal, Bernoulli, and keys made from keys. */
import { LayerwiseError } from "../../errors.ts";
import { apply1, type OpRecord, type Value } from "../node.ts";
import {
  centralNormal,
  groupSize,
  type HostKey,
  hostRandomBits,
  streams,
  tailNormal,
  threefry2x32,
} from "../random/threefry.ts";
import { type Reference, refArray } from "../reference/array.ts";
import { type Shape, sizeOf, type TensorType } from "../types.ts";
import { add, less, mul, shiftRight, sub } from "./binary.ts";
import { cast } from "./cast.ts";
import { formatType, full, opError } from "./common.ts";
import { iota } from "./iota.ts";
import { blockOperations, lowerRandomBits, lowerThreefry } from "./lower/random.ts";
import { integers, literal, type Samples } from "./sample.ts";
import { select } from "./select.ts";
import { scalar } from "./source.ts";
import { log, neg, sqrt } from "./unary.ts";
import { reshape } from "./view.ts";

export interface RandomBitsAttrs {
  readonly shape: Shape;
  readonly bits: 16 | 32;
}
export interface ThreefryAttrs {
  /** Second word of every counter. */
  readonly stream: number;
}

function requireKey(op: string, key: TensorType): void {
  if (key.dtype !== "u32" || key.shape.length !== 1 || key.shape[0] !== 2) {
    throw opError("E104", `${op} needs a key`, formatType(key), "u32[2]");
  }
}

export const randomBitsOp: OpRecord<RandomBitsAttrs> = {
  name: "randomBits",
  infer: ([key], { shape, bits }) => {
    requireKey("randomBits", key);
    if (bits !== 16 && bits !== 32) throw opError("E103", "randomBits: no such width", `${bits} bits`, "16 or 32");
    return [{ shape, dtype: bits === 32 ? "u32" : "i16" }];
  },
  gradient: "none",
  kernel: { kind: "lower", lower: ({ attrs: { shape, bits } }) => lowerRandomBits(sizeOf(shape), bits) },
  flops: (_, [y], { bits }) => (sizeOf(y.shape) * blockOperations * bits) / 64,
};

export const threefryOp: OpRecord<ThreefryAttrs> = {
  name: "threefry",
  infer: ([key, counter]) => {
    requireKey("threefry", key);
    if (counter.dtype !== "u32") throw opError("E104", "threefry counts in u32", formatType(counter), "u32");
    return [{ shape: [...counter.shape, 2], dtype: "u32" }];
  },
  gradient: "none",
  kernel: {
    kind: "lower",
    lower: ({ inputs: [, counter], attrs }) => lowerThreefry(sizeOf(counter.type.shape), attrs.stream),
  },
  flops: ([, counter]) => sizeOf(counter.shape) * blockOperations,
};

// ---- functions

/**
 * Random bits from a key (u32 [2]): 32 bits as u32, or 16 bits as i16 (-32768 … 32767, all equally likely), which costs half
 * as much to make and to keep. Every element depends on the key and its own number alone:
 *
 * - 32 bits: element e = 32g + 16w + l is word w of the Threefry block with counter (16g + l, 0);
 * - 16 bits: element e = 64g + 32w + 16h + l is half h (0 the lower) of word w of the block with counter (16g + l, 1);
 *
 * with l below 16. The second counter word keeps apart the streams that one key gives. `random/threefry.ts` makes the same
 * bits on the host.
 */
export function randomBits(key: Value, shape: Shape, bits: 16 | 32 = 32): Value {
  return apply1(randomBitsOp, [key], { shape, bits });
}

/** The Threefry blocks with counters (counter, stream) under a key: u32 […s] → u32 […s, 2]. */
export function threefry(key: Value, counter: Value, stream: number): Value {
  return apply1(threefryOp, [key, counter], { stream });
}

/** A key that depends on `key` (u32 [2]) and a number (u32 []), such as a step or an iteration. */
export function foldIn(key: Value, data: Value): Value {
  return reshape(threefry(key, reshape(data, []), streams.foldIn), [2]);
}

/** `count` keys made from one: u32 [count, 2]. The old key should not be used again for the same purpose. */
export function split(key: Value, count: number): Value {
  return threefry(key, iota([count], 0, "u32"), streams.split);
}

/** Uniform in [0, 1): f32 multiples of 2^-24. */
export function uniform(key: Value, shape: Shape): Value {
  return mul(upper24(key, shape), scalar(2 ** -24));
}

/** The upper 24 of 32 random bits, as a whole f32 number. */
function upper24(key: Value, shape: Shape): Value {
  // Through i32: below 2^31 the values agree, and the signed conversion is one instruction.
  return cast(cast(shiftRight(randomBits(key, shape, 32), scalar(8, "u32")), "i32"), "f32");
}

/**
 * Standard normal f32, one per 32 bits: √2·erf⁻¹(u) with u = (k + ½)·2^-23 - 1 for 24 random bits k, in (-1, 1) and
 * symmetric (Giles 2011, see `random/threefry.ts`). The largest possible magnitude is 5.4.
 */
export function normal(key: Value, shape: Shape): Value {
  const u = sub(mul(upper24(key, shape), scalar(2 ** -23)), scalar(1 - 2 ** -24));
  const w = neg(log(mul(sub(scalar(1), u), add(scalar(1), u))));
  const polynomial = (coefficients: readonly number[], t: Value): Value =>
    coefficients.slice(1).reduce<Value>((p, c) => add(mul(p, t), scalar(c)), scalar(coefficients[0]));
  const central = polynomial(centralNormal, sub(w, scalar(2.5)));
  const tail = polynomial(tailNormal, sub(sqrt(w), scalar(3)));
  return mul(select(less(w, scalar(5)), central, tail), mul(u, scalar(Math.SQRT2)));
}

/**
 * Bool, true with probability p. 16 bits per element decide (p is rounded to a multiple of 2^-16); 32 where p or 1 - p is
 * below 1/64, so that the rounding is never more than a two-thousandth of either.
 */
export function bernoulli(key: Value, p: number, shape: Shape): Value {
  if (!(p >= 0 && p <= 1)) {
    throw new LayerwiseError("bernoulli: the probability is out of range", {
      code: "E103",
      received: `p = ${p}`,
      expected: "a number from 0 to 1",
    });
  }
  const bits = Math.min(p, 1 - p) < 1 / 64 ? 32 : 16;
  const limit = Math.round(p * 2 ** bits);
  if (limit === 0 || limit === 2 ** bits) return full(shape, limit === 0 ? 0 : 1, "bool");
  return bits === 32
    ? less(randomBits(key, shape, 32), scalar(limit, "u32"))
    : less(randomBits(key, shape, 16), scalar(limit - 2 ** 15, "i16"));
}

// ---- beside the records

const hostKey = (data: ArrayLike<number>): HostKey => [data[0], data[1]];

// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: Record<string, Reference<any>> = {
  randomBits: ([key], { shape, bits }: RandomBitsAttrs) => [
    { shape, data: Float64Array.from(hostRandomBits(hostKey(key.data), sizeOf(shape), bits)) },
  ],
  threefry: ([key, counter], { stream }: ThreefryAttrs, [out]) => [
    refArray(out.shape, (i) => threefry2x32(hostKey(key.data), counter.data[i >> 1], stream)[i & 1]),
  ],
};

export const docs: Record<string, string> = {
  randomBits: "key u32[2] → random bits of a given shape: u32 of 32 bits, or i16 of 16 bits at half the cost.",
  threefry: "key u32[2], counter u32[…s] → both words of the Threefry-2x32-20 block of each counter, u32[…s, 2].",
};

const key = /* @__PURE__ */ literal([0x12345678, 0x9abcdef0], "u32");
const group = 2 * groupSize;

export const samples: Samples = {
  randomBits: () => [
    ...[0, 1, 15, 16, 17, group, group + 1, 63, 64, 65, 1009, 9001].map((n) => ({
      name: `${n} elements`,
      inputs: [key],
      build: (k: Value) => [randomBits(k, [n], 32), randomBits(k, [n], 16)],
    })),
    { name: "rank 0", inputs: [key], build: (k) => randomBits(k, []) },
    { name: "rank 3", inputs: [key], build: (k) => randomBits(k, [3, 5, 7], 16) },
    { name: "uniform", inputs: [key], build: (k) => uniform(k, [3, 37]) },
    { name: "normal", inputs: [key], build: (k) => normal(k, [3, 37]), ulps: 40 },
    { name: "bernoulli", inputs: [key], build: (k) => [bernoulli(k, 0.3, [3, 37]), bernoulli(k, 0.01, [3, 37])] },
    {
      name: "two draws in one program",
      inputs: [key, literal([1, 2], "u32")],
      build: (a, c) => sub(uniform(a, [33]), uniform(c, [33])),
    },
  ],
  threefry: () => [
    {
      name: "counters",
      inputs: [key, integers([37], 0, 2 ** 31, 3, "u32")],
      build: (k, c) => threefry(k, c, 7),
    },
    {
      name: "largest words",
      inputs: [literal([-1 >>> 0, -1 >>> 0], "u32"), literal([-1 >>> 0], "u32")],
      build: (k, c) => threefry(k, c, -1 >>> 0),
    },
    { name: "foldIn", inputs: [key, literal([5], "u32", [])], build: (k, n) => foldIn(k, n) },
    { name: "split", inputs: [key], build: (k) => split(k, 5) },
    { name: "split into none", inputs: [key], build: (k) => split(k, 0) },
  ],
};
