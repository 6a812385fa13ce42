/** The losses of a compiled model: one per output, weighted and summed, with the penalties of the layers. */
import { foldName, type KerasObject } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import { maskOf } from "../layers/mask.ts";
import { Loss, lossFromFunction, lossRegistry } from "../losses/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { CompileOptions, LossLike } from "./options.ts";
import { perOutput } from "./outputs.ts";

const isLossLike = (x: unknown): x is LossLike =>
  typeof x === "string" ||
  typeof x === "function" ||
  x instanceof Loss ||
  (x !== null && typeof x === "object" && "class_name" in x);

function lossOf(given: LossLike): Loss {
  if (typeof given === "function") return lossFromFunction(given);
  return lossRegistry.get(given as string | Loss | KerasObject);
}

/** Losses resolved for a model's outputs. */
export class CompiledLoss {
  /** One per output; null where an output has no loss. */
  readonly losses: readonly (Loss | null)[];
  readonly weights: readonly number[];
  readonly names: readonly string[];

  constructor(options: CompileOptions, outputNames: readonly string[], count: number) {
    this.names = outputNames;
    this.losses = perOutput<LossLike>(options.loss, outputNames, count, "loss", isLossLike).map((l) =>
      l === null ? null : lossOf(l),
    );
    const isNumber = (x: unknown): x is number => typeof x === "number";
    this.weights = perOutput<number>(options.lossWeights, outputNames, count, "lossWeights", isNumber).map(
      (w) => w ?? 1,
    );
  }
  get several(): boolean {
    return this.losses.length > 1;
  }
  /** The total (a scalar) and the loss of each output before its factor. */
  compute(
    yTrue: readonly (Tensor | null)[],
    yPred: readonly Tensor[],
    weights: readonly (Tensor | null)[],
    extra: readonly Tensor[],
  ): { total: Tensor; each: (Tensor | null)[] } {
    const each = this.losses.map((loss, i) => {
      if (loss === null) return null;
      const target = yTrue[i];
      if (!target)
        throw new LayerwiseError("a loss needs targets", {
          code: "E304",
          received: `no targets for output ${this.names[i] ?? i}`,
          expected: "y in fit(x, y)",
        });
      return loss.apply(target, yPred[i], weights[i], maskOf(yPred[i]));
    });
    const terms = each.flatMap((value, i) =>
      value === null ? [] : [this.weights[i] === 1 ? value : value.mul(this.weights[i])],
    );
    const all = [...terms, ...extra];
    if (all.length === 0) {
      throw new LayerwiseError("there is nothing to train on", {
        code: "E304",
        received: "no loss",
        expected: 'compile({ loss: "meanSquaredError" }), or layers that add losses',
      });
    }
    return { total: all.slice(1).reduce((a, b) => a.add(b), all[0]), each };
  }
}

/** Whether a loss is of a family: "sparseCategoricalCrossentropy", … */
export function isLossNamed(loss: Loss | null, ...names: string[]): boolean {
  return loss !== null && names.some((n) => foldName(n) === foldName(loss.spec?.className ?? ""));
}
