/**
 * V8's revectorization, kernel by kernel: every kernel of the op suite, of random graphs and of loops leaves the same bytes
 * with it and without, and V8 packs exactly what `PairPlan` says. Where Node has no revectorization this is skipped.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { gradients } from "../../packages/core/src/autodiff/gradients.ts";
import type { LoopProgram, TargetProfile } from "../../packages/core/src/compiler/loopir.ts";
import { catalog } from "../../packages/core/src/graph/ops/catalog.ts";
import type { Sample } from "../../packages/core/src/graph/ops/sample.ts";
import { isFloat } from "../../packages/core/src/graph/types.ts";
import { offersRevectorization } from "../../packages/core/src/platform/platform.ts";
import type { Executable } from "../../packages/core/src/targets/device.ts";
import { createWasmDevice, type WasmDevice } from "../../packages/core/src/targets/wasm/device.ts";
import { emitProgram } from "../../packages/core/src/targets/wasm/module.ts";
import { buildSample, cotangents } from "./differences.ts";
import { randomGraph } from "./random-graphs.ts";
import { randomScan } from "./random-scans.ts";
import { bytesOf, compileFor, toHost } from "./targets.ts";

const samples: readonly Sample[] = [
  ...catalog().flatMap(({ samples }) => samples?.() ?? []),
  ...Array.from({ length: 60 }, (_, i) => randomGraph(i + 1)),
  ...Array.from({ length: 30 }, (_, i) => randomScan(i + 1)),
];

/** The sample's outputs and gradients as one program, and the words to begin with in its arena. */
function programOf(sample: Sample, profile: TargetProfile): { program: LoopProgram; fill: Map<number, Uint8Array> } {
  const { inputs, feed, outputs } = buildSample(sample);
  const grads = sample.gradient
    ? gradients(
        outputs,
        cotangents(outputs),
        inputs.filter((v) => isFloat(v.dtype)),
      )
    : [];
  const values = [...outputs, ...grads.filter((g) => g !== null)];
  const graph = compileFor({ profile }, inputs, values);
  const fill = new Map<number, Uint8Array>();
  inputs.forEach((v, i) => {
    if (graph.inputs[i] >= 0) fill.set(graph.inputs[i], bytesOf(toHost(feed.get(v)!, v.dtype)));
  });
  return { program: graph.program, fill };
}

/** A program for each call, so that what one compiler got wrong is not what the other continues with. */
function callsOf(program: LoopProgram): LoopProgram[] {
  return program.stages.flatMap((stage) =>
    stage.calls.map((call) => ({
      ...program,
      kernels: [program.kernels[call.kernel]],
      stages: [{ calls: [{ ...call, kernel: 0 }], serial: true, chunk: [1] }],
    })),
  );
}

/** Runs the call on memory that begins as `before`; returns what the arena holds after. */
function after(device: WasmDevice, executable: Executable, before: Uint8Array): Uint8Array {
  const view = () => device.view(device.arena(executable), 0, before.length);
  view().set(before);
  device.run(executable, []);
  return view().slice();
}

/** One program, two compilers: names of the kernels that leave different bytes. */
function compare(sample: Sample, plain: WasmDevice, fused: WasmDevice): string[] {
  const { program, fill } = programOf(sample, fused.profile);
  let memory: Uint8Array = new Uint8Array(program.arenaBytes);
  for (const [at, bytes] of fill) memory.set(bytes, at);
  const different: string[] = [];
  for (const call of callsOf(program)) {
    // Another name, since V8 hands out the code it has for equal bytes, whatever its flags were.
    const [kernel] = call.kernels;
    const [p, f] = [
      plain.compile(call),
      fused.compile({ ...call, kernels: [{ ...kernel, name: `${kernel.name}_fused` }] }),
    ];
    const [expected, actual] = [after(plain, p, memory), after(fused, f, memory)];
    if (Buffer.compare(expected, actual) !== 0) different.push(kernel.name);
    memory = expected;
    plain.release(p);
    fused.release(f);
  }
  return different;
}

const offered = offersRevectorization();

// One line with the reason, not one for every sample, where there is nothing to test.
if (!offered) {
  test.skip(`revectorization: this engine has none that is used (Node ${process.versions.node}, ${process.arch})`, () => {});
}

for (const strict of offered ? [false, true] : []) {
  describe(`the same bytes with revectorization, strict ${strict}`, () => {
    const plain = createWasmDevice({ threads: 1, strict, revectorize: false });
    const fused = createWasmDevice({ threads: 1, strict, revectorize: "unchecked" });
    afterAll(() => {
      plain.close();
      fused.close();
    });
    for (const sample of samples) test(sample.name, () => expect(compare(sample, plain, fused)).toEqual([]));
  });
}

if (offered)
  test("V8 packs all that the plan says and forces nothing", () => {
    const folder = mkdtempSync(join(tmpdir(), "layerwise-revectorize-"));
    try {
      const profile: TargetProfile = {
        name: "wasm",
        lanes: 8,
        tile: { rows: 6, vectors: 2, unroll: 4 },
        strict: false,
      };
      samples.forEach((sample, i) => {
        const { program } = programOf(sample, profile);
        const bytes = emitProgram(program, { shared: true, relaxedFma: true, strict: false, revectorize: true });
        writeFileSync(join(folder, `${i}.wasm`), bytes);
      });
      const compile = `for (const f of fs.readdirSync(".")) new WebAssembly.Module(fs.readFileSync(f))`;
      const flags = [
        "--experimental-wasm-revectorize",
        "--trace-wasm-revectorize",
        "--no-liftoff",
        "--wasm-num-compilation-tasks=0",
      ];
      const { stdout, status } = spawnSync(process.execPath, [...flags, "--no-wasm-lazy-compilation", "-e", compile], {
        cwd: folder,
        encoding: "utf8",
        maxBuffer: 1 << 30,
      });
      expect(status).toBe(0);
      const count = (what: RegExp) => stdout.match(what)?.length ?? 0;
      expect(count(/Decide to vectorize/g)).toBeGreaterThan(500);
      // A tree that fails leaves its values 128 bits wide beside others that share them; what is forced may be reordered.
      expect(count(/Build tree failed/g)).toBe(0);
      expect(count(/ForcePackNode|IntersectPackNode|Break side effect|partial overlap/gi)).toBe(0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  }, 300_000);
