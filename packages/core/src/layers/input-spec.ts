/** Conditions on the shape of a layer's input, checked before each call so that errors name the layer. */
import { formatShape, LayerwiseError } from "../errors.ts";
import { isShape, type ShapeTree } from "./arguments.ts";
import type { OpenShape } from "./symbolic.ts";

export interface InputSpec {
  readonly ndim?: number;
  readonly minNdim?: number;
  /** Required sizes by axis (negative from the end). */
  readonly axes?: { readonly [axis: number]: number };
  /** What the sizes stand for, in the plural: "features", "channels". */
  readonly unit?: string;
}

interface Described {
  readonly name: string;
  readonly buildShape: ShapeTree | null;
  describe(): string;
}

/** Throws unless every input of the call fits. */
export function checkInputs(layer: Described, spec: InputSpec | null, shapes: ShapeTree): void {
  if (spec === null) return;
  if (!isShape(shapes)) {
    for (const shape of Object.values(shapes)) checkInputs(layer, spec, shape as ShapeTree);
    return;
  }
  const fail = (got: string, expected: string): never => {
    const built = isShape(layer.buildShape) ? `; built for ${formatShape(layer.buildShape)}` : "";
    throw new LayerwiseError(`${layer.describe()} got ${got}`, {
      code: "E103",
      layer: layer.name,
      received: `input ${formatShape(shapes)}`,
      expected: `${expected}${built}`,
    });
  };
  const rank = shapes.length;
  if (spec.ndim !== undefined && rank !== spec.ndim) fail(`an input of rank ${rank}`, `rank ${spec.ndim}`);
  if (spec.minNdim !== undefined && rank < spec.minNdim)
    fail(`an input of rank ${rank}`, `rank ${spec.minNdim} or more`);
  for (const [key, size] of Object.entries(spec.axes ?? {})) {
    const axis = Number(key) < 0 ? rank + Number(key) : Number(key);
    const got = shapes[axis];
    if (got !== null && got !== undefined && got !== size) {
      fail(`${got} ${spec.unit ?? `in axis ${key}`}, but its weights are for ${size}`, `${size} in axis ${key}`);
    }
  }
}

/** The size of an axis that must be known to build a layer. */
export function knownSize(shape: OpenShape, axis: number, layer: Described, unit: string): number {
  const size = shape[axis < 0 ? shape.length + axis : axis];
  if (typeof size === "number") return size;
  throw new LayerwiseError(`${layer.describe()} must know the number of ${unit} to make its weights`, {
    code: "E103",
    layer: layer.name,
    received: `input ${formatShape(shape)}`,
    expected: `a known size in axis ${axis}`,
  });
}
