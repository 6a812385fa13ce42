/** LearningRateScheduler: a function chooses the learning rate of each epoch. */
import { LayerwiseError } from "../errors.ts";
import type { Logs } from "../training/options.ts";
import { Callback } from "./callback.ts";

export class LearningRateScheduler extends Callback {
  readonly schedule: (epoch: number, rate: number) => number;
  private readonly verbose: number;

  constructor(schedule: (epoch: number, rate: number) => number, options: { verbose?: number } = {}) {
    super();
    this.schedule = schedule;
    this.verbose = options.verbose ?? 0;
  }
  override onEpochBegin(epoch: number): void {
    const { optimizer } = this.model;
    const rate = this.schedule(epoch, Number(optimizer.learningRate));
    if (typeof rate !== "number" || Number.isNaN(rate)) {
      throw new LayerwiseError("the schedule of learningRateScheduler must give a number", {
        code: "E202",
        received: String(rate),
        expected: "a learning rate",
      });
    }
    optimizer.learningRate = rate;
    if (this.verbose > 0) console.log(`Epoch ${epoch + 1}: learning rate ${rate}`);
  }
  override onEpochEnd(_epoch: number, logs: Logs): void {
    logs["learning_rate"] = Number(this.model.optimizer.learningRate);
  }
}

/** Sets the learning rate to `schedule(epoch, rate)` before each epoch. */
export function learningRateScheduler(
  schedule: (epoch: number, rate: number) => number,
  options: { verbose?: number } = {},
): LearningRateScheduler {
  return new LearningRateScheduler(schedule, options);
}
