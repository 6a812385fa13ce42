/** Programs of a real device: compiled graphs, with variables placed in device memory. */
import { type CompiledGraph, compileGraph, type GraphSource } from "../compiler/compile.ts";
import { fromKept, type Identity, identify, keptText } from "../compiler/keep.ts";
import { allocate, type DType, dtypeBytes, sizeOf, type TypedArray } from "../graph/types.ts";
import { optimizeLater } from "../platform/platform.ts";
import type { Block, Device, Executable } from "../targets/device.ts";
import { replaceDevice } from "./device.ts";
import type { Program, ProgramSource } from "./engine.ts";
import { watcherOf } from "./profiling.ts";
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

/** An input or output: how many elements of what type, and the array type that shows them. */
interface Item {
  readonly dtype: DType;
  readonly size: number;
  readonly bytes: number;
  readonly view: new (buffer: ArrayBufferLike, offset: number, length: number) => TypedArray;
}

function itemOf(type: { readonly dtype: DType; readonly shape: readonly number[] }): Item {
  const size = sizeOf(type.shape);
  const view = allocate(type.dtype, 0).constructor as Item["view"];
  return { dtype: type.dtype, size, bytes: size * dtypeBytes[type.dtype], view };
}

/** Programs whose machine code is made together, when the outermost `compileTogether` ends. */
let waiting: DeviceProgram[] | null = null;

/**
 * Compiles the programs that `body` makes all at once after it, which is faster than one after the other where a compiler
 * runs in processes of its own. One that is run inside `body` is compiled there.
 */
export function compileTogether<T>(body: () => T): T {
  if (waiting) return body();
  const list: DeviceProgram[] = [];
  waiting = list;
  let result: T;
  try {
    result = body();
  } finally {
    waiting = null;
  }
  const pending = list.filter((p) => p.pending);
  const device = pending[0]?.device;
  try {
    device?.precompile?.(pending.filter((p) => p.device === device).map((p) => p.graph.program));
  } catch (cause) {
    const other = replaceDevice(device!, cause);
    for (const p of pending) if (p.device === device) p.moveTo(other);
  }
  for (const p of pending) p.build();
  return result;
}

export function deviceProgram(source: ProgramSource, device: Device): Program {
  const { name, inputs, outputs } = source;
  const program = new DeviceProgram({ name, inputs, outputs, writes: source.trace?.writes() ?? [] }, device);
  if (waiting) waiting.push(program);
  else program.build();
  return program;
}

/** The graph as an earlier process compiled it for this device, or null. */
function recall(device: Device, identity: Identity): CompiledGraph | null {
  const kept = device.shelf!.get(identity.parts);
  if (!kept) return null;
  const graph = fromKept(kept.text, kept.data, identity);
  return device.shelf!.load(graph.program.kernels.map((k) => k.symbol!)) ? graph : null;
}

class DeviceProgram implements Program {
  readonly name: string;
  device: Device;
  graph!: CompiledGraph;
  /** Under which the device will keep the graph, once it is built; null where it has it, or cannot keep it. */
  private identity: Identity | null = null;
  /** Dropped once there is an executable: it holds the graph with its constants. */
  private source: GraphSource | null;
  private executable: Executable | null = null;
  private variables: readonly Variable[] = [];
  private blocks: Block[] = [];
  private readonly ins: readonly Item[];
  private readonly outs: readonly Item[];
  /** Arrays for inputs that nothing reads. */
  private readonly unread = new Map<number, TypedArray>();

  constructor(source: GraphSource, device: Device) {
    this.name = source.name;
    this.source = source;
    this.device = device;
    this.compile(source);
    this.ins = source.inputs.map(itemOf);
    this.outs = source.outputs.map(itemOf);
  }

  /** Whether it still has to be built. */
  get pending(): boolean {
    return this.executable === null && this.source !== null;
  }

  build(): Executable {
    if (this.executable) return this.executable;
    try {
      this.executable = this.device.compile(this.graph.program);
    } catch (cause) {
      this.moveTo(replaceDevice(this.device, cause));
      this.executable = this.device.compile(this.graph.program);
    }
    this.source = null;
    if (this.identity) {
      const { shelf } = this.device;
      shelf!.put(
        this.identity.parts,
        keptText(this.graph, this.identity, shelf!.symbols(this.graph.program)),
        this.graph.program.constants,
      );
      this.identity = null;
    }
    return this.executable;
  }

  /** Makes it a program of another device, before it is built. */
  moveTo(device: Device): void {
    this.device = device;
    this.compile(this.source!);
  }

  private compile(source: GraphSource): void {
    const { device } = this;
    this.identity = device.shelf ? identify(source, device.profile) : null;
    const kept = this.identity && recall(device, this.identity);
    if (kept) this.identity = null;
    this.graph = kept ?? optimizeLater(() => compileGraph(source, device.profile));
    this.variables = this.graph.stores as unknown as readonly Variable[];
    this.blocks = new Array(this.variables.length);
  }

  inputs(): TypedArray[] {
    const arena = this.device.arena(this.build());
    return this.ins.map((item, i) => {
      const offset = this.graph.inputs[i];
      if (offset < 0 || item.bytes === 0) {
        const known = this.unread.get(i) ?? allocate(item.dtype, item.size);
        this.unread.set(i, known);
        return known;
      }
      const bytes = this.device.view(arena, offset, item.bytes);
      return new item.view(bytes.buffer, bytes.byteOffset, item.size);
    });
  }

  execute(into?: readonly TypedArray[]): TypedArray[] {
    const { device, variables, blocks, outs } = this;
    const executable = this.build();
    for (let i = 0; i < variables.length; i++) blocks[i] = place(variables[i], device);
    const watcher = device.timeCalls ? watcherOf(this) : null;
    if (watcher) watcher(this.name, device, device.timeCalls!(executable, blocks));
    else device.run(executable, blocks);
    const results: TypedArray[] = [];
    for (let i = 0; i < outs.length; i++) {
      const { dtype, size, bytes } = outs[i];
      const out = into ? into[i] : allocate(dtype, size);
      if (bytes > 0) {
        const { slot, offset } = this.graph.outputs[i];
        bytesOf(out).set(device.view(slot === 0 ? device.arena(executable) : blocks[slot - 2], offset, bytes));
      }
      results.push(out);
    }
    return results;
  }

  release(): void {
    if (this.executable) this.device.release(this.executable);
    this.executable = null;
    this.source = null;
    this.identity = null;
  }
}
