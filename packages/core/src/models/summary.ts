/** The table of a model's layers: type, output shape, parameters, memory, arithmetic, locks on frozen layers. */
import { snakeClassName } from "../config/index.ts";
import { formatShape, LayerwiseError } from "../errors.ts";
import { type Node, topological } from "../graph/node.ts";
import { constantValue, inputValue } from "../graph/ops/index.ts";
import { sizeOf } from "../graph/types.ts";
import { isShape, isTensor, mapTree, treeLeaves } from "../layers/arguments.ts";
import { InputLayer } from "../layers/input-layer.ts";
import type { Layer } from "../layers/layer.ts";
import { inScope } from "../layers/scope.ts";
import { Tensor } from "../tensor/tensor.ts";
import { Trace, withTrace } from "../tensor/trace.ts";
import type { Model } from "./model.ts";

export interface SummaryOptions {
  /** Takes the text (default: prints it). */
  readonly print?: ((text: string) => void) | undefined;
}

/** Floating-point operations of one sample through a layer, from the costs of the ops that `call` makes. */
function flopsPerSample(layer: Layer): number {
  const { buildShape } = layer;
  if (buildShape === null || layer.hostStage) return 0;
  const counted = withTrace(new Trace(), () =>
    inScope(
      {
        training: false,
        losses: [],
        path: "",
        calls: 0,
        seed: 0,
        step: () => constantValue(Uint32Array.of(0), { shape: [], dtype: "u32" }),
      },
      () => {
        const inputs = mapTree(
          buildShape,
          isShape,
          (s) => new Tensor(inputValue("x", { shape: s.map((d) => d ?? 1), dtype: layer.dtypePolicy.compute })),
        );
        const outputs = layer.apply<Tensor>(inputs as Tensor);
        return topological(treeLeaves(outputs, isTensor).map((t) => t.value)).reduce((n, node) => n + flopsOf(node), 0);
      },
    ),
  );
  return counted;
}

function flopsOf(node: Node): number {
  const { op } = node;
  if (op.flops)
    return op.flops(
      node.inputs.map((v) => v.type),
      node.types,
      node.attrs,
    );
  if (op.kernel.kind === "map") return op.kernel.flops * sizeOf(node.types[0].shape);
  if (op.kernel.kind === "reduce") return sizeOf(node.inputs[0].shape);
  return 0;
}

/** The text of `model.summary()`. */
export function modelSummary(model: Model, options: SummaryOptions): string {
  if (!model.built) {
    throw new LayerwiseError(`summary of ${model.describe()} needs a known input shape`, {
      code: "E204",
      layer: model.name,
      received: "a model that is not built",
      expected: "a known input shape",
      hint: "give inputShape to the first layer, call build([null, …]), or fit first",
    });
  }
  const head = ["layer", "type", "output", "parameters", "memory", "MFLOPs", ""];
  const shapes = model.inferred;
  const rows = model.layers.map((layer, i) => {
    const params = layer.weights.reduce((n, v) => n + v.size, 0);
    const bytes = layer.weights.reduce((n, v) => n + v.bytes, 0);
    const known = shapes[i]?.shape ?? (layer instanceof InputLayer ? layer.batchShape : null);
    const flops = layer instanceof InputLayer ? 0 : flopsPerSample(layer);
    const frozen = layer.weights.length > 0 && layer.trainableWeights.length === 0;
    return [
      layer.name,
      snakeClassName(layer.className),
      known ? formatShape(known) : "?",
      grouped(params),
      params === 0 ? "" : memory(bytes),
      flops === 0 ? "" : megaflops(flops),
      frozen ? "🔒" : "",
    ];
  });
  const widths = head.map((h, c) => Math.max(h.length, ...rows.map((r) => r[c].length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((c, i) => (i >= 3 && i <= 5 ? c.padStart(widths[i]) : c.padEnd(widths[i])))
      .join("  ")
      .trimEnd();
  const total = model.weights.reduce((n, v) => n + v.size, 0);
  const trainable = model.trainableWeights.reduce((n, v) => n + v.size, 0);
  const bytes = model.weights.reduce((n, v) => n + v.bytes, 0);
  const rule = "─".repeat(widths.reduce((n, w) => n + w + 2, -2));
  const text = [
    `${model.describe()}`,
    line(head),
    rule,
    ...rows.map(line),
    rule,
    `parameters ${grouped(total)} (${memory(bytes)}): ${grouped(trainable)} trainable, ${grouped(total - trainable)} not`,
  ].join("\n");
  (options.print ?? console.log)(text);
  return text;
}

function megaflops(flops: number): string {
  return flops < 1e4 ? "<0.01" : (flops / 1e6).toFixed(2);
}
function grouped(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ",");
}
function memory(bytes: number): string {
  if (bytes < 1024) return `${bytes} B`;
  if (bytes < 1024 ** 2) return `${(bytes / 1024).toFixed(1)} KiB`;
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}
