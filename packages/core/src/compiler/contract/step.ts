/** One kernel of a contraction in the making: its builder, who its buffers are, and how results leave it. */
import type { Index } from "../builder.ts";
import { affine, KernelBuilder, scaled } from "../builder.ts";
import type { Buffer, Operand, StorageType } from "../loopir.ts";
import type { Epilogue, LoweredStep, Role } from "../lowered.ts";

export class Step {
  readonly b: KernelBuilder;
  private readonly roles: Role[] = [];
  private readonly scratches = new Map<string, { size: number } & Buffer>();

  constructor(name: string) {
    this.b = new KernelBuilder(name);
  }
  input(index: number, name: string, size: number, type: StorageType = "f32"): Buffer {
    this.roles.push({ role: "input", index });
    return this.b.buffer(name, type, size, "read");
  }
  output(size: number, type: StorageType): Buffer {
    this.roles.push({ role: "output", index: 0 });
    return this.b.buffer("out", type, size, "write");
  }
  temp(index: number, name: string, size: number, access: Buffer["access"], type: StorageType = "f32"): Buffer {
    this.roles.push({ role: "temp", index });
    return this.b.buffer(name, type, size, access);
  }
  /** Thread scratch for one purpose: every variant of an unevenly cut kernel gets the same buffer, as large as any needs. */
  scratch(name: string, size: number, type: StorageType = "f32"): Buffer {
    let known = this.scratches.get(name);
    if (!known)
      this.scratches.set(name, (known = this.b.buffer(name, type, size, "scratch") as { size: number } & Buffer));
    known.size = Math.max(known.size, size);
    return known;
  }
  finish(cost: { flops: number; bytes: number }): LoweredStep {
    return { kernel: this.b.finish(cost), roles: this.roles };
  }
}

/** Stores finished results, seen as a row-major matrix; `at` says where in memory, if that is somewhere else. */
export interface Sink {
  store(row: Index, column: Index, value: Operand, count: number, at?: Index): void;
  /** Asks memory for what storing a result there reads; only where that is far away. */
  ahead?(row: Index, column: Index): void;
  /** What was stored; only where that is the sum itself, which may then go on. */
  load?(row: Index, column: Index, lanes: number): Operand;
}

/** Elements of a tensor that the second-level cache does not hold beside a product's panels. */
const far = 2 ** 17;

/** The output of the operation, behind its epilogue. `inputs` is the number of inputs the operation itself has. */
export function outputSink(step: Step, epilogue: Epilogue | null, rows: number, columns: number, inputs: number): Sink {
  const extra = epilogue ? epilogue.inputs.map((x, i) => step.input(inputs + i, x.name, x.size, x.type)) : [];
  const out = step.output(rows * columns, epilogue ? epilogue.outType : "f32");
  const { b } = step;
  const whole = extra.filter((x) => x.size === rows * columns && x.size >= far);
  return {
    ...(whole.length > 0
      ? {
          ahead: (row, column) => {
            for (const x of whole) b.prefetch(x, affine(scaled(row, columns), column));
          },
        }
      : {}),
    store(row, column, value, count, at = affine(scaled(row, columns), column)) {
      const result = epilogue ? epilogue.emit(b, value, extra, row, column) : value;
      b.store(out, affine(at), result, count < value.lanes ? { count } : {});
    },
  };
}

/** A row-major matrix of f32 inside a buffer. */
export function matrixSink(step: Step, buffer: Buffer, base: Index, columns: number): Sink {
  return {
    store(row, column, value, count) {
      step.b.store(buffer, affine(base, scaled(row, columns), column), value, count < value.lanes ? { count } : {});
    },
    load: (row, column, lanes) => step.b.load(buffer, affine(base, scaled(row, columns), column), lanes),
  };
}
