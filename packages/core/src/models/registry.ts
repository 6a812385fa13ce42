/** The table of all layers and models by class name, and layers from their saved form. */
import { type Json, type KerasObject, type RegisteredClass, Registry } from "../config/index.ts";
import { isShape } from "../layers/arguments.ts";
import { layerClasses } from "../layers/index.ts";
import { InputLayer } from "../layers/input-layer.ts";
import { Layer } from "../layers/layer.ts";
import { Functional } from "./functional.ts";
import { Sequential } from "./sequential.ts";

let table: Registry<Layer> | null = null;

/** All layers and models. Made on first use, because models need it to read their own layers. */
export function layerRegistry(): Registry<Layer> {
  table ??= new Registry<Layer>(
    "layer",
    { ...layerClasses, inputLayer: InputLayer, sequential: Sequential, functional: Functional } as unknown as Record<
      string,
      RegisteredClass<Layer>
    >,
    (x): x is Layer => x instanceof Layer,
    { Model: Functional as unknown as RegisteredClass<Layer> },
  );
  return table;
}

/** A layer or model from `{ module, class_name, config, registered_name }`; built if it says for which shape. */
export function layerFromConfig(saved: KerasObject | { readonly [key: string]: Json }): Layer {
  const layer = layerRegistry().fromConfig(saved as KerasObject);
  const shape = (saved["build_config"] as { input_shape?: Json } | null | undefined)?.input_shape;
  if (!layer.built && isShape(shape)) layer.buildFor(shape);
  return layer;
}
