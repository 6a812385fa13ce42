/** cond: one of two regions, chosen by a scalar. whileLoop: a region again and again while another says so. */
import { LayerwiseError } from "../../errors.ts";
import { apply, type GradientContext, type OpRecord, type Value } from "../node.ts";
import type { Reference } from "../reference/array.ts";
import { closeRegion, closeTraced, type Region } from "../region.ts";
import { isFloat, sameShape } from "../types.ts";
import { add, greater, less, mul, sub } from "./binary.ts";
import { formatType, fullLike, shapeError } from "./common.ts";
import { reduceSum } from "./reduce.ts";
import { floats, integers, literal, type Samples } from "./sample.ts";
import { inputValue, scalar } from "./source.ts";
import { sin, tanh } from "./unary.ts";

/** Inputs: the condition (bool []), the captures of `then`, those of `otherwise`. */
export interface CondAttrs {
  readonly then: Region;
  readonly otherwise: Region;
}

export const condOp: OpRecord<CondAttrs> = {
  name: "cond",
  infer: ([condition], { then, otherwise }) => {
    if (condition.dtype !== "bool" || condition.shape.length > 0)
      throw shapeError("cond", "the condition is not one truth value", formatType(condition), "bool []");
    const [a, b] = [then, otherwise].map((r) => r.results.map((v) => v.type));
    if (a.length !== b.length || a.some((t, i) => t.dtype !== b[i].dtype || !sameShape(t.shape, b[i].shape))) {
      throw shapeError(
        "cond",
        "the branches differ in what they return",
        `${a.map(formatType).join(", ")} and ${b.map(formatType).join(", ")}`,
        "equal shapes and dtypes",
      );
    }
    return a;
  },
  gradient: condGradient,
  kernel: { kind: "region" },
  flops: () => 0,
};

/**
 * The results of `then()` or of `otherwise()`. What they use of their surroundings is computed whatever the condition is;
 * what they make themselves is computed only in the branch that is taken.
 */
export function cond(
  condition: Value,
  then: () => readonly Value[],
  otherwise: () => readonly Value[],
): readonly Value[] {
  const a = closeTraced(then);
  const b = closeTraced(otherwise);
  return apply(condOp, [condition, ...a.captures, ...b.captures], { then: a.region, otherwise: b.region });
}

/** The gradient of the branch that was taken; zeros for what the other one uses. */
function condGradient({ attrs, inputs, grads, wants, gradients }: GradientContext<CondAttrs>): (Value | null)[] {
  const { then, otherwise } = attrs;
  const wanted = inputs.map((v, i) => i > 0 && wants[i] && isFloat(v.dtype));
  const branch = (region: Region, first: number) => {
    const last = first + region.parameters.length;
    const seeds = region.results.map((r, i) => (grads[i] ? inputValue(`d${i}`, r.type) : null));
    const found = gradients(
      region.results.filter((_, i) => seeds[i]),
      seeds.filter((s) => s !== null),
      region.parameters.filter((_, i) => wanted[first + i]),
    );
    let next = 0;
    const results = inputs.flatMap((v, i) => {
      if (!wanted[i]) return [];
      return [i >= first && i < last ? (found[next++] ?? fullLike(v, 0)) : fullLike(v, 0)];
    });
    const parameters = [...region.parameters, ...seeds.filter((s) => s !== null)];
    const outer = [...inputs.slice(first, last), ...grads.filter((g) => g !== null)];
    const { region: closed, captures } = closeRegion(parameters, results);
    return { region: closed, inputs: [...outer, ...captures] };
  };
  if (!wanted.includes(true)) return inputs.map(() => null);
  const a = branch(then, 1);
  const b = branch(otherwise, 1 + then.parameters.length);
  const outputs = apply(condOp, [inputs[0], ...a.inputs, ...b.inputs], { then: a.region, otherwise: b.region });
  let next = 0;
  return inputs.map((_, i) => (wanted[i] ? outputs[next++] : null));
}

/** Inputs: the initial state, the captures of `test`, those of `body`; both regions take the state first. */
export interface WhileAttrs {
  readonly test: Region;
  readonly body: Region;
  readonly states: number;
}

