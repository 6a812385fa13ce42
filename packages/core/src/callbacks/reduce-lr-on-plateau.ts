/** ReduceLROnPlateau: lowers the learning rate when a log no longer improves. */
import { defineSpec, int, number, type OptionsOf } from "../config/index.ts";
import type { Logs } from "../training/options.ts";
import { MonitorCallback, monitorFields } from "./monitor.ts";

const spec = defineSpec("keras.callbacks", "ReduceLROnPlateau", {
  ...monitorFields,
  minDelta: number().default(1e-4).doc("smaller changes do not count"),
  factor: number({ below: 1 }).default(0.1).doc("the learning rate is multiplied by this"),
  patience: int({ min: 0 }).default(10).doc("epochs without improvement that are waited for"),
  cooldown: int({ min: 0 }).default(0).doc("epochs to wait after a reduction"),
  minLr: number({ min: 0 }).default(0).doc("lower bound of the learning rate"),
  verbose: int().default(0),
});
export type ReduceLROnPlateauOptions = OptionsOf<typeof spec>;

export class ReduceLROnPlateau extends MonitorCallback<typeof spec> {
  static readonly spec = spec;
  best: number | null = null;
  wait = 0;
  cooldownCounter = 0;

  constructor(options: ReduceLROnPlateauOptions = {}) {
    super(spec, options);
  }
  override onTrainBegin(): void {
    this.best = null;
    this.wait = 0;
    this.cooldownCounter = 0;
  }
  override onEpochEnd(epoch: number, logs: Logs): void {
    const { cooldown, factor, minLr, patience, verbose } = this.options;
    const { optimizer } = this.model;
    const rate = Number(optimizer.learningRate);
    const value = this.watched(logs);
    logs["learning_rate"] = rate;
    if (value === null) return;
    if (this.cooldownCounter > 0) {
      this.cooldownCounter--;
      this.wait = 0;
    }
    if (this.isImprovement(value, this.best)) {
      this.best = value;
      this.wait = 0;
      return;
    }
    if (this.cooldownCounter > 0) return;
    this.wait++;
    if (this.wait >= patience && rate > Math.fround(minLr)) {
      const next = Math.max(rate * factor, minLr);
      optimizer.learningRate = next;
      if (verbose > 0) console.log(`Epoch ${epoch + 1}: learning rate reduced to ${next}`);
      this.cooldownCounter = cooldown;
      this.wait = 0;
    }
  }
}

/** Multiplies the learning rate by `factor` when `monitor` has not improved for `patience` epochs. */
export function reduceLROnPlateau(options: ReduceLROnPlateauOptions = {}): ReduceLROnPlateau {
  return new ReduceLROnPlateau(options);
}
