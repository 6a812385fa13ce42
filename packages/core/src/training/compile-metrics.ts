/** The metrics of a compiled model: which, on which output, under which name, weighted or not. */
import { foldName, type KerasObject } from "../config/index.ts";
import type { OpenShape } from "../layers/symbolic.ts";
import { Metric, metricFromFunction, metricRegistry } from "../metrics/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { CompileOptions, MetricLike } from "./options.ts";
import { perOutput } from "./outputs.ts";

interface Attached {
  readonly metric: Metric;
  readonly output: number;
  /** Name in the logs. */
  readonly name: string;
  readonly weighted: boolean;
}

const isOne = (x: unknown): x is MetricLike =>
  typeof x === "string" ||
  typeof x === "function" ||
  x instanceof Metric ||
  (x !== null && typeof x === "object" && "class_name" in x);

/** Shapes of targets and outputs, by which "accuracy" chooses its class. */
export interface MetricShapes {
  readonly yTrue: readonly (OpenShape | null)[];
  readonly yPred: readonly OpenShape[];
}

export class CompiledMetrics {
  readonly attached: readonly Attached[];

  constructor(options: CompileOptions, outputNames: readonly string[], shapes: MetricShapes) {
    const count = shapes.yPred.length;
    const lists = (given: unknown) => metricLists(given, outputNames, count);
    const make = (given: unknown, weighted: boolean): Attached[] =>
      lists(given).flatMap((list, output) =>
        list.map((like) => {
          const [metric, plain] = metricOf(like, shapes.yTrue[output], shapes.yPred[output]);
          const prefix = count > 1 ? `${outputNames[output] ?? `output_${output}`}_` : "";
          return { metric, output, name: prefix + plain, weighted };
        }),
      );
    const all = [...make(options.metrics, false), ...make(options.weightedMetrics, true)];
    const used = new Set<string>();
    this.attached = all.map((a) => {
      let name = a.weighted && used.has(a.name) ? `weighted_${a.name}` : a.name;
      for (let k = 1; used.has(name); k++) name = `${a.name}_${k}`;
      used.add(name);
      return { ...a, name };
    });
  }
  update(yTrue: readonly (Tensor | null)[], yPred: readonly Tensor[], weights: readonly (Tensor | null)[]): void {
    for (const { metric, output, weighted } of this.attached) {
      const target = yTrue[output];
      if (!target) continue;
      metric.updateState(target, yPred[output], weighted ? weights[output] : null);
    }
  }
}

/** Lists of metrics by output: a single output takes a plain list. */
function metricLists(given: unknown, names: readonly string[], count: number): MetricLike[][] {
  if (given === null || given === undefined) return Array.from({ length: count }, () => []);
  const asList = (x: unknown): MetricLike[] =>
    x === null || x === undefined ? [] : isOne(x) ? [x] : (x as MetricLike[]).filter((m) => m !== null);
  if (count === 1 && isOne(given)) return [[given]];
  if (count === 1 && Array.isArray(given))
    return [(given as unknown[]).flat().filter((m) => m !== null) as MetricLike[]];
  const isEntry = (x: unknown): x is MetricLike | MetricLike[] =>
    isOne(x) || (Array.isArray(x) && (x as unknown[]).every((m) => m === null || isOne(m)));
  if (Array.isArray(given) && given.length === count) return given.map(asList);
  return perOutput(given, names, count, "metrics", isEntry).map(asList);
}

function metricOf(like: MetricLike, yTrue: OpenShape | null, yPred: OpenShape): [Metric, string] {
  if (typeof like === "function") return [metricFromFunction(like), like.name || "metric"];
  if (like instanceof Metric) return [like, like.name];
  if (typeof like !== "string") {
    const metric = metricRegistry.get(like as KerasObject);
    return [metric, metric.name];
  }
  const folded = foldName(like);
  if (folded === "accuracy" || folded === "acc") return [metricRegistry.get(`${family(yTrue, yPred)}Accuracy`), like];
  if (folded === "crossentropy" || folded === "ce")
    return [metricRegistry.get(`${family(yTrue, yPred)}Crossentropy`), like];
  return [metricRegistry.get(like), like];
}

/** binary, categorical or sparseCategorical, as Keras chooses by the shapes. */
function family(yTrue: OpenShape | null, yPred: OpenShape): "binary" | "sparseCategorical" | "categorical" {
  const last = yPred[yPred.length - 1];
  if (last === 1) return "binary";
  if (yTrue && (yTrue.length < yPred.length || yTrue[yTrue.length - 1] === 1) && last !== null && last > 1)
    return "sparseCategorical";
  return "categorical";
}
