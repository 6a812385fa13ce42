/** Silent mistakes that are certain from the model, the loss and the targets; each refused or said once, with its fix. */
import { LayerwiseError } from "../errors.ts";
import type { Open } from "../layers/infer.ts";
import type { Layer } from "../layers/layer.ts";
import { isSymbolic, symbolicLeaves } from "../layers/symbolic.ts";
import type { Loss } from "../losses/index.ts";
import type { Model } from "../models/model.ts";
import { currentSettings } from "../tensor/config.ts";
import { checkDenseTargets, checkSparseLabels } from "./checks.ts";
import { type CompiledLoss, isLossNamed } from "./compile-loss.ts";
import type { RowSource } from "./data.ts";

/** The layer that gives an output, and its activation ("unknown" where it cannot be told). */
interface FinalLayer {
  readonly layer: Layer;
  readonly activation: string;
}

/** What was warned of already, by model. */
const warned = new WeakMap<Layer, Set<string>>();

function warnOnce(model: Layer, code: string, text: string): void {
  if (currentSettings().silence.includes(code)) return;
  const seen = warned.get(model) ?? new Set();
  warned.set(model, seen);
  if (seen.has(code + text)) return;
  seen.add(code + text);
  console.warn(`${code}: ${text}`);
}

function finalLayer(layer: Layer): FinalLayer {
  // By their names, so that pages need not carry these layers.
  const { className } = layer.spec;
  if (className === "Softmax" || className === "ReLU") return { layer, activation: className.toLowerCase() };
  if ("activation" in layer.options) {
    return { layer, activation: (layer.options as unknown as { activation: { name: string } }).activation.name };
  }
  const inner = layer as Partial<Pick<Model, "layers">>;
  if (inner.layers && inner.layers.length > 0 && !isFunctional(layer))
    return finalLayer(inner.layers[inner.layers.length - 1]);
  return { layer, activation: "unknown" };
}

function isFunctional(layer: object): layer is { outputs: Parameters<typeof symbolicLeaves>[0] } {
  return "graph" in layer && "outputs" in layer;
}

/** The final layer of each output. */
function finalLayers(model: Model, count: number): FinalLayer[] {
  if (isFunctional(model))
    return symbolicLeaves(model.outputs)
      .filter(isSymbolic)
      .map((t) => finalLayer(t.layer));
  const isChain = "inputLayer" in model;
  return Array.from({ length: count }, () =>
    isChain ? finalLayer(model) : { layer: model as unknown as Layer, activation: "unknown" },
  );
}

const isFromLogits = (loss: Loss): boolean => (loss.options as { fromLogits?: boolean }).fromLogits === true;

/** Throws or warns for each output. Runs once per fit; labels are looked at row by row. */
export function checkMistakes(
  model: Model,
  compiled: CompiledLoss,
  targets: readonly RowSource[],
  outputs: readonly Open[],
): void {
  const finals = finalLayers(model, outputs.length);
  compiled.losses.forEach((loss, i) => {
    const final = finals[i];
    if (loss === null || !final) return;
    checkActivation(model, loss, final, outputs[i]);
    const y = targets[i];
    if (!y) return;
    const name = final.layer.describe();
    if (isLossNamed(loss, "SparseCategoricalCrossentropy")) checkSparseLabels(y, outputs[i].shape, name);
    else if (isBuiltIn(loss)) checkDenseTargets(y, outputs[i].shape, name, loss.spec.className);
  });
}

/** Losses of one's own may pair any shapes. */
function isBuiltIn(loss: Loss): boolean {
  return (
    loss.spec?.module === "keras.losses" &&
    !["CTC", "CategoricalGeneralizedCrossEntropy", "LossFunctionWrapper"].includes(loss.spec.className)
  );
}

function checkActivation(model: Model, loss: Loss, { layer, activation }: FinalLayer, output: Open): void {
  const name = loss.spec?.className ?? "";
  const units = output.shape[output.shape.length - 1];
  const binary = /^Binary(Focal)?Crossentropy$/.test(name);
  const categorical = /^(Sparse)?Categorical(Focal)?Crossentropy$/.test(name);
  const refuse = (message: string, expected: string, hint: string): never => {
    throw new LayerwiseError(message, {
      code: "L103",
      layer: layer.name,
      received: `${activation} with ${units} unit${units === 1 ? "" : "s"} and ${name}`,
      expected,
      hint,
    });
  };
  if (activation === "softmax" && units === 1) {
    refuse(
      `${layer.describe()} is a softmax over one unit: it always gives 1`,
      "two or more units, or a sigmoid",
      'activation: "sigmoid" with "binaryCrossentropy", or one unit per class',
    );
  }
  if (categorical && activation === "sigmoid" && units === 1) {
    refuse(
      `${layer.describe()} gives one probability, which a categorical loss cannot use`,
      "one unit per class with softmax",
      'use the loss "binaryCrossentropy"',
    );
  }
  if ((binary || categorical) && !isFromLogits(loss) && (activation === "relu" || activation === "tanh")) {
    refuse(
      `${layer.describe()} does not give probabilities`,
      binary ? "sigmoid" : "softmax",
      `activation: "${binary ? "sigmoid" : "softmax"}"`,
    );
  }
  if ((binary || categorical) && !isFromLogits(loss) && activation === "linear" && layer.className === "Dense") {
    throw new LayerwiseError(
      `${layer.describe()} gives logits, but ${name} expects probabilities: rows do not sum to 1`,
      {
        code: "L102",
        layer: layer.name,
        received: "a linear output",
        expected: binary ? "sigmoid" : "softmax",
        hint: `activation: "${binary ? "sigmoid" : "softmax"}" in the last layer, or fromLogits: true in the loss`,
      },
    );
  }
  const probability = activation === "softmax" || activation === "sigmoid" ? activation : null;
  if (isFromLogits(loss) && ((probability === "softmax" && categorical) || (probability === "sigmoid" && binary))) {
    warnOnce(
      model as unknown as Layer,
      "L101",
      `${layer.describe()} ends in ${probability}, and ${name} has fromLogits: true; the loss is computed from what the ${probability} was applied to. Drop one of the two.`,
    );
  }
}
