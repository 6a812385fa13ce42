/** The base of recurrent layers: a scan of a cell over time, with masks, states and both directions. */
import { bool, type OptionsOf, type Spec } from "../../config/index.ts";
import { LayerwiseError } from "../../errors.ts";
import { allocate, sizeOf } from "../../graph/types.ts";
import * as ops from "../../tensor/ops/index.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { Variable } from "../../tensor/variable.ts";
import { isTensor, mapTree, oneShape, type ShapeTree, type TensorTree, treeLeaves } from "../arguments.ts";
import { activityFields } from "../fields.ts";
import { type CallContext, Layer, layerFields, type Masking, type MaskTree } from "../layer.ts";
import { maskOf } from "../mask.ts";
import { currentScope } from "../scope.ts";
import { firstState, type RnnCell } from "./cell.ts";

/** Options of every recurrent layer. */
export const recurrentFields = {
  ...layerFields,
  returnSequences: bool().default(false).doc("the output of every step instead of the last"),
  returnState: bool().default(false).doc("also the last states"),
  goBackwards: bool().default(false).doc("from the last step to the first; the output is in that order too"),
  stateful: bool().default(false).doc("whether the next batch begins with the last states of this one"),
  unroll: bool().default(false).doc("accepted and ignored: loops are compiled, never unrolled"),
  zeroOutputForMask: bool().default(false).doc("zeros at masked steps instead of the output before"),
  ...activityFields,
};
export interface RecurrentOptions {
  readonly returnSequences: boolean;
  readonly returnState: boolean;
  readonly goBackwards: boolean;
  readonly stateful: boolean;
  readonly zeroOutputForMask: boolean;
}

interface Steps {
  readonly output: Tensor;
  readonly states: TensorTree;
}

/** x [N, T, …] → [N, units] or [N, T, units], then the states when `returnState`. */
export abstract class Recurrent<S extends Spec = Spec> extends Layer<S> {
  override readonly masking: Masking;
  abstract readonly cell: RnnCell;
  /** As the option; a bidirectional wrapper sets it. */
  zeroOutputForMask: boolean;
  #states: { readonly variables: readonly Variable[]; readonly batch: number } | null = null;

  constructor(options: OptionsOf<S>, spec: S) {
    super(options, spec);
    this.masking = this.recurrence.returnSequences ? "pass" : "consume";
    this.zeroOutputForMask = this.recurrence.zeroOutputForMask;
  }
  get recurrence(): RecurrentOptions {
    return this.options as unknown as RecurrentOptions;
  }

