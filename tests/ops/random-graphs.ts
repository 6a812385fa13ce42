/** Random graphs from a seed: fusion, views and gradients in combinations nobody thought of. */
import type { Value } from "../../packages/core/src/graph/node.ts";
import * as ops from "../../packages/core/src/graph/ops/index.ts";
import { floats, type Sample, uniform } from "../../packages/core/src/graph/ops/sample.ts";
import { sizeOf } from "../../packages/core/src/graph/types.ts";

/** A source of integers below a bound. */
function chooser(seed: number): (bound: number) => number {
  let x = (seed * 2654435761 + 12345) >>> 0 || 1;
  return (bound) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % bound;
  };
}

const sizes = [1, 2, 3, 5, 8, 17];
const maxSize = 4000;

/** A graph of `steps` random ops over three inputs, with up to four results. Its values stay of moderate size. */
export function randomGraph(seed: number, steps = 14): Sample {
  const source = chooser(seed);
  const dims = [source(sizes.length), source(sizes.length), source(sizes.length)].map((i) => sizes[i]);
  const shapes = [dims, dims.slice(1), dims.slice(2)];
  return {
    name: `seed ${seed}`,
    inputs: shapes.map((s, i) => floats(s, -1.5, 1.5, seed * 3 + i)),
    gradient: true,
    build: (...inputs) => {
      // The same choices at every call.
      const pick = chooser(seed);
      for (let i = 0; i < 3; i++) pick(sizes.length);
      const one = <T>(list: readonly T[]): T => list[pick(list.length)];
      const pool: Value[] = [...inputs];
      const recent = () => pool[Math.max(0, pool.length - 1 - pick(Math.min(pool.length, 6)))];
      for (let i = 0; i < steps; i++) {
        const next = step(recent(), recent, inputs, pick);
        if (next && sizeOf(next.shape) <= maxSize) pool.push(next);
      }
      const made = pool.slice(inputs.length);
      const results = [made[made.length - 1], one(made), one(made), one(made)];
      return [...new Set(results)];
    },
  };
}

function step(x: Value, other: () => Value, inputs: readonly Value[], pick: (n: number) => number): Value | null {
  const rank = x.shape.length;
  const axis = rank > 0 ? pick(rank) : 0;
  switch (pick(20)) {
    case 0:
      return ops.tanh(x);
    case 1:
      return ops.sigmoid(x);
    case 2:
      return ops.relu(x);
    case 3:
      return ops.exp(ops.neg(ops.abs(x)));
    case 4:
    case 5:
      return broadcastable(x, other(), (a, b) => ops.add(a, b));
    case 6:
    case 7:
      return broadcastable(x, other(), (a, b) => ops.tanh(ops.mul(a, b)));
    case 8:
      return broadcastable(x, other(), (a, b) => ops.sub(a, ops.mul(b, ops.scalar(0.5))));
    case 9: {
      const gate = inputs[pick(inputs.length)];
      return broadcastable(x, gate, (a, g) => ops.select(ops.greater(g, ops.scalar(0.1)), a, ops.scalar(0.25)));
    }
    case 10:
      return rank === 0 ? null : ops.reduceSum(x, axis, pick(2) === 0);
    case 11:
      return rank === 0 ? null : ops.reduceMax(x, axis, pick(2) === 0);
    case 12:
      return rank === 0 ? null : softmax(x, pick(2) === 0 ? rank - 1 : axis);
    case 13:
      return ops.transpose(x, rotated(rank, pick(Math.max(1, rank))));
    case 14:
      return ops.reshape(x, pick(2) === 0 ? [sizeOf(x.shape)] : [...x.shape.slice(0, axis), 1, ...x.shape.slice(axis)]);
    case 15:
      return rank === 0 ? null : ops.reverse(x, [axis]);
    case 16: {
      const start = x.shape.map((d, i) => (i === axis && d > 2 ? 1 : 0));
      const by = x.shape.map((_, i) => (i === axis ? 1 + pick(2) : 1));
      return ops.slice(x, start, x.shape, by);
    }
    case 17:
      return ops.pad(
        x,
        x.shape.map((_, i) => (i === axis ? pick(3) : 0)),
        x.shape.map((_, i) => (i === axis ? pick(2) : 0)),
      );
    case 18:
      return rank === 0 ? null : ops.concat([x, ops.neg(x)], axis);
    default:
      return product(x, other());
  }
}

function broadcastable(a: Value, b: Value, f: (a: Value, b: Value) => Value): Value | null {
  const rank = Math.max(a.shape.length, b.shape.length);
  for (let i = 1; i <= rank; i++) {
    const [x, y] = [a.shape.at(-i) ?? 1, b.shape.at(-i) ?? 1];
    if (x !== y && x !== 1 && y !== 1) return null;
  }
  return f(a, b);
}

function softmax(x: Value, axis: number): Value {
  const e = ops.exp(ops.sub(x, ops.stopGradient(ops.reduceMax(x, axis, true))));
  return ops.div(e, ops.reduceSum(e, axis, true));
}

function rotated(rank: number, by: number): number[] {
  return Array.from({ length: rank }, (_, i) => (i + by) % rank);
}

/** x times a fixed matrix, or a contraction of the last axes of both where they agree. */
function product(x: Value, y: Value): Value | null {
  const rank = x.shape.length;
  if (rank === 0) return null;
  const k = x.shape[rank - 1];
  const scale = ops.scalar(1 / Math.sqrt(k));
  if (y.shape.length > 0 && y.shape[y.shape.length - 1] === k && sizeOf(x.shape) * sizeOf(y.shape) < k * k * maxSize) {
    const attrs = { batchA: [], batchB: [], contractA: [rank - 1], contractB: [y.shape.length - 1] };
    return ops.mul(ops.dotGeneral(x, y, attrs), scale);
  }
  const matrix = ops.constantValue(Float32Array.from(uniform(k * 7, -1, 1, k)), { shape: [k, 7], dtype: "f32" });
  const attrs = { batchA: [], batchB: [], contractA: [rank - 1], contractB: [0] };
  return ops.mul(ops.add(ops.dotGeneral(x, matrix, attrs), ops.scalar(0.1)), scale);
}
