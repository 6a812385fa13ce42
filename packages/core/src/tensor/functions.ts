/** Function transformations: jit, grad, valueAndGrad, customGradient, stopGradient. */
import { gradients } from "../autodiff/gradients.ts";
import { formatShape, LayerwiseError } from "../errors.ts";
import type { Value } from "../graph/node.ts";
import * as g from "../graph/ops/index.ts";
import type { TypedArray } from "../graph/types.ts";
import { compileProgram, evaluateSync, hostData, type Program, runProgram } from "./engine.ts";
import { Tensor, type TensorLike, tensorFrom } from "./tensor.ts";
import { currentTrace, Trace, withTrace } from "./trace.ts";
import { flattenTree, type Tree, type TreeSpec } from "./tree.ts";

const isTensor = (x: unknown): x is Tensor => x instanceof Tensor;

/**
 * Compiles `fn` once per structure, shapes and dtypes of its arguments (trees of tensors; other values are compared by
 * content). Variables read and assigned inside become part of the program.
 */
export function jit<Args extends readonly unknown[], Result extends Tree<Tensor>>(
  fn: (...args: Args) => Result,
): ((...args: Args) => Result) & { readonly programs: number } {
  const cache = new Map<
    string,
    { program: Program; spec: TreeSpec; outputs: readonly Value[]; versions: () => boolean }
  >();
  const compiled = (...args: Args): Result => {
    if (currentTrace()) return fn(...args);
    const { leaves, spec } = flattenTree<Tensor>(args as unknown as Tree<Tensor>, isTensor);
    const key = `${spec.key}|${leaves.map((t) => `${t.dtype}[${t.shape}]`).join(";")}`;
    let entry = cache.get(key);
    if (entry && !entry.versions()) {
      entry.program.release();
      entry = undefined;
    }
    if (!entry) {
      const trace = new Trace();
      const inputs = leaves.map((t, i) => g.inputValue(`argument${i}`, t.value.type));
      const result = withTrace(trace, () => fn(...(spec.build(inputs.map((v) => new Tensor(v))) as unknown as Args)));
      const out = flattenTree<Tensor>(result, isTensor);
      const outputs = out.leaves.map((t) => t.value);
      const program = compileProgram({ name: fn.name || "jit", inputs, outputs, trace });
      const seen = [...trace.initial.keys(), ...trace.members.keys()].map((v) => [v, v.version] as const);
      entry = { program, spec: out.spec, outputs, versions: () => seen.every(([v, n]) => v.version === n) };
      cache.set(key, entry);
    }
    evaluateSync(leaves);
    const results = runProgram(
      entry.program,
      leaves.map((t) => hostData(t.value)),
    );
    return entry.spec.build(
      results.map((data: TypedArray, i) => tensorFrom(data, entry.outputs[i].shape, entry.outputs[i].dtype)),
    ) as Result;
  };
  Object.defineProperty(compiled, "programs", { get: () => cache.size });
  return compiled as ((...args: Args) => Result) & { readonly programs: number };
}

/**
 * The function's value and its gradient with respect to argument `argnum` (default 0; a tree of float tensors).
 * `fn` must return a scalar.
 */
export function valueAndGrad<Args extends readonly unknown[]>(
  fn: (...args: Args) => Tensor,
  argnum = 0,
): (...args: Args) => { value: Tensor; grad: Args[0] } {
  return (...args: Args) => {
    const { leaves, spec } = flattenTree<Tensor>(args[argnum] as Tree<Tensor>, isTensor);
    // What a loop hands in is the last step's result: computed here, each step is a program of its own, always the same.
    if (!currentTrace()) evaluateSync(leaves.filter((t) => Number.isFinite(t.value.node.depth)));
    // Fresh aliases, so that the same tensor reaching fn by another way counts as a constant.
    const aliases = leaves.map((t) => new Tensor(g.alias(t.value)));
    const called = [...args] as unknown[];
    called[argnum] = spec.build(aliases);
    const value = fn(...(called as unknown as Args));
    if (value.size !== 1) {
      throw new LayerwiseError("grad needs a function with a scalar result", {
        code: "E105",
        received: formatShape(value.shape),
        expected: "[]",
        hint: "sum or average the result",
      });
    }
    const seed = g.broadcastTo(g.scalar(1, value.dtype), value.shape);
    const found = gradients(
      [value.value],
      [seed],
      aliases.map((a) => a.value),
    );
    const grads = found.map((v, i) => new Tensor(v ?? g.broadcastTo(g.scalar(0, leaves[i].dtype), leaves[i].shape)));
    return { value, grad: spec.build(grads) as Args[0] };
  };
}

/** `valueAndGrad` without the value. */
export function grad<Args extends readonly unknown[]>(
  fn: (...args: Args) => Tensor,
  argnum = 0,
): (...args: Args) => Args[0] {
  const both = valueAndGrad(fn, argnum);
  return (...args: Args) => both(...args).grad;
}

/** The same value, through which no gradient flows. */
export function stopGradient(x: TensorLike): Tensor {
  return new Tensor(g.stopGradient(Tensor.of(x).value));
}

/**
 * A function with a gradient of its own: `f(...xs)` computes, `vjp(dy, xs, y)` returns the gradient of each x.
 */
export function customGradient(
  f: (...xs: Tensor[]) => Tensor,
  vjp: (dy: Tensor, xs: readonly Tensor[], y: Tensor) => readonly Tensor[],
): (...xs: TensorLike[]) => Tensor {
  return (...xs) => {
    const inputs = xs.map((x) => Tensor.of(x));
    const y = f(...inputs);
    const [out] = g.customGradient(
      [y.value],
      inputs.map((t) => t.value),
      (dys) => vjp(new Tensor(dys[0]), inputs, y).map((t) => t.value),
    );
    return new Tensor(out);
  };
}
