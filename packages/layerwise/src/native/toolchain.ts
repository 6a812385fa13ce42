/** Finds the system's C compiler and runs it: C sources, compiled side by side, to one shared library. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { arch, cpus, platform } from "node:os";
import { join } from "node:path";
import { LayerwiseError } from "@layerwise/core";

export interface Toolchain {
  /** The program and arguments that always go with it (`CC="ccache gcc"`). */
  readonly command: readonly string[];
  readonly version: string;
  readonly flags: readonly string[];
  /** CPU model and features; programs are compiled for this machine. */
  readonly cpu: string;
}

const flags = [
  "-std=gnu11",
  "-O2",
  // On ARM the architecture alone would leave out the core's features, and Apple's clang refuses it.
  arch() === "arm64" ? "-mcpu=native" : "-march=native",
  "-ffp-contract=off",
  "-fno-math-errno",
  "-fno-trapping-math",
  "-fPIC",
  "-fvisibility=hidden",
  "-w",
];

const candidates = () => {
  const named = process.env["CC"]?.trim();
  return [...(named ? [named.split(/\s+/)] : []), ["cc"], ["gcc"], ["clang"]];
};

let found: Toolchain | null | undefined;

/** `$CC`, cc, gcc or clang, whichever answers first; null when there is none. */
export function findToolchain(): Toolchain | null {
  if (found !== undefined) return found;
  found = null;
  // The runtime library is written for POSIX threads.
  if (platform() === "win32") return null;
  for (const command of candidates()) {
    const r = spawnSync(command[0], [...command.slice(1), "--version"], { encoding: "utf8", timeout: 20_000 });
    if (r.status !== 0) continue;
    found = { command, version: r.stdout.split("\n")[0] ?? "", flags, cpu: cpuFeatures() };
    break;
  }
  return found;
}

/** For tests: look for the compiler again. */
export function forgetToolchain(): void {
  found = undefined;
}

/** The toolchain, or N103. */
export function requireToolchain(): Toolchain {
  const toolchain = findToolchain();
  if (toolchain) return toolchain;
  throw new LayerwiseError("the native target needs a C compiler", {
    code: "N103",
    received:
      platform() === "win32"
        ? "Windows, for which there is no native target"
        : `none of ${candidates()
            .map((c) => c.join(" "))
            .join(", ")} answers`,
    expected: "a C compiler on the PATH",
    hint: "install gcc or clang, or use the wasm device",
  });
}

function cpuFeatures(): string {
  let features = `${arch()} ${platform()} ${cpus()[0]?.model ?? ""}`;
  try {
    const info = readFileSync("/proc/cpuinfo", "utf8");
    features += ` ${/^(?:flags|Features)\s*:\s*(.*)$/m.exec(info)?.[1] ?? ""}`;
  } catch {
    // Not Linux: the model name stands for the features.
  }
  return features;
}

/** Lanes of the widest vectors worth using: 16 with AVX-512, 8 with AVX2 and FMA, else 4. */
export function machineLanes(toolchain: Toolchain): 4 | 8 | 16 {
  const f = toolchain.cpu;
  if (/\bavx512f\b/.test(f)) return 16;
  return /\bavx2\b/.test(f) && /\bfma\b/.test(f) ? 8 : 4;
}

/** Compiles `sources` side by side in the folder `work` and links them there; the library's path. Throws N102. */
export function compileLibrary(sources: readonly string[], t: Toolchain, work: string): string {
  const output = join(work, "out.so");
  const objects = sources.map((source, i) => {
    writeFileSync(join(work, `s${i}.c`), source, { mode: 0o600 });
    return join(work, `s${i}.o`);
  });
  const compiles = sources.map((_, i) => [...t.command, ...t.flags, "-c", join(work, `s${i}.c`), "-o", objects[i]]);
  const system = platform() === "linux" ? ["-ldl"] : [];
  const link = [...t.command, ...t.flags, "-shared", "-o", output, ...objects, "-lpthread", ...system];
  // One shell runs the compilers side by side, then links; it leaves the number of what failed, and each its messages.
  const line = (words: readonly string[]) => words.map((w) => `'${w.replaceAll("'", "'\\''")}'`).join(" ");
  const script = [
    ...compiles.map((c, i) => `${line(c)} 2>'s${i}.err' & p${i}=$!`),
    ...compiles.map((_, i) => `wait $p${i} || exit ${i + 1}`),
    `${line(link)} 2>link.err || exit 255`,
  ].join("\n");
  const run = spawnSync("/bin/sh", ["-c", script], { cwd: work, encoding: "utf8", timeout: 300_000 });
  if (run.status === 0) return output;
  const failed = run.status === null || run.status === 255 ? -1 : run.status - 1;
  const command = failed < 0 ? link : compiles[failed];
  let message = run.error ? String(run.error.message) : run.signal ? `the shell ended with ${run.signal}` : run.stderr;
  try {
    message = readFileSync(join(work, failed < 0 ? "link.err" : `s${failed}.err`), "utf8") || message;
  } catch {
    // It did not come that far.
  }
  throw new LayerwiseError("the C compiler failed", {
    code: "N102",
    received: `${command.join(" ").slice(0, 600)}\n            ${firstLines(message || "no message")}`,
    expected: `a library from ${t.version}`,
    hint: 'run with LAYERWISE_DEVICE=wasm, or name another compiler in "CC"',
  });
}

/** What a compiler says first, with errors before warnings and notes. */
function firstLines(message: string): string {
  const lines = message.trim().split("\n");
  const telling = lines.filter((l) => /error|killed|signal|No space|cannot/i.test(l));
  return (telling.length > 0 ? telling : lines).slice(0, 2).join("\n            ").slice(0, 500);
}
