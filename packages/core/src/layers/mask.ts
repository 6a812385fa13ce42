/** Masks: which time steps of a value count. A mask belongs to a tensor and is carried beside it. */
import type { Tensor } from "../tensor/tensor.ts";

const masks = new WeakMap<Tensor, Tensor>();

/** The mask a layer attached to `tensor`: bool, of the tensor's leading axes; null when everything counts. */
export function maskOf(tensor: Tensor): Tensor | null {
  return masks.get(tensor) ?? null;
}

/** Attaches a mask (null: none) and returns the tensor. */
export function setMask(tensor: Tensor, mask: Tensor | null): Tensor {
  if (mask) masks.set(tensor, mask);
  else masks.delete(tensor);
  return tensor;
}
