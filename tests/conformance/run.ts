/** Runs all cases of a folder and counts, group by group (a group is a file). */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Case, Skip } from "./cases.ts";
import { runCase } from "./kinds/index.ts";

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}
export interface Report {
  readonly groups: Record<string, Counts>;
  readonly failures: { id: string; reason: string }[];
  readonly skips: { id: string; reason: string }[];
}
export interface RunOptions {
  /** Names of the groups to run; null: all. */
  readonly only?: readonly string[] | null;
  /** Which cases; default all. */
  readonly select?: (c: Case) => boolean;
  /** Told after each group. */
  readonly onGroup?: (name: string, counts: Counts, skipped: ReadonlyMap<string, number>) => void;
}

/** Groups in a folder: files with `cases`. */
export function groupsOf(folder: string): string[] {
  return readdirSync(folder)
    .filter((f) => f.endsWith(".json"))
    .map((f) => f.slice(0, -5))
    .sort();
}

export async function runFolder(folder: string, options: RunOptions = {}): Promise<Report> {
  const report: Report = { groups: {}, failures: [], skips: [] };
  for (const name of groupsOf(folder)) {
    if (options.only && !options.only.includes(name)) continue;
    const { cases } = JSON.parse(readFileSync(join(folder, `${name}.json`), "utf8")) as { cases?: Case[] };
    if (!Array.isArray(cases)) continue;
    const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
    const byClass = new Map<string, number>();
    for (const c of cases) {
      if (options.select && !options.select(c)) continue;
      try {
        await runCase(c);
        counts.passed++;
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        if (error instanceof Skip) {
          counts.skipped++;
          byClass.set(reason, (byClass.get(reason) ?? 0) + 1);
          report.skips.push({ id: c.id, reason });
        } else {
          counts.failed++;
          report.failures.push({ id: c.id, reason });
        }
      }
    }
    report.groups[name] = counts;
    options.onGroup?.(name, counts, byClass);
  }
  return report;
}

export function totals(report: Report): Counts {
  const all: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const c of Object.values(report.groups)) {
    all.passed += c.passed;
    all.failed += c.failed;
    all.skipped += c.skipped;
  }
  return all;
}
