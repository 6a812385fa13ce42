/** EarlyStopping: ends training when a log no longer improves. */
import { bool, defineSpec, int, number, type OptionsOf } from "../config/index.ts";
import type { TypedArray } from "../graph/types.ts";
import type { Logs } from "../training/options.ts";
import { MonitorCallback, monitorFields } from "./monitor.ts";

const spec = defineSpec("keras.callbacks", "EarlyStopping", {
  ...monitorFields,
  patience: int({ min: 0 }).default(0).doc("epochs without improvement that are waited for"),
  verbose: int().default(0),
  baseline: number().nullable().doc("training stops unless the log beats this value within `patience` epochs"),
  restoreBestWeights: bool().default(false).doc("put back the weights of the best epoch at the end"),
  startFromEpoch: int({ min: 0 }).default(0).doc("epochs before this one are not watched"),
});
export type EarlyStoppingOptions = OptionsOf<typeof spec>;

export class EarlyStopping extends MonitorCallback<typeof spec> {
  static readonly spec = spec;
  best: number | null = null;
  bestEpoch = 0;
  stoppedEpoch = 0;
  wait = 0;
  private bestWeights: TypedArray[] | null = null;

  constructor(options: EarlyStoppingOptions = {}) {
    super(spec, options);
  }
  override onTrainBegin(): void {
    this.wait = 0;
    this.stoppedEpoch = 0;
    this.best = null;
    this.bestWeights = null;
    this.bestEpoch = 0;
  }
  override onEpochEnd(epoch: number, logs: Logs): void {
    const { baseline, patience, restoreBestWeights, startFromEpoch } = this.options;
    const value = this.watched(logs);
    if (value === null || epoch < startFromEpoch) return;
    if (restoreBestWeights && this.bestWeights === null) {
      this.bestWeights = this.snapshot();
      this.bestEpoch = epoch;
    }
    this.wait++;
    if (this.isImprovement(value, this.best)) {
      this.best = value;
      this.bestEpoch = epoch;
      if (restoreBestWeights) this.bestWeights = this.snapshot();
      // Only a value that also beats the baseline starts the wait afresh.
      if (baseline === null || this.isImprovement(value, baseline)) this.wait = 0;
      return;
    }
    if (this.wait >= patience && epoch > 0) {
      this.stoppedEpoch = epoch;
      this.model.stopTraining = true;
    }
  }
  override onTrainEnd(): void {
    if (this.stoppedEpoch > 0 && this.options.verbose > 0)
      console.log(`Epoch ${this.stoppedEpoch + 1}: early stopping`);
    if (this.options.restoreBestWeights && this.bestWeights !== null) {
      this.model.setWeights(this.bestWeights);
      if (this.options.verbose > 0) console.log(`Weights of epoch ${this.bestEpoch + 1} restored`);
    }
  }
  private snapshot(): TypedArray[] {
    return this.model.weights.map((v) => v.snapshot());
  }
}

/** Ends training when `monitor` has not improved for `patience` epochs. */
export function earlyStopping(options: EarlyStoppingOptions = {}): EarlyStopping {
  return new EarlyStopping(options);
}
