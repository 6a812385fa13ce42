/** Objects with options: the base of initializers, regularizers, losses, metrics, optimizers, schedules and callbacks. */
import type { Json } from "./field.ts";
import { type OptionsOf, readOptions, type Spec, type ValuesOf, writeConfig } from "./spec.ts";

/** Keras' serialised form of an object. */
export interface KerasObject {
  readonly module: string | null;
  readonly class_name: string;
  readonly config: { readonly [key: string]: Json };
  readonly registered_name: string | null;
  readonly [key: string]: Json;
}

/** Anything that can write its configuration. */
export interface Configurable {
  /** The `config` of the serialised form. */
  getConfig(): Record<string, Json>;
  /** The whole serialised form. */
  toConfig(): KerasObject;
}

/**
 * Base class: reads the options by the spec, keeps them as `options`, and writes them back.
 *
 *     const spec = defineSpec("keras.regularizers", "L2", { l2: number().default(0.01) });
 *     class L2 extends Configured<typeof spec> {
 *       static readonly spec = spec;
 *       constructor(options: OptionsOf<typeof spec> = {}) { super(spec, options); }
 *     }
 */
export abstract class Configured<S extends Spec> implements Configurable {
  readonly spec: S;
  readonly options: ValuesOf<S>;

  constructor(spec: S, options: OptionsOf<S>) {
    this.spec = spec;
    this.options = readOptions(spec, options);
  }
  getConfig(): Record<string, Json> {
    return writeConfig(this.spec, this.options);
  }
  toConfig(): KerasObject {
    return serialized(this.spec, this.getConfig(), this.constructor);
  }
}

const registeredNames = new WeakMap<object, string>();

/** The serialised form of an object of `Class`, which may be a custom registered class. */
export function serialized(spec: Spec, config: Record<string, Json>, Class: unknown): KerasObject {
  const registered = registeredNames.get(Class as object) ?? null;
  return {
    module: registered === null ? spec.module : null,
    class_name: spec.className,
    config,
    registered_name: registered,
  };
}

/** Notes that objects of a class are written with `Package>Class` as their registered name. */
export function noteRegisteredName(Class: object, name: string): void {
  registeredNames.set(Class, name);
}
