/** Flatten: each sample becomes one vector. */
import { defineSpec, type OptionsOf } from "../config/index.ts";
import { reshape, transpose } from "../graph/ops/index.ts";
import { sizeOf } from "../graph/types.ts";
import { Tensor } from "../tensor/tensor.ts";
import { dataFormatField } from "./fields.ts";
import { Layer, layerFields } from "./layer.ts";

const spec = defineSpec("keras.layers", "Flatten", { ...layerFields, dataFormat: dataFormatField });

/** [N, a, b, …] → [N, a·b·…]; with channels first, channels are moved last before. */
export class Flatten extends Layer<typeof spec> {
  static readonly spec = spec;
  constructor(options: OptionsOf<typeof spec> = {}) {
    super(options, spec);
    this.inputSpec = { minNdim: 1 };
  }
  call(x: Tensor): Tensor {
    let { value } = x;
    if (this.options.dataFormat === "channelsFirst" && x.ndim > 2) {
      value = transpose(value, [0, ...x.shape.slice(2).map((_, i) => i + 2), 1]);
    }
    return new Tensor(reshape(value, [x.shape[0], sizeOf(x.shape.slice(1))]));
  }
}
export const flatten = (options: OptionsOf<typeof spec> = {}): Flatten => new Flatten(options);
