/** Kernels of the random ops: blocks of Threefry-2x32-20, sixteen counters at a time. */
import { affine, type Index, type KernelBuilder, scaled } from "../../../compiler/builder.ts";
import type { Operand } from "../../../compiler/loopir.ts";
import type { Lowered } from "../../../compiler/lowered.ts";
import { groupSize, parity, rotations, streams } from "../../random/threefry.ts";
import { LowerStep, nothing, only, single } from "./step.ts";

/** Operations on 32-bit numbers of one block. */
export const blockOperations = 20 * 5 + 5 * 3 + 2;
/** Groups of counters per task, about 8 µs. */
const groupsPerTask = 128;

/** The words of key schedule: k0, k1, k0 ^ k1 ^ parity. */
type Schedule = readonly [Operand, Operand, Operand];

function schedule(b: KernelBuilder, k0: Operand, k1: Operand): Schedule {
  return [k0, k1, b.binary("xor", b.binary("xor", k0, k1), b.u32(parity, k0.lanes))];
}

function rotate(b: KernelBuilder, x: Operand, by: number): Operand {
  return b.binary("or", b.binary("shl", x, b.u32(by, x.lanes)), b.binary("shr", x, b.u32(32 - by, x.lanes)));
}

/** Both words for a vector of counters (c0, c1). */
function block(b: KernelBuilder, key: Schedule, c0: Operand, c1: number): [Operand, Operand] {
  const n = c0.lanes;
  let x: Operand = b.add(c0, key[0]);
  let y: Operand = b.add(key[1], b.u32(c1, n));
  for (let round = 0; round < 20; round++) {
    x = b.add(x, y);
    y = b.binary("xor", rotate(b, y, rotations[round % 8]), x);
    if (round % 4 === 3) {
      const s = (round + 1) / 4;
      x = b.add(x, key[s % 3]);
      y = b.add(y, b.add(key[(s + 1) % 3], b.u32(s, n)));
    }
  }
  return [x, y];
}

/**
 * Runs `body` for every group below `groups`, many to a task. The last task stops early by a condition, so that the long
 * straight code of a block exists once.
 */
function overGroups(b: KernelBuilder, groups: number, body: (group: Index) => void): void {
  const perTask = Math.min(groups, groupsPerTask);
  const t = b.task("block", Math.ceil(groups / perTask));
  b.loop("group", perTask, (v) => {
    const group = affine(scaled(t, perTask), v);
    if (groups % perTask === 0) body(group);
    else b.if(b.compare("lt", b.index(group), b.i32(groups)), () => body(group));
  });
}

/** Input: the key. `bits` 32 → u32, 16 → i16; the layout is that of `hostRandomBits`. */
export function lowerRandomBits(count: number, bits: 16 | 32): Lowered {
  if (count === 0) return nothing;
  const step = new LowerStep(`random_bits${bits}`);
  const { b } = step;
  const key = step.input(0, "key", 2, "u32");
  const out = step.output(0, "out", count, bits === 32 ? "u32" : "i16");
  const lanes = groupSize;
  const perGroup = (64 / bits) * lanes;
  const words = schedule(b, b.load(key, 0, lanes, { stride: 0 }), b.load(key, 1, lanes, { stride: 0 }));
  const number = b.iota(lanes);
  const full = Math.floor(count / perGroup);
  const rest = count % perGroup;
  overGroups(b, Math.ceil(count / perGroup), (group) => {
    const first = b.splat(b.index(scaled(group, lanes)), lanes);
    const counter = b.convert(b.add(number, first), "u32");
    const made = block(b, words, counter, bits === 32 ? streams.bits32 : streams.bits16);
    const parts =
      bits === 32
        ? made
        : made.flatMap((w) => [w, b.binary("shr", w, b.u32(16, lanes))]).map((w) => b.convert(w, "i32"));
    const store = (limit: number): void =>
      parts.forEach((part, q) => {
        const present = Math.min(lanes, limit - q * lanes);
        if (present > 0) b.store(out, affine(scaled(group, perGroup), q * lanes), part, only(present, lanes));
      });
    if (rest === 0) store(perGroup);
    else
      b.if(
        b.compare("lt", b.index(group), b.i32(full)),
        () => store(perGroup),
        () => store(rest),
      );
  });
  const blocks = Math.ceil(count / perGroup) * lanes;
  return single(step.finish({ flops: blocks * blockOperations, bytes: (count * bits) / 8 }));
}

/** Inputs: key, and counters u32 [n]; the output [n, 2] has both words of each block. */
export function lowerThreefry(count: number, stream: number): Lowered {
  if (count === 0) return nothing;
  const step = new LowerStep("threefry");
  const { b } = step;
  const key = step.input(0, "key", 2, "u32");
  const counters = step.input(1, "counters", count, "u32");
  const out = step.output(0, "out", 2 * count, "u32");
  const lanes = groupSize;
  const words = schedule(b, b.load(key, 0, lanes, { stride: 0 }), b.load(key, 1, lanes, { stride: 0 }));
  const full = Math.floor(count / lanes);
  const rest = count % lanes;
  overGroups(b, Math.ceil(count / lanes), (group) => {
    const made = block(b, words, b.load(counters, scaled(group, lanes), lanes), stream);
    const store = (present: number): void =>
      made.forEach((w, i) => {
        b.store(out, affine(scaled(group, 2 * lanes), i), w, { stride: 2, ...only(present, lanes) });
      });
    if (rest === 0) store(lanes);
    else
      b.if(
        b.compare("lt", b.index(group), b.i32(full)),
        () => store(lanes),
        () => store(rest),
      );
  });
  return single(step.finish({ flops: Math.ceil(count / lanes) * lanes * blockOperations, bytes: 12 * count }));
}
