/** The table of all layers and models by class name, and layers from their saved form. */
import { type Json, type RegisteredClass, Registry, type SavedObject } from "../config/index.ts";
import { isShape } from "../layers/arguments.ts";
import { layerClasses } from "../layers/index.ts";
import { InputLayer } from "../layers/input-layer.ts";
import { Layer } from "../layers/layer.ts";
import { provideLayerReader } from "../layers/nested.ts";
import { Operation } from "../layers/operation.ts";
import { CTC, lossRegistry } from "../losses/index.ts";
import { Functional } from "./functional.ts";
import { Sequential } from "./sequential.ts";

type LayerClass = RegisteredClass<Layer>;

class LayerRegistry extends Registry<Layer> {
  /** Also builds the layer if the saved form says for which shape; calls of ops are layers too. */
  override fromConfig(saved: SavedObject): Layer {
    if (Operation.isSaved(saved)) return Operation.fromSaved(saved as { readonly [key: string]: Json });
    const layer = super.fromConfig(saved);
    const shape = (saved as { build_config?: { input_shape?: Json } | null }).build_config?.input_shape;
    if (!layer.built && isShape(shape)) layer.buildFor(shape);
    return layer;
  }
}

let table: LayerRegistry | null = null;

/** All layers and models. Made on first use: a program that loads no saved model does not carry every layer. */
export function layerRegistry(): Registry<Layer> {
  if (!table) lossRegistry.add("ctc", CTC);
  table ??= new LayerRegistry(
    "layer",
    {
      ...(layerClasses as unknown as Record<string, LayerClass>),
      inputLayer: InputLayer as unknown as LayerClass,
      sequential: Sequential as unknown as LayerClass,
      functional: Functional as unknown as LayerClass,
    },
    (x): x is Layer => x instanceof Layer,
    { Model: Functional as unknown as LayerClass },
  );
  return table;
}

/** A layer or model from `{ module, class_name, config, registered_name }`; built if it says for which shape. */
export function layerFromConfig(saved: SavedObject | { readonly [key: string]: Json }): Layer {
  return layerRegistry().fromConfig(saved as SavedObject);
}

provideLayerReader(layerFromConfig);
