/** Dense: activation(x · kernel + bias). */
import { activationField } from "../activations/index.ts";
import { bool, defineSpec, int, type OptionsOf } from "../config/index.ts";
import { dotGeneral } from "../graph/ops/index.ts";
import { Tensor } from "../tensor/tensor.ts";
import type { Variable } from "../tensor/variable.ts";
import { oneShape, type ShapeTree } from "./arguments.ts";
import { activityFields, weightFields } from "./fields.ts";
import { knownSize } from "./input-spec.ts";
import { Layer, layerFields } from "./layer.ts";

const spec = defineSpec("keras.layers", "Dense", {
  ...layerFields,
  units: int({ min: 1 }).doc("number of outputs"),
  activation: activationField(),
  useBias: bool().default(true).doc("whether a bias is added"),
  ...weightFields("kernel", "glorotUniform"),
  ...weightFields("bias", "zeros"),
  ...activityFields,
});
export type DenseOptions = OptionsOf<typeof spec>;

/** x: [N, …, D] → [N, …, units]; kernel [D, units], bias [units]. */
export class Dense extends Layer<typeof spec> {
  static readonly spec = spec;
  override readonly masking = "pass";
  override get timewise(): boolean {
    return true;
  }
  override readonly castsIntegers = true;
  kernel!: Variable;
  bias: Variable | null = null;

  constructor(options: DenseOptions) {
    super(options, spec);
  }
  override build(inputShape: ShapeTree): void {
    const { units, useBias } = this.options;
    this.inputSpec = { minNdim: 2 };
    const features = knownSize(oneShape(inputShape, this.name), -1, this, "features");
    this.kernel = this.addOptionWeight("kernel", [features, units]);
    if (useBias) this.bias = this.addOptionWeight("bias", [units]);
    this.inputSpec = { minNdim: 2, axes: { [-1]: features }, unit: "features" };
  }
  call(x: Tensor): Tensor {
    let y = new Tensor(
      dotGeneral(x.value, this.read(this.kernel).value, {
        batchA: [],
        batchB: [],
        contractA: [x.ndim - 1],
        contractB: [0],
      }),
    );
    if (this.bias) y = y.add(this.read(this.bias));
    return this.options.activation.call(y);
  }
}

/** A fully connected layer with `units` outputs. */
export function dense(units: number, options: Omit<DenseOptions, "units"> = {}): Dense {
  return new Dense({ ...options, units });
}
