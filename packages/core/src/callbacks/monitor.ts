/** The base of callbacks that watch one log: which direction is better, and by how much. */
import {
  defineSpec,
  number,
  type OptionsOf,
  oneOf,
  readOptions,
  type Spec,
  string,
  type ValuesOf,
} from "../config/index.ts";
import type { Logs } from "../training/options.ts";
import { Callback } from "./callback.ts";

export const monitorFields = {
  monitor: string().default("val_loss").doc("the log that is watched"),
  mode: oneOf("auto", "min", "max").default("auto").doc("whether less or more is better; auto goes by the metric"),
  minDelta: number().default(0).doc("smaller changes do not count"),
};
export const monitorSpec = defineSpec("keras.callbacks", "MonitorCallback", monitorFields);

export abstract class MonitorCallback<S extends Spec<typeof monitorFields>> extends Callback {
  readonly options: ValuesOf<S>;
  private direction: 1 | -1 | null = null;

  constructor(spec: S, options: OptionsOf<S>) {
    super();
    this.options = readOptions(spec, options);
  }
  /** The watched value; null (with one warning) when it is not in the logs. */
  protected watched(logs: Logs): number | null {
    const { monitor } = this.options as unknown as { monitor: string };
    const value = logs[monitor];
    if (value !== undefined) return value;
    if (!this.warned) {
      this.warned = true;
      console.warn(`${this.constructor.name}: there is no log "${monitor}"; there are ${Object.keys(logs).join(", ")}`);
    }
    return null;
  }
  private warned = false;

  /** Whether `value` is better than `reference` by more than `minDelta`. */
  protected isImprovement(value: number, reference: number | null): boolean {
    if (reference === null) return true;
    const { minDelta } = this.options as unknown as { minDelta: number };
    const up = this.better();
    // Logs are float32, and so is Keras' comparison: 0.5 + 0.1 is not below 0.6.
    const moved = Math.fround(value - up * Math.abs(minDelta));
    return up > 0 ? moved > Math.fround(reference) : moved < Math.fround(reference);
  }
  /** 1 when more is better, -1 when less is. */
  private better(): 1 | -1 {
    this.direction ??= this.findDirection();
    return this.direction;
  }
  private findDirection(): 1 | -1 {
    const { monitor, mode } = this.options as unknown as { monitor: string; mode: string };
    if (mode !== "auto") return mode === "max" ? 1 : -1;
    const name = monitor.replace(/^val_/, "");
    if (name === "loss") return -1;
    const metric = this.model?.metrics?.find((m) => m.name === name) as { direction?: "up" | "down" } | undefined;
    if (metric?.direction) return metric.direction === "up" ? 1 : -1;
    return /acc|auc|precision|recall|f1|fbeta|iou|r2|top|cosine/i.test(name) ? 1 : -1;
  }
}
