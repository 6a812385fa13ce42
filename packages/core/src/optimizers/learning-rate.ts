/** The learning rate of an optimizer: a variable that may be set between steps, or a schedule. */
import { LayerwiseError } from "../errors.ts";
import { Schedule } from "../schedules/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Variable } from "../tensor/variable.ts";

export class LearningRate {
  readonly variable: Variable | null;
  readonly schedule: Schedule | null;
  /** What was set, with the digits that f32 would lose. */
  private set: number;

  constructor(given: number | Schedule) {
    this.schedule = given instanceof Schedule ? given : null;
    this.set = given instanceof Schedule ? 0 : given;
    this.variable =
      given instanceof Schedule
        ? null
        : new Variable(Float32Array.of(given), [], "f32", { name: "learning_rate", trainable: false });
  }
  /** The rate as part of a step; `iterations` [] is the number of steps taken. */
  read(iterations: Tensor): Tensor {
    return this.variable ? this.variable.read() : this.schedule!.call(iterations);
  }
  /** The rate of the next step. */
  get(iterations: () => number): number {
    if (!this.variable) return this.schedule!.at(iterations());
    const stored = this.variable.snapshot()[0];
    // Loading a checkpoint writes the variable without passing here.
    if (stored !== Math.fround(this.set)) this.set = stored;
    return this.set;
  }
  assign(rate: number): void {
    if (!this.variable) {
      throw new LayerwiseError("the learning rate follows a schedule, so it cannot be set", {
        code: "E202",
        received: String(rate),
        expected: `nothing: ${this.schedule!.spec.className} chooses the rate`,
        hint: "give the optimizer a number as learningRate",
      });
    }
    if (typeof rate !== "number" || Number.isNaN(rate)) {
      throw new LayerwiseError("the learning rate is not valid", {
        code: "E202",
        received: String(rate),
        expected: "a number",
      });
    }
    this.set = rate;
    this.variable.overwrite(Float32Array.of(rate));
  }
}
