/** Scores of the next token for growing sequences: step by step with what layers keep, or over the whole sequence anew. */
import { LayerwiseError } from "../errors.ts";
import { hostForm, isTensor, mapTree, type TensorTree, treeLeaves } from "../layers/arguments.ts";
import type { Layer } from "../layers/layer.ts";
import type { Model } from "../models/model.ts";
import { jit } from "../tensor/functions.ts";
import { Tensor, tensorFrom } from "../tensor/tensor.ts";
import type { Tree } from "../tensor/tree.ts";
import { Variable } from "../tensor/variable.ts";
import { planSteps, type StepPlan } from "./step-plan.ts";

/** One sequence that grows. */
export interface Session {
  /** Scores f32 [V] of the token after `ids`, which must begin with the ids of the call before. */
  scores(ids: readonly number[]): Float32Array;
  readonly cached: boolean;
  busy: boolean;
}

const idTensor = (ids: readonly number[]) => tensorFrom(Int32Array.from(ids), [1, ids.length], "i32");

/** The last row of scores: [1, T, V] or [1, V] → [V]. */
function lastScores(output: TensorTree, at: Tensor | null, owner: string): Tensor {
  const y = isTensor(output) ? output : null;
  if (y?.ndim === 2) return y.reshape([y.shape[1]]);
  if (y?.ndim === 3) {
    const [, t, v] = y.shape;
    if (at === null) return y.slice([0, t - 1, 0], [1, 1, v]).reshape([v]);
    return y.reshape([t, v]).take(at, 0).reshape([v]);
  }
  throw new LayerwiseError(`${owner} does not give scores of a next token`, {
    code: "E407",
    layer: owner,
    received: y ? `outputs of rank ${y.ndim}` : "several outputs",
    expected: "[N, T, V] or [N, V] for ids [N, T]",
  });
}

/** Steps that one run takes: few sizes mean few programs, whatever the lengths of prompts. */
const chunks = [512, 64, 8, 1];

/** Steps with caches that live on the device, as variables of the program. */
class CachedSession implements Session {
  readonly cached = true;
  busy = false;
  private readonly initial: readonly TensorTree[];
  private readonly variables: readonly Variable[];
  private readonly limit: number;
  private readonly run: (ids: Tensor, position: Tensor) => Tensor;
  private seen: readonly number[] = [];
  /** Steps in the caches; fewer than `seen` once the context has been cut. */
  private position = 0;

  constructor(model: Model, plan: StepPlan, limit: number, room: number) {
    this.limit = limit;
    this.initial = plan.keepers.map((k) => k.initialCache(1, room));
    this.variables = treeLeaves(this.initial, isTensor).map(
      (t) => new Variable(hostForm(t.dataSync(), t.dtype), t.shape, t.dtype, { name: "cache", trainable: false }),
    );
    this.run = jit((ids: Tensor, position: Tensor) => {
      let next = 0;
      const current = this.initial.map((tree) => mapTree(tree, isTensor, () => this.variables[next++].read()));
      const after: TensorTree[] = [];
      let call = 0;
      const y = plan.run(ids, { position, take: () => current[call++] as TensorTree, put: (c) => after.push(c) });
      treeLeaves(after, isTensor).forEach((t, i) => {
        this.variables[i].assign(t.dtype === this.variables[i].dtype ? t : t.cast(this.variables[i].dtype));
      });
      return lastScores(y, null, model.describe());
    });
  }
  private reset(): void {
    treeLeaves(this.initial, isTensor).forEach((t, i) => {
      this.variables[i].overwrite(hostForm(t.dataSync(), t.dtype));
    });
    this.position = 0;
    this.seen = [];
  }
  scores(ids: readonly number[]): Float32Array {
    const goesOn = this.seen.length > 0 && this.seen.length < ids.length && this.seen.every((id, i) => ids[i] === id);
    if (!goesOn) this.reset();
    let fresh = ids.slice(this.seen.length);
    if (this.position + fresh.length > this.limit) {
      // The context is full: the model goes on from its last half.
      this.reset();
      fresh = ids.slice(-Math.max(1, Math.floor(this.limit / 2)));
    }
    let scores: Tensor | null = null;
    for (let from = 0; from < fresh.length; ) {
      const rows = chunks.find((c) => c <= fresh.length - from)!;
      scores = this.run(idTensor(fresh.slice(from, from + rows)), Tensor.of(this.position, "i32"));
      this.position += rows;
      from += rows;
    }
    this.seen = [...ids];
    return scores!.dataSync() as Float32Array;
  }
}

