/** Options that hold layers: wrappers, cells. */
import { Field, type Json } from "../config/index.ts";
import { Layer } from "./layer.ts";

type Saved = { readonly [key: string]: Json };
let read: ((saved: Saved) => Layer) | null = null;

/** Set by the module that knows all layers by name. */
export function provideLayerReader(reader: (saved: Saved) => Layer): void {
  read = reader;
}

const isSaved = (x: unknown): x is Saved => x !== null && typeof x === "object" && "class_name" in x;

/** A layer, or its saved form. */
export function layerField(): Field<Layer | Saved, Layer, false> {
  return new Field<Layer | Saved, Layer, false>({
    expected: "a layer",
    read: (x) => (x instanceof Layer ? x : isSaved(x) && read ? read(x) : undefined),
    write: (x) => x.toConfig() as unknown as Json,
  });
}

/** A new layer of the same class with the same options but for `changes`; weights and layers inside are its own. */
export function copyLayer(layer: Layer, changes: { readonly [option: string]: unknown }): Layer {
  const copied = (x: unknown): unknown =>
    x instanceof Layer ? copyLayer(x, {}) : Array.isArray(x) && x.some((y) => y instanceof Layer) ? x.map(copied) : x;
  const options = Object.fromEntries(Object.entries(layer.options).map(([k, x]) => [k, copied(x)]));
  const Class = layer.constructor as new (options: object) => Layer;
  return new Class({ ...options, trainable: layer.trainable, ...changes });
}
