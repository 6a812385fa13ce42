/** SpectralNormalization (Miyato et al. 2018): a layer whose kernel has a spectral norm of about 1. */
import { defineSpec, int, type OptionsOf } from "../config/index.ts";
import { LayerwiseError } from "../errors.ts";
import { sizeOf } from "../graph/types.ts";
import { TruncatedNormal } from "../initializers/index.ts";
import * as ops from "../tensor/ops/index.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Variable } from "../tensor/variable.ts";
import type { ShapeTree, TensorTree } from "./arguments.ts";
import { type CallContext, Layer, layerFields } from "./layer.ts";
import { layerField } from "./nested.ts";

const spec = defineSpec("keras.layers", "SpectralNormalization", {
  ...layerFields,
  layer: layerField().doc("the layer, which has a kernel or embeddings"),
  powerIterations: int({ min: 1 }).default(1).doc("steps of the power iteration in each training call"),
});

/**
 * In training, divides the kernel of `layer` by its largest singular value, estimated by power iteration from the vector of
 * the call before, and keeps the result; then calls the layer. A kernel of zeros is left alone.
 */
export class SpectralNormalization extends Layer<typeof spec> {
  static readonly spec = spec;
  override readonly masking = "pass";
  readonly layer: Layer;
  vectorU!: Variable;

  constructor(options: OptionsOf<typeof spec>) {
    super(options, spec);
    this.layer = this.options.layer;
  }
  /** The variable that is normalised. */
  private get kernel(): Variable {
    const { kernel, embeddings } = this.layer as unknown as { kernel?: unknown; embeddings?: unknown };
    if (kernel instanceof Variable) return kernel;
    if (embeddings instanceof Variable) return embeddings;
    throw new LayerwiseError(`${this.describe()} needs a layer with a kernel`, {
      code: "E202",
      layer: this.name,
      received: this.layer.describe(),
      expected: "a layer with the weight kernel or embeddings",
    });
  }
  override build(inputShape: ShapeTree): void {
    this.layer.buildFor(inputShape);
    this.vectorU = this.addWeight({
      name: "vector_u",
      shape: [1, this.kernel.shape[this.kernel.shape.length - 1]],
      initializer: new TruncatedNormal({ stddev: 0.02 }),
      trainable: false,
    });
  }
  call(x: TensorTree, { training }: CallContext): TensorTree {
    if (training) this.normalize();
    return this.layer.apply<TensorTree>(x, { training });
  }
  private normalize(): void {
    const old = this.kernel.read();
    const columns = old.shape[old.ndim - 1];
    const matrix = ops.stopGradient(old.reshape([sizeOf(old.shape) / columns, columns]));
    let u: Tensor = this.vectorU.read();
    let v = u;
    for (let i = 0; i < this.options.powerIterations; i++) {
      v = ops.normalize(ops.matmul(u, ops.transpose(matrix)), null);
      u = ops.normalize(ops.matmul(v, matrix), null);
    }
    const sigma = ops.matmul(ops.matmul(v, matrix), ops.transpose(u)).reshape([]);
    const zero = ops.all(ops.equal(matrix, 0));
    this.vectorU.assign(ops.where(zero, this.vectorU.read(), u));
    this.kernel.assign(ops.where(zero, old, old.div(ops.where(zero, 1, sigma))));
  }
}
export const spectralNormalization = (
  layer: Layer,
  options: Omit<OptionsOf<typeof spec>, "layer"> = {},
): SpectralNormalization => new SpectralNormalization({ ...options, layer });
