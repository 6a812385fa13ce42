/** The base of optimizers: how gradients become new weights, whatever the rule. */
import { Configured, type Json, type OptionsOf, type Spec, snakeClassName } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import type { Value } from "../graph/node.ts";
import { jit } from "../tensor/functions.ts";
import * as ops from "../tensor/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import { currentTrace } from "../tensor/trace.ts";
import type { Variable } from "../tensor/variable.ts";
import { clipGradients } from "./clip.ts";
import type { CommonOptions } from "./fields.ts";
import {
  assignAll,
  filledVariable,
  type Group,
  groupVariables,
  inPlace,
  memberMask,
  pack,
  slotView,
} from "./groups.ts";
import { LearningRate } from "./learning-rate.ts";

/** State a rule keeps for each variable (or, shared, once). */
export interface SlotSpec {
  readonly name: string;
  /** Default: the shape of the variable. Rules that work on flat groups keep the default. */
  readonly shape?: readonly number[] | undefined;
  readonly initial?: number | undefined;
  /** Place in the order of checkpoints: slots of a list stand together, variable by variable; lists follow each other. */
  readonly list?: number | undefined;
}

/** What a rule may know about the step, all []. */
export interface StepInfo {
  readonly learningRate: Tensor;
  /** Number of this update, from 1 (f32). */
  readonly step: Tensor;
  /** Shared slots, after `advance`. */
  readonly shared: Slots;
  /** What the rule works on: the variable, or null for a flat group of several. */
  readonly variable: Variable | null;
}

export type Slots = { readonly [name: string]: Tensor };
/** What a rule gives: the new weights, and the slots that changed. */
export interface Updated {
  readonly value: Tensor;
  readonly slots: Slots;
}

/**
 * Base class. A subclass says which slots it keeps (`slots`) and what one update does (`update`). A rule that treats every
 * element alike (`elementwise`) is applied once to all f32 variables, which lie in one flat root; others are applied to
 * each variable.
 */
export abstract class Optimizer<S extends Spec = Spec> extends Configured<S> {
  readonly name: string;
  /** Number of calls of `apply`, i32 []. */
  readonly iterations: Variable;
  protected readonly elementwise: boolean = true;
  private readonly rate: LearningRate;
  private built: readonly Variable[] = [];
  private groups: Group[] = [];
  private shared: Map<string, Variable> = new Map();
  private excluded: { variables: ReadonlySet<Variable>; pattern: RegExp | null } = {
    variables: new Set(),
    pattern: null,
  };
  private compiled: ((gradients: (Tensor | null)[]) => Tensor[]) | null = null;

  constructor(spec: S, options: OptionsOf<S>) {
    super(spec, options);
    const { common } = this;
    this.name = common.name ?? snakeClassName(spec.className);
    this.iterations = filledVariable([], "i32", 0, "iteration");
    this.rate = new LearningRate(common.learningRate);
    const clips = ["clipnorm", "globalClipnorm", "clipvalue"].filter((k) => common[k as keyof CommonOptions] !== null);
    if (clips.length > 1) {
      throw new LayerwiseError("gradients can be clipped in one way only", {
        code: "E202",
        layer: this.name,
        received: clips.join(" and "),
        expected: "one of clipnorm, globalClipnorm, clipvalue",
      });
    }
  }

  /** The slots of a variable (of a flat group: null). */
  protected slots(_variable: Variable | null): readonly SlotSpec[] {
    return [];
  }
  /** One update of weights `x` with gradient `gradient`, of equal shape and dtype. */
  protected abstract update(gradient: Tensor, x: Tensor, slots: Slots, step: StepInfo): Updated;
  /** Slots of shape [] that all variables share. */
  protected sharedSlots(): readonly SlotSpec[] {
    return [];
  }
  /** The shared slots of this update, from those of the one before. */
  protected advance(shared: Slots, _step: Omit<StepInfo, "shared" | "variable">): Slots {
    return shared;
  }
  /** The weight decay of a variable; null for none. */
  protected weightDecayOf(_variable: Variable): number | null {
    return this.common.weightDecay;
  }
  protected get common(): CommonOptions {
    return this.options as unknown as CommonOptions;
  }

  /** The rate of the next step. It can be set, unless it follows a schedule. */
  get learningRate(): number {
    return this.rate.get(() => this.iterations.snapshot()[0]);
  }
  set learningRate(rate: number) {
    this.rate.assign(rate);
  }
  /** The variables this optimizer was built for. */
  get targets(): readonly Variable[] {
    return this.built;
  }

