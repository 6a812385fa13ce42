/** Loops and branches on trees of tensors: scan, map, cond, whileLoop, foriLoop. */

import { plugRegionKernels } from "../../compiler/region-kernels.ts";
import { LayerwiseError } from "../../errors.ts";
import type { Value } from "../../graph/node.ts";
import * as g from "../../graph/ops/index.ts";
import { Tensor, type TensorLike } from "../tensor.ts";
import { currentTrace } from "../trace.ts";
import { flattenTree, type Tree, type TreeSpec } from "../tree.ts";
import { argumentError } from "./promote.ts";

const isTensor = (x: unknown): x is Tensor => x instanceof Tensor;
type TensorTree = Tree<Tensor>;
const values = (list: readonly Tensor[]) => list.map((t) => t.value);
const tensors = (list: readonly Value[]) => list.map((v) => new Tensor(v));

/** The graph's loops and branches, which the compiler can compile from now on. */
function regions(): Pick<typeof g, "scan" | "cond" | "whileLoop"> {
  plugRegionKernels();
  return g;
}

export interface ScanOptions {
  /** Number of steps; needed when `xs` holds no tensor. */
  readonly length?: number;
  /** From the last step to the first; results keep their places. */
  readonly reverse?: boolean;
  /** The gradient stores the carry of every so many steps only, and computes the steps between again. */
  readonly checkpointEvery?: number;
}

/** Runs a body that becomes a region; state of models may be read there, but not written. */
export function withoutWrites<T>(what: string, body: () => T): T {
  const trace = currentTrace();
  const before = trace && new Map(trace.current);
  const result = body();
  for (const [variable, value] of trace?.current ?? []) {
    const was = before!.get(variable) ?? trace!.initial.get(variable);
    if (was === value) continue;
    throw new LayerwiseError(`${what}: a variable is assigned inside the loop or branch`, {
      code: "E108",
      layer: variable.name,
      received: `an assignment to "${variable.name}"`,
      expected: "a body without assignments",
      hint: "carry the value and assign it after the loop",
    });
  }
  return result;
}

/**
 * Calls `body(carry, x)` for each step, where x are the slices of `xs` along their first axis and carry what the step
 * before returned (`init` at first). Returns the last carry and the steps' y, stacked: xs [T, …] → ys [T, …].
 * carry, x and y are trees of tensors. The loop is compiled once, whatever its length, and can be differentiated.
 *
 *     const [total, sums] = ops.scan((sum, x) => [sum.add(x), sum.add(x)], tensor(0), tensor([1, 2, 3]));
 */
export function scan<Carry extends TensorTree, Xs extends TensorTree | null, Y extends TensorTree | null>(
  body: (carry: Carry, x: Xs) => readonly [Carry, Y],
  init: Carry,
  xs: Xs = null as Xs,
  options: ScanOptions = {},
): [Carry, Y] {
  const start = flattenTree<Tensor>(init, isTensor);
  const inputs = xs === null ? null : flattenTree<Tensor>(xs, isTensor);
  const length = stepsOf(inputs?.leaves ?? [], options.length);
  let outCarry = start.spec;
  let outY: ReturnType<typeof flattenTree<Tensor>>["spec"] | null = null;
  const step = (carry: readonly Value[], x: readonly Value[]) => {
    const [next, y] = withoutWrites("scan", () =>
      body(start.spec.build(tensors(carry)) as Carry, (inputs ? inputs.spec.build(tensors(x)) : null) as Xs),
    );
    const c = flattenTree<Tensor>(next, isTensor);
    if (c.spec.key !== start.spec.key)
      throw argumentError("scan", "the body returns a carry of another structure", c.spec.key, start.spec.key);
    outCarry = c.spec;
    const list = y === null ? null : flattenTree<Tensor>(y, isTensor);
    outY = list?.spec ?? null;
    return { carry: values(c.leaves), ys: list ? values(list.leaves) : [] };
  };
  const { checkpointEvery = null, reverse = false } = options;
  if (checkpointEvery !== null && !(Number.isInteger(checkpointEvery) && checkpointEvery > 0))
    throw argumentError("scan", "checkpointEvery is not usable", String(checkpointEvery), "an integer ≥ 1");
  const run = checkpointEvery === null || checkpointEvery >= length ? regions().scan : checkpointed(checkpointEvery);
  const { carry, ys } = run(step, values(start.leaves), values(inputs?.leaves ?? []), { length, reverse });
  const y = outY as ReturnType<typeof flattenTree<Tensor>>["spec"] | null;
  return [outCarry.build(tensors(carry)) as Carry, (y ? y.build(tensors(ys)) : null) as Y];
}

function stepsOf(xs: readonly Tensor[], given: number | undefined): number {
  for (const x of xs)
    if (x.ndim === 0)
      throw argumentError("scan", "xs are stacked along their first axis", "a scalar", "rank 1 or more");
  const lengths = new Set([...xs.map((x) => x.shape[0]), ...(given === undefined ? [] : [given])]);
  if (lengths.size === 1) {
    const [length] = lengths;
    if (Number.isInteger(length) && length >= 0) return length;
  }
  throw argumentError(
    "scan",
    lengths.size === 0 ? "the number of steps is not known" : "the number of steps is not one number",
    lengths.size === 0 ? "neither xs nor length" : [...lengths].join(", "),
    "xs of equal first axes, or length",
  );
}

