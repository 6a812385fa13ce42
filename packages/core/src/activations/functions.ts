/** The activation functions by name; each is elementwise unless it says otherwise. */
import * as ops from "../tensor/ops/index.ts";
import { notePreActivation } from "../tensor/pre-activation.ts";
import type { Tensor } from "../tensor/tensor.ts";

export const linear = (x: Tensor): Tensor => x;
/** max(x, 0); with options as Keras' `relu`. */
export function relu(
  x: Tensor,
  options: { negativeSlope?: number; maxValue?: number | null; threshold?: number } = {},
): Tensor {
  const { negativeSlope = 0, maxValue = null, threshold = 0 } = options;
  let y: Tensor;
  if (threshold === 0) {
    y = negativeSlope === 0 ? ops.relu(x) : ops.leakyRelu(x, negativeSlope);
  } else {
    const below = negativeSlope === 0 ? ops.zerosLike(x) : x.sub(threshold).mul(negativeSlope);
    y = ops.where(x.greaterEqual(threshold), x, below);
  }
  return maxValue === null ? y : ops.minimum(y, maxValue);
}
/** Softmax over `axis` (default: last). */
export function softmax(x: Tensor, axis = -1): Tensor {
  const y = ops.softmax(x, axis);
  return axis === -1 || axis === x.ndim - 1 ? notePreActivation(y, "softmax", x) : y;
}
/** 1 / (1 + exp(-x)) */
export const sigmoid = (x: Tensor): Tensor => notePreActivation(ops.sigmoid(x), "sigmoid", x);
export const tanh = (x: Tensor): Tensor => ops.tanh(x);
export const elu = (x: Tensor, alpha = 1): Tensor => ops.elu(x, alpha);
export const selu = (x: Tensor): Tensor => ops.selu(x);
export const celu = (x: Tensor, alpha = 1): Tensor => ops.celu(x, alpha);
/** x·Φ(x); exact unless `approximate` (tanh form). */
export const gelu = (x: Tensor, approximate = false): Tensor => ops.gelu(x, approximate);
export const silu = (x: Tensor): Tensor => ops.silu(x);
export const softplus = (x: Tensor): Tensor => ops.softplus(x);
export const softsign = (x: Tensor): Tensor => ops.softsign(x);
export const exponential = (x: Tensor): Tensor => ops.exp(x);
export const hardSigmoid = (x: Tensor): Tensor => ops.hardSigmoid(x);
export const hardSilu = (x: Tensor): Tensor => ops.hardSilu(x);
/** Keras' older names. */
export { hardSilu as hardSwish, silu as swish };
export const hardTanh = (x: Tensor): Tensor => ops.hardTanh(x);
export const hardShrink = (x: Tensor, threshold = 0.5): Tensor => ops.hardShrink(x, threshold);
export const leakyRelu = (x: Tensor, negativeSlope = 0.2): Tensor => ops.leakyRelu(x, negativeSlope);
export const logSigmoid = (x: Tensor): Tensor => ops.logSigmoid(x);
export const logSoftmax = (x: Tensor, axis = -1): Tensor => ops.logSoftmax(x, axis);
/** x·tanh(softplus(x)) */
export const mish = (x: Tensor): Tensor => ops.mish(x);
export const relu6 = (x: Tensor): Tensor => ops.relu6(x);
export const softShrink = (x: Tensor, threshold = 0.5): Tensor => ops.softShrink(x, threshold);
export const sparsePlus = (x: Tensor): Tensor => ops.sparsePlus(x);
export const sparseSigmoid = (x: Tensor): Tensor => ops.sparseSigmoid(x);
/** Euclidean projection onto the probability simplex over `axis`. */
export const sparsemax = (x: Tensor, axis = -1): Tensor => ops.sparsemax(x, axis);
export const squareplus = (x: Tensor, b = 4): Tensor => ops.squareplus(x, b);
export const tanhShrink = (x: Tensor): Tensor => ops.tanhShrink(x);
export const threshold = (x: Tensor, limit: number, value: number): Tensor => ops.threshold(x, limit, value);
export const glu = (x: Tensor, axis = -1): Tensor => ops.glu(x, axis);
