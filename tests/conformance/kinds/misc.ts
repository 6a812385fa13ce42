/** Cases of activations, schedules, regularizers and constraints. */
import { getActivation } from "../../../packages/core/src/activations/index.ts";
import { constraintRegistry } from "../../../packages/core/src/constraints/index.ts";
import { LayerwiseError } from "../../../packages/core/src/errors.ts";
import { regularizerRegistry } from "../../../packages/core/src/regularizers/index.ts";
import { scheduleRegistry } from "../../../packages/core/src/schedules/index.ts";
import { Tensor } from "../../../packages/core/src/tensor/tensor.ts";
import { type Case, compare, type GoldenTensor, goldenTensor, isGolden, resultOf, Skip } from "../cases.ts";
import { evaluate } from "../evaluate.ts";

const scalarOf = (x: number | GoldenTensor): GoldenTensor =>
  isGolden(x) ? x : { shape: [], dtype: "float32", data: [x] };

export function activationCase(c: Case): void {
  const input = c["input"] as GoldenTensor;
  let activation: ReturnType<typeof getActivation>;
  try {
    activation = getActivation(c.class);
  } catch (error) {
    if (error instanceof LayerwiseError) throw new Skip(c.class!);
    throw error;
  }
  const given = c["grad_cotangent"];
  const cotangent = isGolden(given) ? given : { ...input, data: Array.isArray(given) ? given : input.data.map(() => given) };
  const run = evaluate([goldenTensor(input)], ([x]) => ({ outputs: [activation.call(x)] }), [cotangent]);
  compare("output", run.outputs[0], c["output"], c.tol!.output!);
  if (c["grad"]) compare("gradient", run.inputGrads[0], c["grad"], c.tol!.grads ?? c.tol!.output!);
}

export function regularizerCase(c: Case): void {
  if (!regularizerRegistry.find(c.class!)) throw new Skip(c.class!);
  const regularizer = regularizerRegistry.fromConfig({ class_name: c.class!, config: c["kwargs"] });
  const cotangent = scalarOf(c["cotangent"] ?? 1);
  const run = evaluate([goldenTensor(c["input"])], ([x]) => ({ outputs: [regularizer.call(x)] }), [cotangent]);
  compare("value", run.outputs[0], scalarOf(c["value"]), c.tol!.output!);
  const grad = c["grad"] ?? c["grad_with_cotangent"];
  if (grad) compare("gradient", run.inputGrads[0], grad, c.tol!.grads ?? c.tol!.output!);
}

export function constraintCase(c: Case): void {
  if (!constraintRegistry.find(c.class!)) throw new Skip(c.class!);
  const constraint = constraintRegistry.fromConfig({ class_name: c.class!, config: c["kwargs"] });
  compare("output", resultOf(constraint.call(goldenTensor(c["input"]))), c["output"], c.tol!.output!);
}

export function scheduleCase(c: Case): void {
  if (!scheduleRegistry.find(c.class!)) throw new Skip(c.class!);
  const schedule = scheduleRegistry.fromConfig({ class_name: c.class!, config: c["kwargs"] });
  const steps = c["steps"] as number[];
  const run = evaluate(
    [],
    () => ({ outputs: steps.map((s) => schedule.call(Tensor.of(s, "i32"))) }),
    null,
  );
  c["values"].forEach((w: number | string, i: number) => {
    compare(`step ${steps[i]}`, run.outputs[i], { shape: [], dtype: "float32", data: [w] }, c.tol!.output!);
  });
}
