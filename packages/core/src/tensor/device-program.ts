/** Programs of a real device: compiled graphs, with variables placed in device memory. */
import { compileGraph } from "../compiler/compile.ts";
import { allocate, dtypeBytes, sizeOf, type TypedArray } from "../graph/types.ts";
import type { Block, Device } from "../targets/device.ts";
import type { Program, ProgramSource } from "./engine.ts";
import type { Placement, Variable } from "./variable.ts";

interface DevicePlacement extends Placement {
  readonly device: Device;
  readonly block: Block;
}

/** Frees the blocks of variables that are gone. */
const abandoned = new FinalizationRegistry<DevicePlacement>((p) => p.release());

/** Moves a root variable into the device's memory, from the host or from another device. */
function place(variable: Variable, device: Device): Block {
  const known = variable.placement as DevicePlacement | null;
  if (known?.device === device) return known.block;
  const contents = variable.snapshot();
  known?.release();
  const block = device.allocate(variable.bytes);
  let freed = false;
  const placement: DevicePlacement = {
    device,
    block,
    read(target) {
      bytesOf(target).set(device.view(block, 0, target.byteLength));
    },
    write(source) {
      device.view(block, 0, source.byteLength).set(bytesOf(source));
    },
    release() {
      if (!freed) device.free(block);
      freed = true;
      abandoned.unregister(placement);
    },
  };
  placement.write(contents);
  variable.placement = placement;
  variable.host = null;
  abandoned.register(variable, placement, placement);
  return block;
}

function bytesOf(x: TypedArray): Uint8Array {
  return new Uint8Array(x.buffer, x.byteOffset, x.byteLength);
}

export function deviceProgram(source: ProgramSource, device: Device): Program {
  const writes = source.trace?.writes() ?? [];
  const graph = compileGraph(
    { name: source.name, inputs: source.inputs, outputs: source.outputs, writes },
    device.profile,
  );
  const executable = device.compile(graph.program);
  const variables = graph.stores as unknown as readonly Variable[];
  const blocks: Block[] = new Array(variables.length);
  const outputs = source.outputs.map((v, i) => ({
    dtype: v.dtype,
    size: sizeOf(v.shape),
    bytes: sizeOf(v.shape) * dtypeBytes[v.dtype],
    at: graph.outputs[i],
  }));
  return {
    run(inputs) {
      for (let i = 0; i < variables.length; i++) blocks[i] = place(variables[i], device);
      const arena = device.arena(executable);
      for (let i = 0; i < inputs.length; i++) {
        if (graph.inputs[i] >= 0 && inputs[i].byteLength > 0)
          device.view(arena, graph.inputs[i], inputs[i].byteLength).set(bytesOf(inputs[i]));
      }
      device.run(executable, blocks);
      return outputs.map((o) => {
        const out = allocate(o.dtype, o.size);
        if (o.bytes > 0) {
          const block = o.at.slot === 0 ? device.arena(executable) : blocks[o.at.slot - 2];
          bytesOf(out).set(device.view(block, o.at.offset, o.bytes));
        }
        return out;
      });
    },
    release() {
      device.release(executable);
    },
  };
}
