/** History: the logs of every epoch; what `fit` returns. */
import type { Logs } from "../training/options.ts";
import { Callback } from "./callback.ts";

export class History extends Callback {
  /** Numbers of the epochs, from 0. */
  readonly epoch: number[] = [];
  /** One list per log, an entry per epoch. */
  readonly history: Record<string, number[]> = {};

  override onEpochEnd(epoch: number, logs: Logs): void {
    this.epoch.push(epoch);
    for (const [name, value] of Object.entries(logs)) (this.history[name] ??= []).push(value);
  }
}
