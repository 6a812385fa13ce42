/** Registries: from a name, a Keras config or a ready object to an object, for one kind of class. */
import { LayerwiseError, nearestName } from "../errors.ts";
import { type Configurable, type KerasObject, noteRegisteredName } from "./configured.ts";
import { Field, type Json, show } from "./field.ts";
import { foldName } from "./names.ts";
import { readConfig, type Spec } from "./spec.ts";

/**
 * A class whose objects a registry makes. `fromConfig` is for classes whose config is not just their options; objects
 * inside it (the layers of a model, the layer of a wrapper) are made with `make`, so that such a class need not know them all.
 */
export interface RegisteredClass<T> {
  // biome-ignore lint/suspicious/noExplicitAny: each class has options of its own.
  new (options: any): T;
  readonly spec: Spec;
  fromConfig?(config: { readonly [key: string]: Json }, make: (saved: SavedObject) => T): T;
}

/** Keras' serialised form, of which only the class name is needed. */
export type SavedObject = Partial<KerasObject> & { readonly class_name: string };

/** Classes that users added, by registered name `Package>Class`. */
const custom = new Map<string, RegisteredClass<Configurable>>();

/** Makes a class of one's own loadable from saved configs, under `package` (default "Custom"). */
export function registerClass<T extends RegisteredClass<Configurable>>(Class: T, packageName = "Custom"): T {
  const name = `${packageName}>${Class.spec.className}`;
  custom.set(name, Class);
  noteRegisteredName(Class, name);
  return Class;
}

/**
 * Objects of one kind. `entries` maps camelCase names to classes; `aliases` are further names. Every spelling (`mse`,
 * `glorotUniform`, `glorot_uniform`, `GlorotUniform`) of either finds the class.
 */
export class Registry<T extends Configurable, N extends string = string> {
  readonly kind: string;
  readonly entries: { readonly [K in N]: RegisteredClass<T> };
  private readonly isInstance: (x: unknown) => x is T;
  private readonly byFold = new Map<string, RegisteredClass<T>>();

  constructor(
    kind: string,
    entries: { readonly [K in N]: RegisteredClass<T> },
    isInstance: (x: unknown) => x is T,
    aliases: { readonly [name: string]: RegisteredClass<T> } = {},
  ) {
    this.kind = kind;
    this.entries = entries;
    this.isInstance = isInstance;
    for (const [name, Class] of [...Object.entries(entries), ...Object.entries(aliases)] as [
      string,
      RegisteredClass<T>,
    ][]) {
      this.byFold.set(foldName(name), Class);
      this.byFold.set(foldName(Class.spec.className), Class);
    }
  }
  /** Adds a class that programs which do not name it shall not carry. */
  add(name: string, Class: RegisteredClass<T>): void {
    this.byFold.set(foldName(name), Class);
    this.byFold.set(foldName(Class.spec.className), Class);
  }
  get names(): readonly N[] {
    return Object.keys(this.entries) as N[];
  }
  /** The class of a name, or undefined. */
  find(name: string): RegisteredClass<T> | undefined {
    const own = this.byFold.get(foldName(name));
    if (own) return own;
    for (const [registered, Class] of custom) {
      if (registered === name || registered.endsWith(`>${name}`)) return Class as unknown as RegisteredClass<T>;
    }
    return undefined;
  }
  /** The class of a name, or an error with the nearest one. */
  classOf(name: string): RegisteredClass<T> {
    const Class = this.find(name);
    if (Class) return Class;
    const near = nearestName(name, this.names);
    throw new LayerwiseError(`unknown ${this.kind} "${name}"`, {
      code: "E203",
      received: `"${name}"`,
      expected: `one of: ${clip(this.names.join(", "), 160)}`,
      hint: near === undefined ? undefined : `did you mean "${near}"?`,
    });
  }
  /** An object from its name (with default options), Keras config, or itself. */
  get(id: unknown): T {
    if (this.isInstance(id)) return id;
    if (typeof id === "string") return new (this.classOf(id))({});
    if (id !== null && typeof id === "object" && "class_name" in id) return this.fromConfig(id as KerasObject);
    throw new LayerwiseError(`this is not a ${this.kind}`, {
      code: "E203",
      received: show(id),
      expected: `a ${this.kind}, its name, or its Keras config`,
    });
  }
  /** An object from Keras' serialised form (`module` is not needed; `registered_name` is looked up first). */
  fromConfig(saved: SavedObject): T {
    const registered = saved.registered_name ? custom.get(saved.registered_name) : undefined;
    const Class = (registered as unknown as RegisteredClass<T>) ?? this.classOf(saved.class_name);
    const config = saved.config ?? {};
    if (Class.fromConfig) return Class.fromConfig(config, (inner) => this.fromConfig(inner));
    return new Class(readConfig(Class.spec, config));
  }
}

function clip(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length)}…` : text;
}

/** An option that takes an object of a registry: an instance, a name, or a Keras config. */
export function object<T extends Configurable, N extends string>(
  registry: () => Registry<T, N>,
): Field<N | T | KerasObject, T, false> {
  return new Field<N | T | KerasObject, T, false>({
    expected: "an object, its name, or its Keras config",
    read: (x) => registry().get(x),
    write: (x) => x.toConfig(),
  });
}
