/** Reads the IDX form of MNIST: a magic number, the sizes, then bytes. */
import { LayerwiseError } from "@layerwise/core";

export interface IdxArray {
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** Unpacked IDX file of unsigned bytes with `rank` axes. Source: yann.lecun.com/exdb/mnist, "The IDX file format". */
export function readIdx(bytes: Uint8Array, rank: number, name: string): IdxArray {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = 4 + 4 * rank;
  // 0x08: unsigned byte.
  const magic = 0x0800 + rank;
  if (bytes.length < header || view.getUint32(0) !== magic) {
    throw new LayerwiseError(`${name} is not an IDX file of unsigned bytes with ${rank} axes`, {
      code: "D207",
      layer: name,
      received: `${bytes.length} bytes that begin with 0x${Buffer.from(bytes.subarray(0, 4)).toString("hex")}`,
      expected: `0x${magic.toString(16).padStart(8, "0")} and ${rank} sizes`,
    });
  }
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  const size = shape.reduce((a, b) => a * b, 1);
  if (bytes.length - header !== size) {
    throw new LayerwiseError(`${name} does not hold what its header says`, {
      code: "D207",
      layer: name,
      received: `${bytes.length - header} bytes of data`,
      expected: `${size} for [${shape.join(", ")}]`,
    });
  }
  return { shape, data: bytes.subarray(header) };
}