  /**
   * Prepares the state for variables. f32 variables are moved into one flat root; building again for the same variables
   * does nothing, for others it keeps what is known of those that stay.
   */
  build(variables: readonly Variable[]): void {
    const same = variables.length === this.built.length && variables.every((v, i) => v === this.built[i]);
    if (same && this.groups.every(inPlace)) return;
    const before = this.slotViews();
    this.groups = groupVariables(variables, this.elementwise, this.name);
    this.built = [...variables];
    for (const group of this.groups) {
      for (const spec of this.allSlots(group)) {
        const shape = spec.shape ?? group.root.shape;
        group.slots.set(spec.name, filledVariable(shape, group.root.dtype, spec.initial ?? 0, spec.name));
      }
    }
    for (const { name, initial } of this.sharedSlots()) {
      if (!this.shared.has(name)) this.shared.set(name, filledVariable([], "f32", initial ?? 0, name));
    }
    this.startSlots(this.groups);
    if (before.length > 0) {
      for (const { of, slot, variable } of this.slotViews()) {
        const old = before.find((b) => b.of === of && b.slot === slot);
        if (old) variable.overwrite(old.variable.snapshot());
      }
    }
    this.compiled = null;
  }
  /** Gives slots that start from the weights their values. */
  protected startSlots(_groups: readonly Group[]): void {}

  /** Keeps variables out of weight decay: these, and those whose name holds one of the parts. */
  excludeFromWeightDecay(what: { variables?: readonly Variable[]; names?: readonly string[] }): void {
    const { variables = [], names = [] } = what;
    this.excluded = {
      variables: new Set(variables),
      pattern: names.length > 0 ? new RegExp(names.join("|")) : null,
    };
    this.compiled = null;
  }

  /**
   * One step: gradients, in the order of `variables` (default: those built for). null leaves a variable as it is. Inside a
   * traced function the update becomes part of the program; outside it is compiled once and run.
   */
  apply(gradients: readonly (Tensor | null)[], variables: readonly Variable[] = this.built): void {
    if (gradients.length !== variables.length) {
      throw new LayerwiseError("there must be one gradient per variable", {
        code: "E202",
        layer: this.name,
        received: `${gradients.length} gradients for ${variables.length} variables`,
        expected: "equal numbers",
      });
    }
    if (this.built.length === 0) this.build(variables);
    const unknown = variables.find((v) => !this.built.includes(v));
    if (unknown) {
      throw new LayerwiseError(`"${unknown.name}" is not among the variables ${this.name} was built for`, {
        code: "E202",
        layer: this.name,
        received: `"${unknown.name}"`,
        expected: `one of ${this.built.length} variables`,
        hint: "call build with all variables first",
      });
    }
    const given = new Map(variables.map((v, i) => [v, gradients[i]]));
    const ordered = this.built.map((v) => given.get(v) ?? null);
    if (currentTrace()) {
      this.trace(ordered);
      return;
    }
    this.compiled ??= jit((list: (Tensor | null)[]) => {
      this.trace(list);
      return [] as Tensor[];
    }) as never;
    this.compiled!(ordered);
  }

  private trace(gradients: readonly (Tensor | null)[]): void {
    const { groups } = this;
    const { gradientAccumulationSteps: every, lossScaleFactor } = this.common;
    const count = this.iterations.read();
    const updates = every === null ? count : ops.floorDivide(count, every);
    const due = every === null ? null : ops.equal(ops.mod(ops.add(count, 1), every), 0);
    const info = { learningRate: this.rate.read(count), step: ops.cast(ops.add(updates, 1), "f32") };
    const values = new Map<Variable, Value>();
    gradients.forEach((gradient, i) => {
      const variable = this.built[i];
      if (gradient) values.set(variable, ops.cast(gradient, variable.dtype).value);
    });
    const present = groups.filter((group) => group.members.some((m) => values.has(m.variable)));
    let packed = present.map((group) => new Tensor(pack(group, values)));
    if (lossScaleFactor !== null) packed = packed.map((x) => ops.divide(x, lossScaleFactor));
    const writes: (readonly [Variable, Tensor])[] = [];
    if (every !== null) {
      packed = packed.map((x, i) => {
        const accumulator = present[i].slots.get("gradient_accumulator")!;
        const sum = ops.add(accumulator.read(), x);
        writes.push([accumulator, ops.where(due!, 0, sum)]);
        return ops.divide(sum, every);
      });
    }
    packed = clipGradients(present, packed, this.common);
    const shared = Object.fromEntries([...this.shared].map(([name, v]) => [name, v.read()]));
    const advanced = this.advance(shared, info);
    for (const [name, variable] of this.shared) {
      if (advanced[name] !== shared[name]) writes.push([variable, keepUnless(due, advanced[name], shared[name])]);
    }
    groups.forEach((group) => {
      const k = present.indexOf(group);
      const old = group.root.read();
      let value = old;
      if (k >= 0) {
        const has = group.members.every((m) => values.has(m.variable))
          ? due
          : both(due, new Tensor(memberMask(group, (v) => values.has(v))));
        const slots = Object.fromEntries([...group.slots].map(([name, v]) => [name, v.read()]));
        const variable = group.flat ? null : group.root;
        const decayed = this.decay(group, old, info.learningRate);
        const updated = this.update(packed[k], decayed, slots, { ...info, shared: advanced, variable });
        value = keepUnless(has, updated.value, old);
        for (const [name, next] of Object.entries(updated.slots)) {
          const mask = next.ndim === old.ndim ? has : due;
          writes.push([group.slots.get(name)!, keepUnless(mask, next, slots[name])]);
        }
      }
      value = this.average(group, value, updates, writes);
      if (value !== old) writes.push([group.root, value]);
    });
    assignAll(writes);
    this.iterations.assign(ops.add(count, 1));
  }

