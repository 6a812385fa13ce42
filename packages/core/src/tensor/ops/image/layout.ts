/** Images in either data format and with or without a batch, as [N, H, W, C] and back. */
import { Tensor, type TensorLike } from "../../tensor.ts";
import type { DataFormat } from "../conv.ts";
import { argumentError } from "../promote.ts";
import { expandDims, squeeze, transpose } from "../shape.ts";

/** Calls `f` on [N, H, W, C] and gives its result the layout of the input. */
export function onImages(
  name: string,
  images: TensorLike,
  dataFormat: DataFormat | undefined,
  f: (images: Tensor) => Tensor,
): Tensor {
  let x = Tensor.of(images);
  if (x.ndim !== 3 && x.ndim !== 4)
    throw argumentError(
      `image.${name}`,
      "these are not images",
      `shape [${x.shape}]`,
      "one image (rank 3) or a batch (rank 4)",
    );
  const single = x.ndim === 3;
  const first = dataFormat === "channelsFirst" || dataFormat === "channels_first";
  if (single) x = expandDims(x, 0);
  let y = f(first ? transpose(x, [0, 2, 3, 1]) : x);
  if (first) y = transpose(y, [0, 3, 1, 2]);
  return single ? squeeze(y, 0) : y;
}
