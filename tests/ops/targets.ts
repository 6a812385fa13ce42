/** Runs a graph on a device, from compilation to the bytes of its outputs. */
import { type CompiledGraph, compileGraph } from "../../packages/core/src/compiler/compile.ts";
import { plugRegionKernels } from "../../packages/core/src/compiler/region-kernels.ts";
import { decodeBf16, decodeF16, encodeBf16, encodeF16 } from "../../packages/core/src/graph/half.ts";
import type { Value } from "../../packages/core/src/graph/node.ts";
import type { RefArray } from "../../packages/core/src/graph/reference/array.ts";
import { allocate, type DType, dtypeBytes, sizeOf, type TypedArray } from "../../packages/core/src/graph/types.ts";
import type { Device } from "../../packages/core/src/targets/device.ts";

// Samples are graphs; only loops made of tensors plug it in themselves.
plugRegionKernels();

export function toHost(x: RefArray, dtype: DType): TypedArray {
  const host = allocate(dtype, x.data.length);
  const encode = dtype === "f16" ? encodeF16 : dtype === "bf16" ? encodeBf16 : null;
  for (let i = 0; i < host.length; i++) host[i] = encode ? encode(x.data[i]) : x.data[i];
  return host;
}

function toNumbers(x: TypedArray, dtype: DType): Float64Array {
  const decode = dtype === "f16" ? decodeF16 : dtype === "bf16" ? decodeBf16 : null;
  return Float64Array.from(x, decode ?? ((v) => v));
}

export const bytesOf = (x: TypedArray) => new Uint8Array(x.buffer, x.byteOffset, x.byteLength);

export function compileFor(
  device: Pick<Device, "profile">,
  inputs: readonly Value[],
  outputs: readonly Value[],
): CompiledGraph {
  return compileGraph({ name: "suite", inputs, outputs, writes: [] }, device.profile);
}

/** The outputs as numbers, computed by the device. */
export function runOn(
  device: Device,
  inputs: readonly Value[],
  feed: ReadonlyMap<Value, RefArray>,
  outputs: readonly Value[],
): Float64Array[] {
  const graph = compileFor(device, inputs, outputs);
  const executable = device.compile(graph.program);
  try {
    const arena = device.arena(executable);
    inputs.forEach((v, i) => {
      const host = toHost(feed.get(v)!, v.dtype);
      if (graph.inputs[i] >= 0 && host.byteLength > 0) {
        device.view(arena, graph.inputs[i], host.byteLength).set(bytesOf(host));
      }
    });
    device.run(executable, []);
    return outputs.map((v, i) => {
      const host = allocate(v.dtype, sizeOf(v.shape));
      const bytes = host.length * dtypeBytes[v.dtype];
      if (bytes > 0) bytesOf(host).set(device.view(device.arena(executable), graph.outputs[i].offset, bytes));
      return toNumbers(host, v.dtype);
    });
  } finally {
    device.release(executable);
  }
}
