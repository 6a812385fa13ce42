/** Cases of losses: value, and gradient in the predictions. */
import { lossRegistry } from "../../../packages/core/src/losses/index.ts";
import { type Case, compare, goldenTensor, Skip } from "../cases.ts";
import { evaluate } from "../evaluate.ts";

export function lossCase(c: Case): void {
  if (!lossRegistry.find(c.class!)) throw new Skip(c.class!);
  const loss = lossRegistry.fromConfig({ class_name: c.class!, config: c["kwargs"] });
  const target = goldenTensor(c["y_true"]);
  const weight = c["sample_weight"] ? goldenTensor(c["sample_weight"]) : null;
  const ones = { ...c["value"], data: c["value"].data.map(() => 1) };
  const run = evaluate(
    [goldenTensor(c["y_pred"])],
    ([p]) => ({ outputs: [loss.apply(target, p, weight)] }),
    [c["cotangent"] ?? ones],
  );
  compare("value", run.outputs[0], c["value"], c.tol!.output!);
  if (c["grad_y_pred"]) compare("gradient", run.inputGrads[0], c["grad_y_pred"], c.tol!.grads ?? c.tol!.output!);
}
