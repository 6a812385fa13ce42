/** Ours against other frameworks: all stay alive and take turns, program by program, round by round. */
import type { Child } from "./children.ts";
import { median } from "./measure.ts";
import type { Peer } from "./peers.ts";

export const kinds = ["train", "predict"] as const;
export type Kind = (typeof kinds)[number];

/** Time on the clock, or processor time, which other work on the machine hardly changes (with one thread). */
export type Measure = "ms" | "cpuMs";

/** One of ours: a device, in one version of Node. */
export interface Ours {
  readonly name: string;
  start(program: string): Child;
}

/** Milliseconds per step of one participant, round by round. */
export interface Times {
  readonly name: string;
  readonly version: string;
  readonly rounds: readonly number[];
  readonly median: number;
  /** Largest resident memory of its process until the end of these rounds, in 10⁶ bytes. */
  readonly rssMb: number;
}

export interface Side {
  readonly ours: readonly (Times & {
    /** Median over the rounds of ours / the best peer; null without peers. */
    readonly ratio: number | null;
  })[];
  readonly peers: readonly Times[];
  /** The peer with the lowest median. */
  readonly best: string | null;
}

export interface Comparison {
  readonly train: Side;
  readonly predict: Side;
  /** Why a peer has no times. */
  readonly missing: Readonly<Record<string, string>>;
}

interface Answer {
  readonly ms: number;
  /** Processor time of a step, of all threads. */
  readonly cpuMs: number;
  readonly rssMb: number;
  readonly version?: string;
}

/** Rounds whose times do not count. */
const warmUps = 2;
/** How long a round of a participant lasts, about. */
const roundMs = 400;
/** A peer this many times slower than the fastest is not asked again after its first rounds. */
const hopeless = 8;

interface Player {
  readonly name: string;
  readonly child: Child;
  readonly ours: boolean;
  version: string;
  rssMb: number;
}

export async function compare(
  program: string,
  ours: readonly Ours[],
  peers: readonly Peer[],
  rounds: number,
  measure: Measure = "ms",
): Promise<Comparison> {
  const missing: Record<string, string> = {};
  const players: Player[] = ours.map((o) => ({
    name: o.name,
    child: o.start(program),
    ours: true,
    version: "",
    rssMb: 0,
  }));
  for (const p of peers) {
    const child = p.start(program);
    if (child) players.push({ name: p.name, child, ours: false, version: "", rssMb: 0 });
    else missing[p.name] = `not installed: ${p.install}`;
  }
  const installs = new Map(peers.map((p) => [p.name, p.install]));
  try {
    const result = {} as Record<Kind, Side>;
    for (const kind of kinds) result[kind] = await side(kind, players, rounds, measure, missing, installs);
    return { ...result, missing };
  } finally {
    for (const p of players) p.child.close();
  }
}

async function side(
  kind: Kind,
  players: readonly Player[],
  rounds: number,
  measure: Measure,
  missing: Record<string, string>,
  installs: ReadonlyMap<string, string>,
): Promise<Side> {
  const ask = async (p: Player, steps: number): Promise<number> => {
    const answer = await p.child.ask<Answer>(`${kind} ${steps}`);
    p.version = answer.version ?? p.version;
    p.rssMb = answer.rssMb;
    return answer[measure];
  };
  // Short first rounds find out who takes part and how many steps make a round. The fastest of three counts: threads of
  // the player before may still be spinning, and a compiler may still be at work, during the first.
  const first = new Map<Player, number>();
  for (const p of players) {
    if (missing[p.name] !== undefined) continue;
    try {
      const cold = await ask(p, 2);
      const steps = cold > 100 ? 2 : 8;
      first.set(p, Math.min(await ask(p, steps), await ask(p, steps), await ask(p, steps)));
    } catch (error) {
      if (p.ours) throw error;
      const needs = installs.get(p.name);
      missing[p.name] = `${(error as Error).message}${needs ? ` (install: ${needs})` : ""}`;
    }
  }
  const fastest = Math.min(...first.values());
  const times = new Map<Player, number[]>([...first].map(([p, ms]) => [p, [ms]]));
  const racing = [...first].filter(([p, ms]) => p.ours || ms <= hopeless * fastest);
  for (let round = -warmUps; round < rounds; round++) {
    for (const [p, ms] of racing) {
      const steps = Math.max(5, Math.min(2000, Math.round(roundMs / ms)));
      const now = await ask(p, steps);
      if (round === 0) times.set(p, []);
      if (round >= 0) times.get(p)!.push(now);
    }
  }
  const timesOf = (p: Player): Times => {
    const all = times.get(p)!;
    return { name: p.name, version: p.version, rounds: all, median: median(all), rssMb: p.rssMb };
  };
  const present = players.filter((p) => times.has(p));
  const peers = present.filter((p) => !p.ours).map(timesOf);
  const raced = peers.filter((t) => racing.some(([p]) => p.name === t.name));
  const best = raced.reduce<Times | null>((b, t) => (b === null || t.median < b.median ? t : b), null);
  return {
    ours: present
      .filter((p) => p.ours)
      .map(timesOf)
      .map((t) => ({ ...t, ratio: best && median(t.rounds.map((ms, i) => ms / best.rounds[i])) })),
    peers,
    best: best?.name ?? null,
  };
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((s, v) => s + Math.log(v), 0) / values.length);
}
