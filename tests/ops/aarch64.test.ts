/**
 * The c target for ARM: samples of the op suite and random graphs, cross-compiled with NEON and run by qemu, with the
 * interpreter's bits. Needs `aarch64-linux-gnu-gcc` and `qemu-aarch64` (Debian: gcc-aarch64-linux-gnu, qemu-user).
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { gradients } from "../../packages/core/src/autodiff/gradients.ts";
import type { LoopProgram } from "../../packages/core/src/compiler/loopir.ts";
import { catalog } from "../../packages/core/src/graph/ops/catalog.ts";
import { isFloat } from "../../packages/core/src/graph/types.ts";
import { emitKernel } from "../../packages/core/src/targets/c/emit.ts";
import { prelude } from "../../packages/core/src/targets/c/prelude.ts";
import { createInterpreterDevice } from "../../packages/core/src/targets/interpreter/device.ts";
import { makeSchedule } from "../../packages/core/src/targets/wasm/control.ts";
import { buildSample, cotangents } from "./differences.ts";
import { randomGraph } from "./random-graphs.ts";
import { compileFor, runOn } from "./targets.ts";

const answers = (command: string) => spawnSync(command, ["--version"]).status === 0;
const missing = ["aarch64-linux-gnu-gcc", "qemu-aarch64"].filter((c) => !answers(c));
if (missing.length > 0) console.warn(`tests of the c target for ARM are SKIPPED: there is no ${missing.join(", no ")}`);

const folder = mkdtempSync(join(tmpdir(), "layerwise-arm-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const samples = [
  ...catalog()
    .flatMap(({ samples }) => samples?.() ?? [])
    .filter((_, i) => i % 11 === 0),
  ...Array.from({ length: 8 }, (_, i) => randomGraph(i + 100)),
];

/** C that runs program `index` on the arena at `a` and the constants at `c`. */
function source(program: LoopProgram, index: number, strict: boolean): string {
  const kernels = program.kernels.map((k, i) => `static void p${index}_${i}${emitKernel(k, { lanes: 4, strict })}`);
  const calls = makeSchedule(program).calls.map(({ call, tasks }) => {
    const buffers = call.bindings.map((b) => `${b.slot === 0 ? "a" : "c"} + ${b.offset}`);
    return `  { char *const p[] = { ${[...buffers, "0"].join(", ")} }; p${index}_${call.kernel}(0, ${tasks}, s, p); }`;
  });
  return [...kernels, `static void run${index}(char *a, char *c, char *s) {`, ...calls, "}"].join("\n");
}

describe.skipIf(missing.length > 0)("c for ARM with NEON", () => {
  test.each([false, true])("gives the interpreter's bits, strict %s", { timeout: 900_000 }, (strict) => {
    const device = createInterpreterDevice({ strict, lanes: 4 });
    const sources: string[] = [];
    const runs: string[] = [];
    const inputs: Buffer[] = [];
    const expected: { name: string; bytes: number; data: Float64Array; dtype: string; at: number }[][] = [];
    let scratch = 4096;
    for (const sample of samples) {
      const built = buildSample(sample);
      const values = [...built.outputs];
      if (sample.gradient) {
        const targets = built.inputs.filter((v) => isFloat(v.dtype));
        for (const g of gradients(built.outputs, cotangents(built.outputs), targets)) if (g) values.push(g);
      }
      // What can be compared without decoding: 32-bit results.
      if (values.some((v) => !["f32", "i32", "u32"].includes(v.dtype))) continue;
      if (built.inputs.some((v) => !["f32", "i32", "u32"].includes(v.dtype))) continue;
      const graph = compileFor(device, built.inputs, values);
      const { program } = graph;
      if (program.slots > 2) continue;
      const index = sources.length;
      sources.push(source(program, index, strict));
      const arena = Buffer.alloc(program.arenaBytes + 64);
      built.inputs.forEach((v, i) => {
        if (graph.inputs[i] < 0) return;
        built.feed.get(v)!.data.forEach((x, k) => {
          const at = graph.inputs[i] + 4 * k;
          if (v.dtype === "f32") arena.writeFloatLE(x, at);
          else if (v.dtype === "i32") arena.writeInt32LE(x, at);
          else arena.writeUInt32LE(x, at);
        });
      });
      const constants = Buffer.concat([program.constants, Buffer.alloc(64)]);
      inputs.push(arena, constants);
      scratch = Math.max(scratch, program.scratchBytes);
      runs.push(`  step(run${index}, ${arena.length}, ${constants.length});`);
      const results = runOn(device, built.inputs, built.feed, values);
      expected.push(
        values.map((v, i) => ({
          name: `${sample.name} ${i}`,
          bytes: arena.length,
          data: results[i],
          dtype: v.dtype,
          at: graph.outputs[i].offset,
        })),
      );
    }
    expect(sources.length).toBeGreaterThan(40);
    const main = `#include <stdio.h>
#include <stdlib.h>
static char *scratch;
static char *block(long n) { char *p = aligned_alloc(64, (n + 191) / 64 * 64); if (fread(p, 1, n, stdin) != n) exit(2); return p; }
static void step(void (*run)(char *, char *, char *), long arena, long constants) {
  char *a = block(arena), *c = block(constants);
  run(a, c, scratch);
  fwrite(a, 1, arena, stdout);
}
int main(void) {
  scratch = aligned_alloc(64, ${Math.ceil(scratch / 64) * 64 + 64});
${runs.join("\n")}
  return 0;
}`;
    const [c, binary, feed] = ["arm.c", "arm", "feed"].map((f) => join(folder, `${strict}-${f}`));
    writeFileSync(c, [prelude(!strict), ...sources, main].join("\n"));
    writeFileSync(feed, Buffer.concat(inputs));
    const flags = "-std=gnu11 -O1 -mcpu=cortex-a76 -ffp-contract=off -fno-math-errno -fno-trapping-math -w -static";
    const made = spawnSync("aarch64-linux-gnu-gcc", [...flags.split(" "), c, "-o", binary, "-lm"], {
      encoding: "utf8",
    });
    expect(made.stderr).toBe("");
    const ran = spawnSync("/bin/sh", ["-c", `qemu-aarch64 '${binary}' < '${feed}' > '${binary}.out'`], {
      encoding: "utf8",
    });
    expect([ran.status, ran.stderr]).toEqual([0, ""]);
    const out = readFileSync(`${binary}.out`);
    let start = 0;
    for (const results of expected) {
      for (const { name, data, dtype, at } of results) {
        data.forEach((want, k) => {
          const place = start + at + 4 * k;
          const got =
            dtype === "f32"
              ? out.readFloatLE(place)
              : dtype === "i32"
                ? out.readInt32LE(place)
                : out.readUInt32LE(place);
          if (!Object.is(got, want)) expect(got, `${name}, element ${k}`).toBe(want);
        });
      }
      start += results[0].bytes;
    }
    expect(start).toBe(out.length);
  });
});
