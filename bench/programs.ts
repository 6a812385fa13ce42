/** What the benchmarks measure: the reference programs, and a GPT step that is too long to be among them. */
import { losses, optimizers, type Tensor } from "layerwise";
import { createGpt } from "../examples/gpt.ts";
import {
  type ProgramInput,
  type ProgramName,
  programs as reference,
  inputs as referenceInputs,
} from "../examples/reference/index.ts";

export type BenchName = ProgramName | "GPT";

interface BenchInput extends ProgramInput {
  /** Shape of a sample's targets; one number by default. */
  readonly targets?: readonly number[];
}
interface BenchProgram {
  createModel(): ReturnType<(typeof reference)["R1"]["createModel"]> | ReturnType<typeof createGpt>;
  prepare(data: { readonly x: Tensor; readonly y: Tensor }): { readonly x: Tensor; readonly y: Tensor };
}

const length = 128;

/** 6 blocks, 6 heads, width 384, 128 characters of 65, AdamW, no dropout: 10.7 million parameters. */
const GPT: BenchProgram = {
  createModel() {
    const model = createGpt();
    model.compile({
      optimizer: optimizers.adamW({ learningRate: 0.001 }),
      loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
    });
    return model;
  },
  prepare: (data) => data,
};

export const programs: Readonly<Record<BenchName, BenchProgram>> = { ...reference, GPT };
export const inputs: Readonly<Record<BenchName, BenchInput>> = {
  ...referenceInputs,
  GPT: { image: [length], batchSize: 32, values: 65, classes: 65, targets: [length] },
};

/** What runs without `--only`. */
export const usual = Object.keys(reference) as ProgramName[];
export const isBenchName = (name: string): name is BenchName => Object.hasOwn(programs, name);
