/** Specs: the options of one class, declared once; types, defaults, validation, Keras config and docs come from here. */
import { LayerwiseError, nearestName } from "../errors.ts";
import { type Field, type Json, show } from "./field.ts";
import { toSnake } from "./names.ts";

// biome-ignore lint/suspicious/noExplicitAny: a spec holds fields of every type.
export type Fields = { readonly [option: string]: Field<any, any, any> };

type Simplify<T> = { [K in keyof T]: T[K] } & {};
type NeededKeys<F extends Fields> = { [K in keyof F]: F[K]["optional"] extends true ? never : K }[keyof F];

/** What users may pass: required options, and the rest with defaults. */
export type OptionsOf<S extends Spec> = Simplify<
  { [K in NeededKeys<S["fields"]>]: S["fields"][K]["in"] } & {
    [K in Exclude<keyof S["fields"], NeededKeys<S["fields"]>>]?: S["fields"][K]["in"] | undefined;
  }
>;

/** What the class sees: every option, normalised. */
export type ValuesOf<S extends Spec> = Simplify<{
  readonly [K in keyof S["fields"]]: S["fields"][K] extends Field<infer _In, infer Out, infer _O> ? Out : never;
}>;

export interface Spec<F extends Fields = Fields> {
  /** Keras' class name, e.g. `Conv2D`. */
  readonly className: string;
  /** Keras' public module, e.g. `keras.layers`. */
  readonly module: string;
  readonly fields: F;
}

/** Declares the options of a class. */
export function defineSpec<const F extends Fields>(module: string, className: string, fields: F): Spec<F> {
  return { module, className, fields };
}

/** Normalises a user's options; an unknown one is refused with the nearest name. */
export function readOptions<S extends Spec>(spec: S, options: OptionsOf<S>): ValuesOf<S> {
  const given = options as Record<string, unknown>;
  if (given === null || typeof given !== "object" || Array.isArray(given)) {
    throw new LayerwiseError(`${spec.className} takes one object of options`, {
      code: "E202",
      layer: spec.className,
      received: show(given),
      expected: `{ ${Object.keys(spec.fields).slice(0, 4).join(", ")}, … }`,
    });
  }
  const names = Object.keys(spec.fields);
  for (const key of Object.keys(given)) {
    if (key in spec.fields || given[key] === undefined) continue;
    const near = nearestName(key, names);
    throw new LayerwiseError(`${spec.className} has no option "${key}"`, {
      code: "E201",
      layer: spec.className,
      received: `"${key}"`,
      expected: names.length > 24 ? `one of ${names.length} options` : names.join(", "),
      hint: near === undefined ? undefined : `did you mean "${near}"?`,
    });
  }
  const values: Record<string, unknown> = {};
  for (const name of names) {
    values[name] = spec.fields[name].resolve(given[name], { owner: spec.className, option: name });
  }
  return values as ValuesOf<S>;
}

function kerasKey(spec: Spec, option: string): string {
  return spec.fields[option].parts.kerasKey ?? toSnake(option);
}

/** The options as the `config` of Keras' serialised form. */
export function writeConfig<S extends Spec>(spec: S, values: ValuesOf<S>): Record<string, Json> {
  const config: Record<string, Json> = {};
  for (const [option, field] of Object.entries(spec.fields)) {
    if (field.parts.inConfig === false) continue;
    config[kerasKey(spec, option)] = field.parts.write((values as Record<string, unknown>)[option]);
  }
  return config;
}

/** Options from a Keras `config`; keys this version does not know are left out, as Keras' own readers must. */
export function readConfig<S extends Spec>(spec: S, config: { readonly [key: string]: Json }): OptionsOf<S> {
  const options: Record<string, unknown> = {};
  for (const option of Object.keys(spec.fields)) {
    const key = kerasKey(spec, option);
    if (key in config) options[option] = config[key];
    else if (option in config) options[option] = config[option];
  }
  return options as OptionsOf<S>;
}

/** One row per option, for the reference documentation. */
export function describeSpec(spec: Spec): { option: string; expected: string; fallback: string; doc: string }[] {
  return Object.entries(spec.fields).map(([option, field]) => ({
    option,
    expected: field.parts.expected,
    fallback: field.isOptional ? show(field.parts.fallback) : "required",
    doc: field.parts.docs ?? "",
  }));
}
