/** Ops that change gradients only: their outputs are their inputs. */

import { apply, apply1, type OpRecord, type Value } from "../node.ts";
import type { Reference } from "../reference/array.ts";
import { sameShape } from "../types.ts";
import { formatType, fullLike, shapeError } from "./common.ts";
import { floats, type Samples } from "./sample.ts";

export const aliasOp: OpRecord<null> = {
  name: "alias",
  infer: ([x]) => [x],
  gradient: ({ grads }) => grads,
  kernel: { kind: "alias" },
};

/** A new name for `x`: what is differentiated with respect to it does not see other uses of `x`. */
export function alias(x: Value): Value {
  return apply1(aliasOp, [x], null);
}

export const stopGradientOp: OpRecord<null> = {
  name: "stopGradient",
  infer: ([x]) => [x],
  gradient: "none",
  kernel: { kind: "alias" },
};

/** `x`, through which no gradient flows. */
export function stopGradient(x: Value): Value {
  return apply1(stopGradientOp, [x], null);
}

/** Gradients of the inputs from those of the outputs (zeros where none flows). */
export type Vjp = (outputGrads: readonly Value[]) => readonly (Value | null)[];

interface CustomGradientAttrs {
  /** Number of outputs; they are the first inputs, those to differentiate for follow. */
  readonly count: number;
  readonly vjp: Vjp;
}

export const customGradientOp: OpRecord<CustomGradientAttrs> = {
  name: "customGradient",
  infer: (inputs, { count }) => inputs.slice(0, count),
  gradient: ({ inputs, outputs, grads, attrs: { count, vjp } }) => {
    const result = vjp(grads.map((dy, i) => dy ?? fullLike(outputs[i], 0)));
    const targets = inputs.slice(count);
    if (result.length !== targets.length) {
      throw shapeError(
        "customGradient",
        "the gradient function returns the wrong number of gradients",
        `${result.length}`,
        `${targets.length}, one for each input`,
      );
    }
    result.forEach((g, i) => {
      if (g && (!sameShape(g.shape, targets[i].shape) || g.dtype !== targets[i].dtype)) {
        throw shapeError(
          "customGradient",
          `gradient ${i} does not fit its input`,
          formatType(g.type),
          formatType(targets[i].type),
        );
      }
    });
    return [...inputs.slice(0, count).map(() => null), ...result];
  },
  kernel: { kind: "alias" },
};

/** `outputs`, whose gradient flows to `inputs` through `vjp` instead of through the way they were computed. */
export function customGradient(outputs: readonly Value[], inputs: readonly Value[], vjp: Vjp): readonly Value[] {
  return apply(customGradientOp, [...outputs, ...inputs], { count: outputs.length, vjp });
}

// biome-ignore lint/suspicious/noExplicitAny: attrs are private to each op.
export const references: Record<string, Reference<any>> = {
  alias: ([x]) => [x],
  stopGradient: ([x]) => [x],
  customGradient: (inputs, { count }: CustomGradientAttrs) => inputs.slice(0, count),
};

export const docs: Record<string, string> = {
  alias: "x → x.",
  stopGradient: "x → x; no gradient flows back.",
  customGradient: "outputs, inputs → outputs; the gradient of the inputs is what `vjp` makes of that of the outputs.",
};

export const samples: Samples = {
  alias: () => [{ name: "typical", inputs: [floats([5])], build: alias, gradient: true, ulps: 0 }],
  stopGradient: () => [{ name: "typical", inputs: [floats([5])], build: stopGradient, ulps: 0 }],
  customGradient: () => [
    {
      name: "two outputs",
      inputs: [floats([3], -2, 2, 1), floats([3], -2, 2, 2)],
      build: (a, b) => customGradient([a, b], [a, b], (dy) => dy),
      gradient: true,
      ulps: 0,
    },
  ],
};
