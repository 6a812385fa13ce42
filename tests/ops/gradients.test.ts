/** The op suite on the reference: every record is documented, sampled, and its gradients are those of finite differences. */
import { describe, expect, test } from "vitest";
import { gradients } from "../../packages/core/src/autodiff/gradients.ts";
import { catalog } from "../../packages/core/src/graph/ops/catalog.ts";
import { broadcastTo, cast, inputValue, mul, scalar } from "../../packages/core/src/graph/ops/index.ts";
import { evaluate } from "../../packages/core/src/graph/reference/evaluate.ts";
import { isFloat } from "../../packages/core/src/graph/types.ts";
import { buildSample, compareGradients, cotangents } from "./differences.ts";
import { randomGraph } from "./random-graphs.ts";

/** Ops that round, so that differences of nearby values say nothing; tested by hand below. */
const rounding = ["cast"];
/** Ops whose gradient is an error; tested with the loops. */
const refusing = ["while"];

test("the gradient of a cast is cast back", () => {
  const x = inputValue("x", { shape: [2], dtype: "f32" });
  const y = mul(cast(x, "f16"), scalar(2, "f16"));
  const [dx] = gradients([y], [broadcastTo(scalar(1, "f16"), [2])], [x]);
  expect(dx!.dtype).toBe("f32");
  expect(Array.from(evaluate([dx!])[0].data)).toEqual([2, 2]);
  const integer = cast(cast(x, "i32"), "f32");
  expect(gradients([integer], [broadcastTo(scalar(1), [2])], [x])).toEqual([null]);
});

for (const { family, record, reference, docs, samples } of catalog()) {
  describe(`${family}: ${record.name}`, () => {
    test("is documented, has a reference and samples", () => {
      expect(reference, "references").toBeTypeOf("function");
      expect(docs, "docs").toBeTypeOf("string");
      expect(samples?.().length, "samples").toBeGreaterThan(0);
    });
    const list = samples?.() ?? [];
    test("samples have names of their own", () => {
      expect(new Set(list.map((s) => s.name)).size).toBe(list.length);
    });
    if (record.gradient !== "none" && ![...rounding, ...refusing].includes(record.name)) {
      test("its gradient is sampled", () => {
        expect(list.some((s) => s.gradient)).toBe(true);
      });
    }
    for (const sample of list) {
      test(sample.name, () => {
        const { inputs, feed, outputs } = buildSample(sample);
        evaluate(outputs, feed);
        if (!sample.gradient) return;
        const weights = cotangents(outputs);
        expect(compareGradients(inputs, feed, outputs, weights)).toBeNull();
        if (!sample.second) return;
        const first = gradients(
          outputs,
          weights,
          inputs.filter((v) => isFloat(v.dtype)),
        ).filter((g) => g !== null);
        expect(compareGradients(inputs, feed, first, cotangents(first, 99)), "second derivative").toBeNull();
      });
    }
  });
}

describe("random graphs", () => {
  for (let seed = 1; seed <= 60; seed++) {
    test(`seed ${seed}`, () => {
      const { inputs, feed, outputs } = buildSample(randomGraph(seed));
      expect(compareGradients(inputs, feed, outputs, cotangents(outputs), 2e-5, 5)).toBeNull();
    });
  }
});
