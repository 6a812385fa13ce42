/** The layers of packages/core: imports run downwards only, and Node's modules stay in one folder. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const src = join(dirname(dirname(fileURLToPath(import.meta.url))), "packages/core/src");

/** From the bottom to the top; a folder may import what stands in a row above it in this list, and itself. */
const rows = [
  ["errors.ts"],
  ["platform", "loopir"],
  ["graph", "targets"],
  ["autodiff", "compiler", "config"],
  ["tensor"],
  ["activations", "constraints", "initializers", "regularizers", "schedules", "text"],
  ["losses", "optimizers"],
  ["metrics"],
  ["layers"],
  ["callbacks"],
  ["training"],
  ["models"],
  ["data", "formats", "generation"],
  ["oracles.ts", "target-kit.ts"],
  ["index.ts"],
];

/**
 * What the graph's op records, the compiler and the targets share, in compiler/: LoopIR with its builder, and the kernels
 * written in it (polynomials, tiles, memory). They know nothing of the graph.
 */
const loopir = /^compiler\/(loopir|builder|lowered|math|memory|scratch|integer-dot)\.ts$|^compiler\/contract\//;

/** Types that may be named upwards: a callback is handed the model and its logs. Values never. */
const upwardTypes: Record<string, readonly string[]> = {
  callbacks: ["models", "training"],
  training: ["models"],
};

/** Tests and what only they import. */
const forTests = /\.test\.ts$|^testing\.ts$|^(test|check)-[\w-]+\.ts$/;

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

function layerOf(path: string): string {
  return loopir.test(path) ? "loopir" : path.split("/")[0];
}

/** Imports of all modules that are not tests, paths relative to src; a package or Node module keeps its name. */
function readImports(): Import[] {
  const imports: Import[] = [];
  for (const entry of readdirSync(src, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith(".ts") || forTests.test(entry.name)) continue;
    const file = join(entry.parentPath, entry.name);
    imports.push(...importsOf(readFileSync(file, "utf8"), relative(src, file).split(sep).join("/")));
  }
  return imports;
}

function importsOf(text: string, from: string): Import[] {
  const resolve = (to: string) => (to.startsWith(".") ? join(dirname(from), to).split(sep).join("/") : to);
  const found: Import[] = [];
  for (const [, clause, to] of text.matchAll(/^(?:import|export)\s([^;"']*?)\bfrom\s+"([^"]+)"/gm)) {
    const names = /^\{(.*)\}\s*$/s
      .exec(clause)?.[1]
      .split(",")
      .filter((name) => name.trim() !== "");
    const typeOnly = clause.startsWith("type ") || names?.every((name) => name.trim().startsWith("type ")) === true;
    found.push({ from, to: resolve(to), typeOnly });
  }
  for (const [, to] of text.matchAll(/^import\s+"([^"]+)"/gm)) found.push({ from, to: resolve(to), typeOnly: false });
  for (const [, type, to] of text.matchAll(/(\btypeof\s+)?\bimport\(\s*"([^"]+)"\s*\)/g)) {
    found.push({ from, to: resolve(to), typeOnly: type !== undefined });
  }
  return found;
}

const imports = readImports();
const rank = new Map(rows.flatMap((row, i) => row.map((layer) => [layer, i] as const)));
const show = (list: readonly Import[]) => list.map((i) => `${i.from} imports ${i.to}`);

test("the reader of imports sees every form", () => {
  const text = `import { a } from "./a.ts";
import type { B } from "./b.ts";
export { type C, type D } from "../x/c.ts";
import {
  e,
  type F,
} from "node:fs";
import "./g.ts";
const h = await import("./h.ts");
type I = typeof import("node:os");
`;
  expect(importsOf(text, "y/z.ts").map((i) => `${i.to} ${i.typeOnly}`)).toEqual([
    "y/a.ts false",
    "y/b.ts true",
    "x/c.ts true",
    "node:fs false",
    "y/g.ts false",
    "y/h.ts false",
    "node:os true",
  ]);
  expect(imports.length).toBeGreaterThan(100);
});

test("every folder has its place in the order", () => {
  const unknown = new Set(imports.flatMap((i) => [i.from, ...(i.to.startsWith("node:") ? [] : [i.to])]).map(layerOf));
  for (const layer of rank.keys()) unknown.delete(layer);
  expect([...unknown]).toEqual([]);
});

test("imports run downwards", () => {
  const upwards = imports.filter(({ from, to, typeOnly }) => {
    const [a, b] = [layerOf(from), layerOf(to)];
    if (a === b || !rank.has(b)) return false;
    if (typeOnly && upwardTypes[a]?.includes(b)) return false;
    return rank.get(b)! >= rank.get(a)!;
  });
  expect(show(upwards)).toEqual([]);
});

test("targets know nothing but LoopIR, platform and errors", () => {
  const allowed = ["targets", "loopir", "platform", "errors.ts"];
  expect(show(imports.filter((i) => layerOf(i.from) === "targets" && !allowed.includes(layerOf(i.to))))).toEqual([]);
});

test("only the model face and callbacks know training", () => {
  const allowed = ["training", "models", "callbacks", "index.ts"];
  expect(show(imports.filter((i) => layerOf(i.to) === "training" && !allowed.includes(layerOf(i.from))))).toEqual([]);
});

test("Node's modules are named in the platform folder only, and no package is imported", () => {
  const foreign = imports.filter((i) => !i.from.startsWith("platform/") && !/^[\w-]+(\/|\.ts$)/.test(i.to));
  expect(show(foreign)).toEqual([]);
  const packages = imports.filter((i) => !i.to.startsWith("node:") && !i.to.endsWith(".ts"));
  expect(show(packages)).toEqual([]);
});