/** The whole sequence for each token, or its end where the model has a fixed length. */
class WholeSession implements Session {
  readonly cached = false;
  busy = false;
  private readonly model: Model;
  private readonly length: number | null;
  private readonly limit: number;
  private readonly perStep: boolean;
  private readonly run: (ids: Tensor, at: Tensor) => Tensor;

  constructor(model: Model, length: number | null, limit: number, perStep: boolean) {
    this.model = model;
    this.length = length;
    this.limit = limit;
    this.perStep = perStep;
    this.run = jit((ids: Tensor, at: Tensor) =>
      lastScores(this.model.apply<TensorTree>(ids), this.perStep ? at : null, this.model.describe()),
    );
  }
  scores(ids: readonly number[]): Float32Array {
    const seen = ids.slice(-Math.min(this.limit, ids.length));
    const pad = (n: number) => new Array<number>(Math.max(0, n - seen.length)).fill(0);
    let row: readonly number[] = seen;
    // Scores of a step do not depend on later ones, so padding behind changes nothing; lengths in powers of two keep the
    // number of programs small. A model with one row of scores sees the end of the text, with zeros in front.
    if (this.perStep)
      row = [
        ...seen,
        ...pad(this.length ?? Math.min(this.limit, 2 ** Math.ceil(Math.log2(Math.max(16, seen.length))))),
      ];
    else if (this.length !== null) row = [...pad(this.length), ...seen];
    return this.run(idTensor(row), Tensor.of([seen.length - 1], "i32")).dataSync() as Float32Array;
  }
}

/** Longest sequence a model can see: its fixed length, or the number of its positions. */
function contextLimit(model: Layer, length: number | null): number {
  let limit = length ?? Number.POSITIVE_INFINITY;
  const visit = (layer: Layer) => {
    const { sequenceLength } = layer.options as { readonly sequenceLength?: number };
    if (layer.timewise && typeof sequenceLength === "number") limit = Math.min(limit, sequenceLength);
    for (const inner of layer.subLayers) visit(inner);
  };
  visit(model);
  return limit;
}

const sessions = new WeakMap<Model, Map<string, Session[]>>();

/** A session of the model that nobody uses, for sequences of up to `maxLength` tokens. */
export function openSession(model: Model, maxLength: number, useCache: boolean): Session {
  const shape = model.buildShape as Tree<number | null>;
  const length = (shape as readonly (number | null)[])[1] ?? null;
  const limit = contextLimit(model as unknown as Layer, length);
  const plan = useCache ? planSteps(model as unknown as Layer) : null;
  // A model with a small context has one session for all lengths; a large one grows in powers of two.
  const capacity = limit <= 1024 ? limit : Math.min(limit, 2 ** Math.ceil(Math.log2(Math.max(128, maxLength))));
  const key = `${plan !== null}|${capacity}`;
  let all = sessions.get(model);
  if (!all) sessions.set(model, (all = new Map()));
  const free = all.get(key)?.find((s) => !s.busy);
  if (free) return free;
  const perStep = (model.computeOutputShape(shape as never) as readonly unknown[]).length === 3;
  // States of recurrent layers take no room, whatever the length.
  const bounded = plan?.keepers.some((k) => cacheSize(k, 2) !== cacheSize(k, 1));
  const made = plan
    ? new CachedSession(model, plan, bounded ? capacity : limit, capacity)
    : new WholeSession(model, length, limit, perStep);
  all.set(key, [...(all.get(key) ?? []), made]);
  return made;
}

/** Number of elements of a layer's cache with room for `steps`. */
function cacheSize(layer: StepPlan["keepers"][number], steps: number): number {
  return treeLeaves(layer.initialCache(1, steps), isTensor).reduce((n, t) => n + t.size, 0);
}