  override build(inputShape: ShapeTree): void {
    const [batch, , ...rest] = oneShape(inputShape, this.name);
    this.cell.buildFor([batch, ...rest]);
    if (this.recurrence.stateful && batch !== null) this.makeStates(batch);
  }
  private makeStates(batch: number): readonly Variable[] {
    if (this.#states?.batch === batch) return this.#states.variables;
    if (this.#states) {
      throw new LayerwiseError(`${this.describe()} keeps states of another batch size`, {
        code: "E103",
        layer: this.name,
        received: `${batch} rows`,
        expected: `${this.#states.batch} rows, as before`,
        hint: "a stateful layer needs batches of one size",
      });
    }
    const variables = treeLeaves(this.cell.initialStates(batch), isTensor).map(
      (t) =>
        new Variable(allocate(t.dtype, sizeOf(t.shape)), t.shape, t.dtype, { name: "rnn_state", trainable: false }),
    );
    this.#states = { variables, batch };
    return variables;
  }
  /** Sets the kept states of a stateful layer to zero. */
  resetState(): void {
    if (!this.recurrence.stateful) {
      throw new LayerwiseError(`${this.describe()} keeps no state`, {
        code: "E202",
        layer: this.name,
        received: "resetState()",
        expected: "stateful: true",
      });
    }
    for (const v of this.#states?.variables ?? []) v.overwrite(allocate(v.dtype, v.size));
  }

  call(x: Tensor, context: CallContext): TensorTree {
    const { returnState, stateful } = this.recurrence;
    const { training } = context;
    const kept = stateful && !currentScope()?.probe ? this.makeStates(x.shape[0]) : null;
    let next = 0;
    const zeros = this.cell.initialStates(x.shape[0]);
    const given = (context["initialState"] ?? null) as Tensor | readonly TensorTree[] | null;
    const initial =
      given !== null
        ? mapTree(isTensor(given) ? [given] : given, isTensor, (t): Tensor => ops.cast(t, firstState(zeros).dtype))
        : kept
          ? mapTree(zeros, isTensor, (): Tensor => kept[next++].read())
          : zeros;
    this.cell.prepare([x.shape[0], ...x.shape.slice(2)], initial, training);
    const mask = treeLeaves(context.mask, isTensor)[0] ?? null;
    const { output, states } = this.steps(x, initial as TensorTree, mask, training);
    this.cell.release();
    treeLeaves(states, isTensor).forEach((t, i) => {
      kept?.[i].assign(ops.cast(t, kept[i].dtype));
    });
    return returnState ? [output, ...(Object.values(states) as TensorTree[])] : output;
  }

  // One step at a time, for generation.

  readonly stepsWithMask = true;
  canStep(options: { readonly [option: string]: unknown }, numInputs: number): boolean {
    const { goBackwards, returnState } = this.recurrence;
    return !goBackwards && !returnState && numInputs === 1 && (options["initialState"] ?? null) === null;
  }
  /** The states before the first step. */
  initialCache(batch: number): TensorTree {
    return this.cell.initialStates(batch);
  }
  /** The outputs of further steps x [N, T, …], and the states after them. */
  step(x: Tensor, states: TensorTree): [Tensor, TensorTree] {
    this.requireBuilt("step");
    this.cell.prepare([x.shape[0], ...x.shape.slice(2)], states, false);
    const made = this.steps(x, states, maskOf(x), false);
    this.cell.release();
    return [made.output, made.states];
  }

  /** The loop over time. */
  private steps(x: Tensor, initial: TensorTree, mask: Tensor | null, training: boolean): Steps {
    const { returnSequences, goBackwards } = this.recurrence;
    const { cell } = this;
    const steps = swapTime(x); // [T, N, …]
    const counts = mask && ops.cast(swapTime(mask.ndim === 2 ? mask : mask.reshape(mask.shape.slice(0, 2))), "bool"); // [T, N]
    // Where nothing is masked, the output of the last step is the state.
    const carriesOutput = (mask && !this.zeroOutputForMask) || (!returnSequences && !(cell.outputIsState && !mask));
    type Carry = { states: TensorTree; output?: Tensor };
    const carry: Carry = { states: initial };
    if (carriesOutput) carry.output = ops.zeros(cell.outputShape(x.shape[0]), cell.outputDType);
    const [last, outputs] = ops.scan(
      ({ states, output: before }: Carry, xs: { x: Tensor; counts?: Tensor }) => {
        const [out, made] = cell.apply(xs.x, { states, training }) as unknown as [Tensor, TensorTree];
        let output = out;
        let next = made;
        if (xs.counts) {
          const { counts } = xs;
          const olds = treeLeaves(states, isTensor);
          let i = 0;
          next = mapTree(made, isTensor, (t): Tensor => keepWhere(counts, t, olds[i++])) as TensorTree;
          output = keepWhere(counts, out, this.zeroOutputForMask ? ops.zerosLike(out) : before!);
        }
        return [carriesOutput ? { states: next, output } : { states: next }, returnSequences ? output : null] as [
          Carry,
          Tensor | null,
        ];
      },
      carry as never,
      (counts ? { x: steps, counts } : { x: steps }) as never,
      { reverse: goBackwards },
    ) as unknown as [Carry, Tensor | null];
    let output: Tensor;
    if (outputs) output = swapTime(goBackwards ? ops.flip(outputs, 0) : outputs);
    else output = last.output ?? firstState(last.states);
    return {
      output: this.toCompute(output),
      states: mapTree(last.states, isTensor, (t): Tensor => this.toCompute(t)) as TensorTree,
    };
  }

  override computeMask(_inputs: TensorTree, mask: MaskTree): MaskTree {
    const { returnSequences, returnState } = this.recurrence;
    const first = treeLeaves(mask, isTensor)[0] ?? null;
    const out = returnSequences ? first : null;
    return returnState ? [out] : out;
  }
  override getConfig(): ReturnType<Layer["getConfig"]> {
    return { ...super.getConfig(), zero_output_for_mask: this.zeroOutputForMask };
  }
}

/** Axes 0 and 1 change places. */
function swapTime(x: Tensor): Tensor {
  return x.transpose([1, 0, ...x.shape.slice(2).map((_, i) => i + 2)]);
}

/** `a` in the rows that count, else `b`. counts: bool [N]. */
function keepWhere(counts: Tensor, a: Tensor, b: Tensor): Tensor {
  const spread = counts.reshape([counts.shape[0], ...a.shape.slice(1).map(() => 1)]);
  return ops.where(spread, a, b);
}