/** A scan over segments of scans: only the carries between segments are stored for the gradient. */
function checkpointed(every: number): typeof g.scan {
  const { scan } = regions();
  return (body, init, xs, { length, reverse = false }) => {
    const segments = Math.floor(length / every);
    const rest = length - segments * every;
    const part = (v: Value, from: number, to: number) =>
      g.slice(v, [from, ...v.shape.slice(1).map(() => 0)], [to, ...v.shape.slice(1)]);
    // In reverse the whole segments come first too, which are then the last steps.
    const at = reverse ? rest : 0;
    const whole = xs.map((v) => g.reshape(part(v, at, at + segments * every), [segments, every, ...v.shape.slice(1)]));
    const outer = scan((carry, x) => scan(body, carry, x, { length: every, reverse }), init, whole, {
      length: segments,
      reverse,
      recompute: true,
    });
    const ys = outer.ys.map((v) => g.reshape(v, [segments * every, ...v.shape.slice(2)]));
    if (rest === 0) return { carry: outer.carry, ys };
    const from = reverse ? 0 : segments * every;
    const last = scan(
      body,
      outer.carry,
      xs.map((v) => part(v, from, from + rest)),
      { length: rest, reverse },
    );
    return {
      carry: last.carry,
      ys: ys.map((v, i) => g.concat(reverse ? [last.ys[i], v] : [v, last.ys[i]], 0)),
    };
  };
}

/** `f` of each slice along the first axis, stacked: xs [T, …] → [T, …]. */
export function map<Xs extends TensorTree, Y extends TensorTree>(f: (x: Xs) => Y, xs: Xs): Y {
  const [, ys] = scan((carry: Tensor[], x: Xs) => [carry, f(x)] as const, [] as Tensor[], xs);
  return ys;
}

/**
 * `then(…operands)` where `condition` (a scalar) holds, else `otherwise(…operands)`: trees of equal structure, shapes and
 * dtypes. Only the branch that is taken is computed.
 */
export function cond<Operands extends readonly unknown[], Y extends TensorTree>(
  condition: TensorLike,
  then: (...operands: Operands) => Y,
  otherwise: (...operands: Operands) => Y,
  ...operands: Operands
): Y {
  const specs: TreeSpec[] = [];
  const branch = (f: (...operands: Operands) => Y) => () => {
    const made = flattenTree<Tensor>(
      withoutWrites("cond", () => f(...operands)),
      isTensor,
    );
    specs.push(made.spec);
    return values(made.leaves);
  };
  const results = regions().cond(truth(condition), branch(then), branch(otherwise));
  if (specs[0].key !== specs[1].key)
    throw argumentError("cond", "the branches return different structures", specs[0].key, specs[1].key);
  return specs[0].build(tensors(results)) as Y;
}

/** One truth value: bool []. */
function truth(x: TensorLike): Value {
  const t = Tensor.of(x);
  if (t.size !== 1) throw argumentError("cond", "a condition is one truth value", `[${t.shape}]`, "[]");
  return g.reshape(g.cast(t.value, "bool"), []);
}

export interface WhileOptions {
  /** At most so many steps. With a limit the loop has a gradient. */
  readonly maxIterations?: number;
}

/**
 * Replaces `state` by `body(state)` while `test(state)` (a scalar) holds; returns the last state. Trees of tensors whose
 * shapes and dtypes do not change.
 */
export function whileLoop<State extends TensorTree>(
  test: (state: State) => TensorLike,
  body: (state: State) => State,
  state: State,
  { maxIterations }: WhileOptions = {},
): State {
  const start = flattenTree<Tensor>(state, isTensor);
  const build = (list: readonly Value[]) => start.spec.build(tensors(list)) as State;
  const next = (list: readonly Value[]): readonly Value[] => {
    const made = flattenTree<Tensor>(
      withoutWrites("whileLoop", () => body(build(list))),
      isTensor,
    );
    if (made.spec.key !== start.spec.key)
      throw argumentError("whileLoop", "the body returns another structure", made.spec.key, start.spec.key);
    return values(made.leaves);
  };
  const holds = (list: readonly Value[]) => truth(test(build(list)));
  const init = values(start.leaves);
  if (maxIterations === undefined) return build(regions().whileLoop(holds, next, init));
  const { carry } = regions().scan(
    (list) => ({
      carry: g.cond(
        holds(list),
        () => next(list),
        () => list,
      ),
      ys: [],
    }),
    init,
    [],
    { length: stepsOf([], maxIterations) },
  );
  return build(carry);
}

/** Replaces `state` by `body(i, state)` for i = lower … upper-1; i is a tensor i32 []. */
export function foriLoop<State extends TensorTree>(
  lower: number,
  upper: number,
  body: (i: Tensor, state: State) => State,
  state: State,
): State {
  const length = Math.max(0, upper - lower);
  const counter = new Tensor(g.add(g.iota([length], 0, "i32"), g.scalar(lower, "i32")));
  const [last] = scan((carry: State, i: Tensor) => [body(i, carry), null] as const, state, counter);
  return last;
}
