/** Which function runs which kind of case. */
import { type Case, Skip } from "../cases.ts";
import { callbackCase } from "./callback.ts";
import { initializerCase } from "./initializer.ts";
import { layerCallsCase, layerCase, layerFactsCase } from "./layer.ts";
import { lossCase } from "./loss.ts";
import { metricCase } from "./metric.ts";
import { activationCase, constraintCase, regularizerCase, scheduleCase } from "./misc.ts";
import { modelCase } from "./model.ts";
import { networkCase } from "./network.ts";
import { opCase } from "./op.ts";
import { optimizerCase } from "./optimizer.ts";
import { seedCase } from "./seed.ts";

const kinds: Record<string, (c: Case) => void | Promise<void>> = {
  layer: layerCase,
  layer_facts: layerFactsCase,
  layer_calls: layerCallsCase,
  network: networkCase,
  op: opCase,
  loss: lossCase,
  metric: metricCase,
  optimizer: optimizerCase,
  activation: activationCase,
  schedule: scheduleCase,
  regularizer: regularizerCase,
  constraint: constraintCase,
  initializer: initializerCase,
  callback: callbackCase,
  model: modelCase,
  seed_program: seedCase,
};

/** Throws `Skip` for what does not exist yet, another error where a number is wrong. */
export async function runCase(c: Case): Promise<void> {
  const run = kinds[c.kind];
  if (!run) throw new Skip(c.class ?? c.kind);
  await run(c);
}