  private decay(group: Group, x: Tensor, learningRate: Tensor): Tensor {
    const decays = group.members.map(({ variable }) => (this.decays(variable) ? this.weightDecayOf(variable) : null));
    if (decays.every((d) => d === null)) return x;
    const rate = ops.cast(learningRate, x.dtype);
    if (decays.every((d) => d === decays[0])) return ops.subtract(x, ops.multiply(x, ops.multiply(rate, decays[0]!)));
    const mask = new Tensor(memberMask(group, (v) => this.decays(v)));
    const decay = decays.find((d) => d !== null)!;
    return ops.where(mask, ops.subtract(x, ops.multiply(x, ops.multiply(rate, decay))), x);
  }
  private decays(variable: Variable): boolean {
    return !this.excluded.variables.has(variable) && !(this.excluded.pattern?.test(variable.name) ?? false);
  }

  /** Moves the average towards the new weights; the weights, which from time to time become their average. */
  private average(group: Group, x: Tensor, updates: Tensor, writes: (readonly [Variable, Tensor])[]): Tensor {
    const { useEma, emaMomentum, emaOverwriteFrequency: every } = this.common;
    if (!useEma) return x;
    const slot = group.slots.get("average")!;
    const momentum = ops.cast(ops.where(ops.equal(updates, 0), 0, Tensor.of(emaMomentum)), x.dtype);
    const next = ops.add(ops.multiply(slot.read(), momentum), ops.multiply(x, ops.subtract(1, momentum)));
    writes.push([slot, next]);
    return every === null ? x : ops.where(ops.equal(ops.mod(ops.add(updates, 1), every), 0), next, x);
  }

  /** Called when training ends: with `useEma` the weights become their moving average. */
  finalizeVariableValues(): void {
    if (!this.common.useEma) return;
    for (const group of this.groups) group.root.overwrite(group.slots.get("average")!.snapshot());
  }

  private allSlots(group: Group): SlotSpec[] {
    const { useEma, gradientAccumulationSteps } = this.common;
    return [
      ...(useEma ? [{ name: "average", list: -2 }] : []),
      ...(gradientAccumulationSteps === null ? [] : [{ name: "gradient_accumulator", list: -1 }]),
      ...this.slots(group.flat ? null : group.root),
    ];
  }
  /** Slots of each variable, as variables of its shape (ranges of the flat slots). */
  slotViews(): { readonly of: Variable; readonly slot: string; readonly variable: Variable }[] {
    return this.groups.flatMap((group) =>
      group.members.flatMap((member) =>
        [...group.slots].map(([slot, root]) => ({
          of: member.variable,
          slot,
          variable: group.flat ? slotView(root, member, slot) : root,
        })),
      ),
    );
  }
  /** A slot of variable number `index`, or a shared one; null where there is none of this name. */
  slot(name: string, index?: number): Variable | null {
    if (index === undefined) return this.shared.get(name) ?? null;
    return this.slotViews().find((v) => v.of === this.built[index] && v.slot === name)?.variable ?? null;
  }
  /** All state in the order of Keras' checkpoints: iteration, learning rate, slots variable by variable, shared slots. */
  get variables(): Variable[] {
    const views = this.slotViews();
    const listOf = new Map(this.groups.flatMap((g) => this.allSlots(g).map((s) => [s.name, s.list ?? 0] as const)));
    const lists = [...new Set(listOf.values())].sort((a, b) => a - b);
    const slots = lists.flatMap((list) =>
      this.built.flatMap((v) => views.filter((s) => s.of === v && listOf.get(s.slot) === list)),
    );
    return [
      this.iterations,
      ...(this.rate.variable ? [this.rate.variable] : []),
      ...slots.map((s) => s.variable),
      ...this.shared.values(),
    ];
  }

  override getConfig(): Record<string, Json> {
    const config = super.getConfig();
    return {
      ...config,
      name: this.name,
      ...(typeof config["learning_rate"] === "number" ? { learning_rate: this.learningRate } : {}),
    };
  }
}

/** `next` where the condition holds (null: everywhere), else `old`. */
function keepUnless(condition: Tensor | null, next: Tensor, old: Tensor): Tensor {
  return condition === null ? next : ops.where(condition, next, old);
}
function both(a: Tensor | null, b: Tensor): Tensor {
  return a === null ? b : ops.logicalAnd(a, b);
}
