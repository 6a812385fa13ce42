/** `npm run conformance -- DIR [--only GROUP,…] [--device NAME] [--json FILE]`: runs framework-neutral cases (their form: FORMAT.md beside them). */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { configure, LayerwiseError, resetNames } from "@layerwise/core";
import { installOracles } from "../packages/core/src/oracles.ts";
import { runCallback } from "./conformance/callbacks.ts";
import { type Case, Mismatch, Skip } from "./conformance/cases.ts";
import {
  runActivation,
  runConstraint,
  runInitializer,
  runLoss,
  runMetric,
  runOp,
  runOptimizer,
  runRegularizer,
  runSchedule,
} from "./conformance/kinds.ts";
import { runLayer, runLayerCalls, runLayerFacts, runModel, runNetwork, runSeedProgram } from "./conformance/layers.ts";
import { runPreprocess } from "./conformance/preprocess.ts";

const runners: Record<string, (c: Case) => void | Promise<void>> = {
  op: runOp,
  loss: runLoss,
  metric: runMetric,
  optimizer: runOptimizer,
  activation: runActivation,
  schedule: runSchedule,
  regularizer: runRegularizer,
  constraint: runConstraint,
  initializer: runInitializer,
  layer: runLayer,
  layer_facts: runLayerFacts,
  layer_calls: runLayerCalls,
  network: runNetwork,
  model: runModel,
  seed_program: runSeedProgram,
  preprocess: runPreprocess,
  callback: runCallback,
};

export interface Report {
  groups: Record<string, { passed: number; failed: number; skipped: number }>;
  failures: { id: string; reason: string }[];
  skips: { id: string; reason: string }[];
}

/** Runs one case: null when it passes, else why not. */
async function runCase(c: Case): Promise<{ skip: boolean; reason: string } | null> {
  const run = runners[c.kind];
  if (!run) return { skip: true, reason: `kind ${c.kind}` };
  resetNames();
  try {
    await run(c);
    return null;
  } catch (e) {
    if (e instanceof Skip) return { skip: true, reason: e.message };
    if (e instanceof Mismatch || e instanceof LayerwiseError)
      return { skip: false, reason: e.message.replaceAll("\n", " ") };
    return {
      skip: false,
      reason: String((e as Error).stack ?? e)
        .split("\n")
        .slice(0, 3)
        .join(" "),
    };
  }
}

export async function runFolder(
  folder: string,
  only: readonly string[] | null,
  say: (line: string) => void,
): Promise<Report> {
  const report: Report = { groups: {}, failures: [], skips: [] };
  const files = readdirSync(folder)
    .filter((f) => f.endsWith(".json"))
    .sort();
  for (const file of files) {
    const group = basename(file, ".json");
    if (only && !only.includes(group)) continue;
    const content = JSON.parse(readFileSync(join(folder, file), "utf8")) as { cases?: Case[] };
    if (!Array.isArray(content.cases)) continue;
    const counts = { passed: 0, failed: 0, skipped: 0 };
    for (const c of content.cases) {
      const result = await runCase(c);
      if (result === null) counts.passed++;
      else if (result.skip) {
        counts.skipped++;
        report.skips.push({ id: c.id, reason: result.reason });
      } else {
        counts.failed++;
        report.failures.push({ id: c.id, reason: result.reason });
      }
    }
    report.groups[group] = counts;
    say(`${group.padEnd(14)} ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
  }
  return report;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { only: { type: "string" }, json: { type: "string" }, device: { type: "string" } },
  });
  const folder =
    positionals[0] ??
    (process.env["LAYERWISE_CONFORMANCE"] ? join(process.env["LAYERWISE_CONFORMANCE"], "keras") : undefined);
  if (!folder) {
    console.error("usage: npm run conformance -- DIR [--only GROUP,…] [--json FILE]");
    process.exitCode = 1;
    return;
  }
  const device = values.device ?? process.env["LAYERWISE_DEVICE"] ?? "wasm";
  if (device === "native") (await import("../packages/layerwise/src/native/index.ts")).installNative();
  if (device === "interpreter" || device === "reference") installOracles();
  configure({ seed: 0, device });
  const report = await runFolder(folder, values.only?.split(",") ?? null, (line) => console.log(line));
  for (const f of report.failures) console.log(`FAILED ${f.id}: ${f.reason.slice(0, 300)}`);
  const byReason = new Map<string, number>();
  for (const s of report.skips) byReason.set(s.reason, (byReason.get(s.reason) ?? 0) + 1);
  if (byReason.size > 0)
    console.log(
      `skipped: ${[...byReason]
        .sort((a, b) => b[1] - a[1])
        .map(([r, n]) => `${r} (${n})`)
        .join(", ")}`,
    );
  const total = Object.values(report.groups).reduce(
    (t, g) => ({ passed: t.passed + g.passed, failed: t.failed + g.failed, skipped: t.skipped + g.skipped }),
    { passed: 0, failed: 0, skipped: 0 },
  );
  if (values.json) writeFileSync(values.json, `${JSON.stringify(report, null, 1)}\n`);
  console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  if (total.failed > 0) process.exitCode = 1;
}

await main();
