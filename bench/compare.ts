/** Ours against PyTorch: both stay alive and take turns, program by program, round by round. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { ProgramName } from "../examples/reference/index.ts";
import { Child } from "./children.ts";
import { median } from "./measure.ts";

export interface Peer {
  /** A Python that can import torch. */
  readonly python: string;
  readonly threads: number;
}

/** Milliseconds per step: medians over the rounds of each round's median. */
export interface Side {
  readonly ours: number;
  readonly contiguous: number;
  readonly channelsLast: number;
  /** Median over rounds of ours / PyTorch with its default layout. */
  readonly ratio: number;
  /** The same against the faster of its two layouts. */
  readonly bestRatio: number;
}

export interface Comparison {
  readonly version: string;
  readonly train: Side;
  readonly predict: Side;
}

interface Answer {
  readonly ms: number;
  readonly version: string;
}

/** Rounds whose times do not count. */
const warmUps = 2;

export async function compareWithPytorch(
  name: ProgramName,
  ours: Child,
  peer: Peer,
  rounds: number,
): Promise<Comparison> {
  const contiguous = startPytorch(name, peer, false);
  const channelsLast = startPytorch(name, peer, true);
  try {
    let version = "";
    const side = async (what: "train" | "predict"): Promise<Side> => {
      const times: { ours: number; contiguous: number; channelsLast: number }[] = [];
      for (let round = -warmUps; round < rounds; round++) {
        const one = (await ours.ask<Answer>(what)).ms;
        const two = await contiguous.ask<Answer>(what);
        const three = (await channelsLast.ask<Answer>(what)).ms;
        version = two.version;
        if (round >= 0) times.push({ ours: one, contiguous: two.ms, channelsLast: three });
      }
      return {
        ours: median(times.map((t) => t.ours)),
        contiguous: median(times.map((t) => t.contiguous)),
        channelsLast: median(times.map((t) => t.channelsLast)),
        ratio: median(times.map((t) => t.ours / t.contiguous)),
        bestRatio: median(times.map((t) => t.ours / Math.min(t.contiguous, t.channelsLast))),
      };
    };
    const train = await side("train");
    return { train, predict: await side("predict"), version };
  } finally {
    contiguous.close();
    channelsLast.close();
  }
}

/** PyTorch alone. */
export async function measurePytorch(name: ProgramName, peer: Peer) {
  const figures = async (last: boolean) => {
    const child = startPytorch(name, peer, last);
    try {
      const best = async (what: string) => {
        const answers: Answer[] = [];
        for (let round = -warmUps; round < 5; round++) {
          const answer = await child.ask<Answer>(what);
          if (round >= 0) answers.push(answer);
        }
        return { ms: median(answers.map((a) => a.ms)), version: answers[0].version };
      };
      const train = await best("train");
      return { trainMs: train.ms, predictMs: (await best("predict")).ms, version: train.version };
    } finally {
      child.close();
    }
  };
  const { version, ...contiguous } = await figures(false);
  const { version: _, ...channelsLast } = await figures(true);
  return { version, contiguous, channelsLast };
}

function startPytorch(name: ProgramName, { python, threads }: Peer, channelsLast: boolean): Child {
  const script = join("bench", "peers", "pytorch.py");
  if (!existsSync(script)) throw new Error(`${script} is not here: run this from the root of the repository`);
  const args = [script, name, "--threads", String(threads)];
  if (channelsLast) args.push("--channels-last");
  return new Child(`PyTorch (${python})`, python, args);
}
