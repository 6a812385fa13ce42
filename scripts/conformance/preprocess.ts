/** How preprocessing cases are run: lookups, hashes, text and statistics, adapted first where the case says so. */
import { StringTensor, Tensor } from "@layerwise/core";
import { layerRegistry } from "../../packages/core/src/models/registry.ts";
import { type Case, compareArrays, compareTree, type GoldenTensor, Mismatch, toTensor } from "./cases.ts";
import { construct } from "./kinds.ts";

type Value = Tensor | StringTensor;
const toValue = (g: GoldenTensor): Value =>
  g.dtype === "string" ? new StringTensor(g.data as string[], g.shape) : toTensor(g);

function compareValue(what: string, got: unknown, want: GoldenTensor, tol: number): void {
  if (!(got instanceof StringTensor)) {
    if (!(got instanceof Tensor)) throw new Mismatch(`${what} is ${String(got)}`);
    compareTree(what, got, want, tol);
  } else if (String(got.shape) !== String(want.shape) || got.data.some((s, i) => s !== want.data[i])) {
    throw new Mismatch(`${what}: ${JSON.stringify(got)}, expected ${JSON.stringify(want)}`);
  }
}

export function runPreprocess(c: Case): void {
  const layer = construct(layerRegistry(), c.class!, c["kwargs"]);
  const inputs = (c["inputs"] as GoldenTensor[]).map(toValue);
  if (c["adapt_data"]) layer.adapt(toValue(c["adapt_data"]));
  const run = (l: typeof layer) => {
    const y = l.apply(inputs.length === 1 ? inputs[0] : inputs);
    compareValue("output", y, c["output"], c.tol?.output ?? 1e-6);
  };
  run(layer);
  if (c["vocabulary"]) {
    const got = JSON.stringify(layer.getVocabulary());
    if (got !== JSON.stringify(c["vocabulary"])) throw new Mismatch(`vocabulary ${got}, expected ${c["vocabulary"]}`);
  }
  if (c["bin_boundaries"]) {
    const want = c["bin_boundaries"] as number[];
    compareArrays(
      "boundaries",
      layer.binBoundaries,
      [want.length],
      { shape: [want.length], dtype: "float32", data: want },
      1e-6,
    );
  }
  // What was learned is part of the saved form (weights are saved apart).
  const copy = layerRegistry().fromConfig(layer.toConfig());
  if (layer.weights.length === 0) run(copy);
}
