/** EinsumDense: activation(einsum(equation, x, kernel) + bias). */
import { activationField } from "../activations/index.ts";
import { defineSpec, either, int, type OptionsOf, shape, string } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import type { Initializer } from "../initializers/index.ts";
import { initializerRegistry } from "../initializers/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { oneShape, type ShapeTree } from "./arguments.ts";
import { activityFields, weightFields } from "./fields.ts";
import { Layer, layerFields, type Masking } from "./layer.ts";
import type { OpenShape } from "./symbolic.ts";

const spec = defineSpec("keras.layers", "EinsumDense", {
  ...layerFields,
  equation: string().doc('Einstein sum of the input and the kernel, such as "abc,cd->abd" or "...x,xy->...y"'),
  outputShape: either(int({ min: 1 }), shape()).doc(
    "sizes of the output without the batch; null where they follow from the input",
  ),
  activation: activationField(),
  biasAxes: string().nullable().doc("letters of the output axes that have a bias of their own; null: no bias"),
  ...weightFields("kernel", "glorotUniform"),
  ...weightFields("bias", "zeros"),
  ...activityFields,
});
export type EinsumDenseOptions = OptionsOf<typeof spec>;

interface EinsumPlan {
  readonly kernel: readonly number[];
  readonly bias: readonly number[] | null;
  /** Axes of the kernel that the input has, and that the output has. */
  readonly inputAxes: readonly number[];
  readonly outputAxes: readonly number[];
}

/** A dense layer over any axes: x and kernel are multiplied and summed as `equation` says. */
export class EinsumDense extends Layer<typeof spec> {
  static readonly spec = spec;
  /** A mask is carried where the axes that it speaks of, the first two, stay in place. */
  override readonly masking: Masking;
  override readonly castsIntegers = true;
  kernel!: Variable;
  bias: Variable | null = null;

  constructor(options: EinsumDenseOptions) {
    super(options, spec);
    this.masking = keepsSteps(this.options.equation) ? "pass" : "refuse";
  }
  override build(inputShape: ShapeTree): void {
    const input = oneShape(inputShape, this.name);
    const plan = this.plan(input);
    const o = this.options;
    this.kernel = this.addWeight({
      name: "kernel",
      shape: plan.kernel,
      initializer: withAxes(o.kernelInitializer, plan),
      regularizer: o.kernelRegularizer,
      constraint: o.kernelConstraint,
    });
    if (plan.bias) this.bias = this.addOptionWeight("bias", plan.bias);
    this.inputSpec = { ndim: input.length };
  }
  call(x: Tensor): Tensor {
    let y = ops.einsum(this.options.equation, x, this.read(this.kernel));
    if (this.bias) y = y.add(this.read(this.bias));
    return this.options.activation.call(y);
  }

  /** Shapes of the weights for an input shape. */
  private plan(input: OpenShape): EinsumPlan {
    const { equation, outputShape, biasAxes } = this.options;
    const partial = typeof outputShape === "number" ? [outputShape] : outputShape;
    const fail = (received: string, expected: string): never => {
      throw new LayerwiseError(`the equation of ${this.describe()} does not fit`, {
        code: "E103",
        layer: this.name,
        received,
        expected,
      });
    };
    const found = /^([a-zA-Z.]+),([a-zA-Z]+)->([a-zA-Z.]+)$/.exec(equation.replaceAll(" ", ""));
    if (!found) return fail(`"${equation}"`, '"input,kernel->output", such as "abc,cd->abd"');
    // An ellipsis stands for axes that the kernel does not have: letters outside the alphabet.
    const elided = found[1].includes("...") ? input.length - (found[1].length - 3) : 0;
    const fill = Array.from({ length: Math.max(0, elided) }, (_, i) => String.fromCharCode(0x4e00 + i)).join("");
    const ins = [...found[1].replace("...", fill)];
    const outs = [...found[3].replace("...", fill)];
    const weights = [...found[2]];
    if (ins.length !== input.length) fail(`an input of rank ${input.length}`, `rank ${ins.length} for "${equation}"`);
    const atEnd = found[1].endsWith("...");
    const head = atEnd || elided === 0 ? input.slice(0, 1) : input.slice(0, elided);
    const output = [...head, ...partial, ...(atEnd ? input.slice(input.length - elided) : [])];
    if (output.length !== outs.length)
      fail(`outputShape of ${partial.length} sizes`, `${outs.length - (output.length - partial.length)}`);
    const size = (letter: string): number => {
      const [i, o] = [ins.indexOf(letter), outs.indexOf(letter)];
      const known = (i >= 0 ? input[i] : null) ?? (o >= 0 ? output[o] : null);
      if (i >= 0 && o >= 0 && input[i] !== null && output[o] !== null && input[i] !== output[o])
        fail(`axis "${letter}" of size ${input[i]} in the input and ${output[o]} in the output`, "equal sizes");
      return known ?? fail(`axis "${letter}" of unknown size`, "a size in the input or in outputShape");
    };
    for (const letter of outs)
      if (!ins.includes(letter) && !weights.includes(letter))
        fail(`"${letter}" in the output alone`, "a letter of the input or kernel");
    const kernel = weights.map(size);
    const which = (labels: readonly string[]) => weights.flatMap((l, i) => (labels.includes(l) ? [i] : []));
    const axes = { inputAxes: which(ins), outputAxes: which(outs) };
    if (biasAxes === null) return { kernel, bias: null, ...axes };
    const strange = [...biasAxes].find((l) => !outs.includes(l));
    if (strange !== undefined) fail(`"${strange}" in biasAxes`, `letters of the output "${found[3]}"`);
    const first = Math.min(...[...biasAxes].map((l) => outs.indexOf(l)));
    const bias = outs.slice(first).map((l) => (biasAxes.includes(l) ? (output[outs.indexOf(l)] ?? size(l)) : 1));
    return { kernel, bias, ...axes };
  }
}

/** Whether the first two axes of input and output are the same ones. */
function keepsSteps(equation: string): boolean {
  const [inputs, output] = equation.replaceAll(" ", "").split("->");
  const start = (term: string) => (term.startsWith("...") ? "..." : term.slice(0, 2));
  return start(inputs) === start(output ?? "");
}

/** A variance-scaling initializer that is told which axes are inputs and outputs; others as they are. */
function withAxes(initializer: Initializer, { inputAxes, outputAxes }: EinsumPlan): Initializer {
  const options = initializer.options as { readonly inputAxes?: unknown; readonly outputAxes?: unknown };
  if (!("inputAxes" in options) || (options.inputAxes !== null && options.outputAxes !== null)) return initializer;
  const Class = initializerRegistry.classOf(initializer.spec.className);
  return new Class({ ...options, inputAxes, outputAxes });
}

/** `einsumDense("abc,cd->abd", [null, 64], { biasAxes: "d" })`: a dense layer over any axes. */
export const einsumDense = (
  equation: string,
  outputShape: EinsumDenseOptions["outputShape"],
  options: Omit<EinsumDenseOptions, "equation" | "outputShape"> = {},
): EinsumDense => new EinsumDense({ ...options, equation, outputShape });
