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

/** A new layer with the same configuration but for `changes`, and weights of its own. */
export function copyLayer(layer: Layer, changes: Record<string, Json>): Layer {
  if (!read) throw new Error("no reader of saved layers");
  const { class_name, registered_name, module } = layer.toConfig() as unknown as Saved;
  return read({ class_name, registered_name, module, config: { ...layer.getConfig(), ...changes } } as Saved);
}