export const whileOp: OpRecord<WhileAttrs> = {
  name: "while",
  infer: (inputs, { test, body, states }) => {
    const [condition] = test.results;
    if (condition.dtype !== "bool" || condition.shape.length > 0)
      throw shapeError("while", "the condition is not one truth value", formatType(condition.type), "bool []");
    body.results.forEach((r, i) => {
      const t = inputs[i];
      if (r.dtype !== t.dtype || !sameShape(r.shape, t.shape))
        throw shapeError("while", `the body changes the type of state ${i}`, formatType(r.type), formatType(t));
    });
    return inputs.slice(0, states);
  },
  gradient: () => {
    throw new LayerwiseError("a while loop without a limit has no gradient", {
      code: "E105",
      received: "whileLoop inside a function that is differentiated",
      expected: "a largest number of steps",
      hint: "give maxIterations, or use scan",
    });
  },
  kernel: { kind: "region" },
  flops: () => 0,
};

/** Replaces the state by `body(state)` while `test(state)` (bool []) holds. */
export function whileLoop(
  test: (state: readonly Value[]) => Value,
  body: (state: readonly Value[]) => readonly Value[],
  init: readonly Value[],
): readonly Value[] {
  const state = init.map((v, i) => inputValue(`state${i}`, v.type));
  const a = closeRegion(state, [test(state)]);
  const made = body(state);
  if (made.length !== init.length)
    throw shapeError("while", "the body returns another number of values", `${made.length}`, `${init.length}`);
  const b = closeRegion(state, made);
  return apply(whileOp, [...init, ...a.captures, ...b.captures], {
    test: a.region,
    body: b.region,
    states: init.length,
  });
}

// ---- beside the records

// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: Record<string, Reference<any>> = {
  cond: ([condition, ...inputs], { then, otherwise }: CondAttrs, _, __, evaluate) => {
    const taken = condition.data[0] !== 0;
    const region = taken ? then : otherwise;
    const first = taken ? 0 : then.parameters.length;
    return evaluate(region.results, new Map(region.parameters.map((p, i) => [p, inputs[first + i]])));
  },
  while: (inputs, { test, body, states }: WhileAttrs, _, __, evaluate) => {
    let state = inputs.slice(0, states);
    const captured = test.parameters.length - states;
    const feed = (region: Region, first: number) =>
      new Map(region.parameters.map((p, i) => [p, i < states ? state[i] : inputs[first + i]]));
    while (evaluate(test.results, feed(test, 0))[0].data[0] !== 0) state = evaluate(body.results, feed(body, captured));
    return state;
  },
};

export const docs: Record<string, string> = {
  cond: "condition (bool []), captures → the results of the region that the condition chooses.",
  while: "state, captures → the state after as many runs of `body` as `test` allows.",
};

const choose = (limit: number) => (x: Value, y: Value) =>
  cond(
    greater(reduceSum(x, [0, 1]), scalar(limit)),
    () => [mul(tanh(x), y), add(x, y)],
    () => [sin(y), sub(y, x)],
  );

export const samples: Samples = {
  cond: () => [
    {
      name: "taken",
      inputs: [floats([3, 5]), floats([3, 5], -1, 1, 2)],
      build: choose(-100),
      gradient: true,
      second: true,
    },
    { name: "not taken", inputs: [floats([3, 5]), floats([3, 5], -1, 1, 2)], build: choose(100), gradient: true },
    {
      name: "results that are captures or constants",
      inputs: [literal([1, 0], "bool"), floats([4])],
      build: (_, x) =>
        cond(
          greater(reduceSum(x, [0]), scalar(1000)),
          () => [x, scalar(3)],
          () => [mul(x, scalar(2)), scalar(4)],
        ),
      gradient: true,
    },
  ],
  while: () => [
    {
      name: "doubles until it is large",
      inputs: [floats([5], 0.5, 1), integers([], 0, 1)],
      build: (x, n) =>
        whileLoop(
          ([v]) => less(reduceSum(v, [0]), scalar(40)),
          ([v, k]) => [mul(v, scalar(2)), add(k, scalar(1, "i32"))],
          [x, n],
        ),
    },
    {
      name: "not once",
      inputs: [floats([3])],
      build: (x) =>
        whileLoop(
          ([v]) => greater(reduceSum(v, [0]), scalar(1000)),
          ([v]) => [mul(v, x)],
          [x],
        ),
    },
    {
      name: "states that change places",
      inputs: [integers([], 0, 1), integers([], 1, 2)],
      build: (a, b) =>
        whileLoop(
          ([, b]) => less(b, scalar(100, "i32")),
          ([a, b]) => [b, add(a, b)],
          [a, b],
        ),
    },
  ],
};
