/** Cases of whole networks: graphs and mask propagation. */
import type { Layer } from "../../../packages/core/src/layers/layer.ts";
import { maskOf } from "../../../packages/core/src/layers/mask.ts";
import { layerFromConfig } from "../../../packages/core/src/models/registry.ts";
import { Tensor } from "../../../packages/core/src/tensor/tensor.ts";
import { type Any, type Case, compare, goldenLeaves, Skip, tensorTree } from "../cases.ts";
import { evaluate, tensorLeaves } from "../evaluate.ts";
import { assignWeights, checkGradients, missingLayers } from "./layer.ts";

/** A model of a saved config; skips where it has layers that do not exist here. */
export function modelOf(config: Any): Layer {
  const missing = missingLayers(config);
  if (missing.length > 0) throw new Skip(missing[0]);
  return layerFromConfig(config);
}

export function networkCase(c: Case): void {
  const model = modelOf(c["config"]);
  const inputs = c["inputs"].map(tensorTree) as Tensor[];
  const shapes = inputs.map((t) => [null, ...t.shape.slice(1)]);
  if (!model.built) model.buildFor(shapes.length === 1 ? shapes[0] : shapes);
  assignWeights(model, c["weights"]);
  const one = Tensor.of(1);
  const run = evaluate(
    inputs,
    (xs) => {
      const outputs = tensorLeaves(model.apply<Tensor>(xs.length === 1 ? xs[0] : xs, { training: false }));
      return { outputs, extra: outputs.map((t) => maskOf(t) ?? one) };
    },
    c["grads"] ? c["cotangent"] : null,
    model.trainableWeights,
  );
  const wanted = goldenLeaves(c["output"]);
  if (wanted.length !== run.outputs.length) throw new Error(`${run.outputs.length} outputs, expected ${wanted.length}`);
  wanted.forEach((w, i) => {
    compare(`output ${i}`, run.outputs[i], w, c.tol!.output!);
  });
  const masks = c["output_masks"];
  (Array.isArray(masks) ? masks : masks === undefined ? [] : [masks]).forEach((w: Any, i: number) => {
    if (w) compare(`mask ${i}`, run.extra[i], w, 0);
    else if (run.extra[i].shape.length > 0) throw new Error(`output ${i} has a mask`);
  });
  if (c["grads"]) checkGradients(c, run.weightGrads, run.inputGrads);
}
