/** Cases of metrics: the result after each batch, and after a reset. */
import { metricRegistry } from "../../../packages/core/src/metrics/index.ts";
import type { Tensor } from "../../../packages/core/src/tensor/tensor.ts";
import { type Any, type Case, compare, type GoldenTensor, goldenTensor, Skip } from "../cases.ts";
import { evaluate } from "../evaluate.ts";

export function metricCase(c: Case): void {
  if (!metricRegistry.find(c.class!)) throw new Skip(c.class!);
  const metric: Any = metricRegistry.fromConfig({ class_name: c.class!, config: c["kwargs"] });
  const result = (what: string, want: GoldenTensor | null) => {
    if (!want) return;
    const run = evaluate([], () => ({ outputs: [metric.result()] }), null);
    compare(what, run.outputs[0], want, c.tol!.output!);
  };
  c["batches"].forEach((batch: Any, k: number) => {
    const args = batch.args.map(goldenTensor) as Tensor[];
    const weight = batch.sample_weight ? goldenTensor(batch.sample_weight) : null;
    // Without results a program may be only writes.
    evaluate(
      weight ? [...args, weight] : args,
      (xs) => {
        metric.updateState(...xs.slice(0, args.length), weight ? xs[args.length] : undefined);
        return { outputs: [] };
      },
      null,
    );
    result(`result after batch ${k}`, c["result_after_each_batch"][k]);
  });
  metric.resetState();
  result("result after reset", c["result_after_reset"] ?? null);
}
