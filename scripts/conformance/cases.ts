/** The parts of conformance cases: tensors, trees, comparison within a tolerance, names. */

import type { DType, TypedArray } from "@layerwise/core";
import { Tensor, tensor } from "@layerwise/core";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
export interface GoldenTensor {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly data: readonly (number | string | boolean)[];
}
export interface Case {
  readonly id: string;
  readonly kind: string;
  readonly class?: string;
  readonly op?: string;
  readonly tol?: { readonly output?: number; readonly grads?: number; readonly [key: string]: number | undefined };
  // biome-ignore lint/suspicious/noExplicitAny: every kind has members of its own, described in FORMAT.md.
  readonly [member: string]: any;
}

/** Thrown by a case that needs a class or function that does not exist here. */
export class Skip extends Error {}
/** Thrown by a case whose numbers differ. */
export class Mismatch extends Error {}

/** A case passes within five times its own tolerance: another order of summation is allowed. */
export const allowance = 5;

const dtypes: Record<string, DType> = {
  float32: "f32",
  float64: "f32",
  float16: "f16",
  bfloat16: "bf16",
  int64: "i32",
  int32: "i32",
  int16: "i16",
  int8: "i8",
  uint8: "u8",
  uint32: "u32",
  bool: "bool",
};
export const isDtypeName = (name: string): boolean => name in dtypes;
export function dtypeOf(name: string): DType {
  const d = dtypes[name];
  if (!d) throw new Skip(`dtype ${name}`);
  return d;
}

export function numberOf(x: number | string | boolean): number {
  if (typeof x !== "string") return Number(x);
  return (
    {
      NaN: Number.NaN,
      Infinity: Number.POSITIVE_INFINITY,
      "-Infinity": Number.NEGATIVE_INFINITY,
      "-0": -0,
      "?": Number.NaN,
    }[x] ?? Number(x)
  );
}
export const isTensorJson = (x: unknown): x is GoldenTensor =>
  x !== null && typeof x === "object" && "shape" in x && "data" in x && "dtype" in x;

export function toTensor(g: GoldenTensor): Tensor {
  const dtype = dtypeOf(g.dtype);
  const values = Float64Array.from(g.data, numberOf);
  if (dtype === "f16" || dtype === "bf16") return tensor(Float32Array.from(values), g.shape).cast(dtype);
  return tensor(values, g.shape, dtype);
}

/** Replaces tensors in JSON by Tensors; special numbers by numbers. */
export function revive(x: Json | GoldenTensor): unknown {
  if (isTensorJson(x)) return toTensor(x);
  if (Array.isArray(x)) return x.map((y) => revive(y as Json));
  if (x !== null && typeof x === "object")
    return Object.fromEntries(Object.entries(x).map(([k, v]) => [k, revive(v as Json)]));
  if (typeof x === "string" && ["NaN", "Infinity", "-Infinity", "-0"].includes(x)) return numberOf(x);
  return x;
}

export const camel = (s: string): string => s.replace(/_+([a-z0-9])/g, (_, c: string) => c.toUpperCase());
export const camelKeys = (x: { readonly [key: string]: unknown }): Record<string, unknown> =>
  Object.fromEntries(Object.entries(x).map(([k, v]) => [camel(k), v]));

type Tree = Tensor | null | undefined | number | boolean | readonly Tree[] | { readonly [key: string]: Tree };

/** Compares a tree of results with a golden tree; throws Mismatch with the place. */
export function compareTree(what: string, got: unknown, want: unknown, tol: number): void {
  if (want === null || want === undefined) return;
  if (isTensorJson(want)) {
    if (typeof got === "number" || typeof got === "boolean") compareArrays(what, [Number(got)], [], want, tol);
    else if (Array.isArray(got) && got.every((x) => typeof x === "number"))
      compareArrays(what, got as number[], [got.length], want, tol);
    else if (got instanceof Tensor) compareArrays(what, got.dataSync(), got.shape, want, tol);
    else throw new Mismatch(`${what}: got ${String(got)} where a tensor [${want.shape}] is expected`);
    return;
  }
  if (Array.isArray(want)) {
    const list = (Array.isArray(got) ? got : Object.values(got as object)) as unknown[];
    if (list.length !== want.length) throw new Mismatch(`${what}: ${list.length} values, expected ${want.length}`);
    want.forEach((w, i) => compareTree(`${what}[${i}]`, list[i], w, tol));
    return;
  }
  if (typeof want === "object") {
    for (const [k, w] of Object.entries(want))
      compareTree(
        `${what}.${k}`,
        (got as Record<string, unknown>)[k] ?? (got as Record<string, unknown>)[camel(k)],
        w,
        tol,
      );
    return;
  }
  compareNumber(what, Number(got), numberOf(want as number), tol);
}

export function compareNumber(what: string, got: number, want: number, tol: number): void {
  if (!near(got, want, tol))
    throw new Mismatch(
      `${what}: ${got}, expected ${want} (off by ${Math.abs(got - want).toExponential(2)}, allowed ${(allowance * tol).toExponential(1)} relative)`,
    );
}

export function compareArrays(
  what: string,
  got: TypedArray | readonly number[],
  shape: readonly number[],
  want: GoldenTensor,
  tol: number,
): void {
  if (shape.length !== want.shape.length || shape.some((d, i) => d !== want.shape[i]))
    throw new Mismatch(`${what}: shape [${shape}], expected [${want.shape}]`);
  const exact = !want.dtype.startsWith("float") && !want.dtype.startsWith("bfloat");
  for (let i = 0; i < want.data.length; i++) {
    if (want.data[i] === "?") continue;
    const w = numberOf(want.data[i]);
    if (exact ? got[i] !== w : !near(got[i], w, tol))
      throw new Mismatch(
        `${what}: element ${i} of [${shape}] is ${got[i]}, expected ${w} (tolerance ${(allowance * tol).toExponential(1)})`,
      );
  }
}

function near(got: number, want: number, tol: number): boolean {
  if (Number.isNaN(want)) return Number.isNaN(got);
  if (!Number.isFinite(want)) return got === want;
  return Math.abs(got - want) <= allowance * tol * Math.max(1, Math.abs(want));
}

/** Class names of all serialized objects inside a config. */
export function classNames(x: unknown, found: Set<string> = new Set()): Set<string> {
  if (Array.isArray(x)) for (const y of x) classNames(y, found);
  else if (x !== null && typeof x === "object") {
    const o = x as Record<string, unknown>;
    if (typeof o["class_name"] === "string" && o["module"] !== undefined) found.add(o["class_name"]);
    for (const y of Object.values(o)) classNames(y, found);
  }
  return found;
}

export type { Tree };
