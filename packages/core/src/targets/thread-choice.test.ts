import { describe, expect, it } from "vitest";
import { ThreadChoice } from "./thread-choice.ts";

/** Runs for `span` milliseconds; `time` says how long a run takes at a moment. Share of runs on several threads, and mean time. */
function simulate(choice: ThreadChoice, from: number, span: number, time: (several: boolean, now: number) => number) {
  let now = from;
  let runs = 0;
  let several = 0;
  while (now < from + span) {
    const use = choice.useSeveral(now);
    const took = time(use, now);
    now += took;
    choice.note(use, took, now);
    runs++;
    if (use) several++;
  }
  return { share: several / runs, mean: (now - from) / runs, now };
}

/** A number in [0, 1) that depends on the moment alone. */
const noise = (now: number) => (Math.imul(Math.floor(now * 1000) + 7, 2654435761) >>> 8) / 2 ** 24;

describe("ThreadChoice", () => {
  it("uses several threads where they are faster, nearly always", () => {
    for (const gain of [0.5, 0.7, 0.9]) {
      const { share, mean } = simulate(new ThreadChoice(), 1000, 20_000, (s) => (s ? 5 * gain : 5));
      expect(share, `gain ${gain}`).toBeGreaterThan(0.98);
      expect(mean).toBeLessThan(5 * gain * 1.02);
    }
  });
  it("measures one thread seldom where runs are long", () => {
    const { share } = simulate(new ThreadChoice(), 1000, 120_000, (s) => (s ? 1350 : 1500));
    expect(share).toBeGreaterThan(0.94);
  });
  it.each([0.4, 4, 60])("costs little more than one thread where several are held up, steps of %d ms", (one) => {
    // Every third run on several threads waits for a thread that is not scheduled.
    const held = (s: boolean, now: number) => (s ? 0.6 * one + (noise(now) < 0.33 ? 4 + one : 0) : one);
    const { mean } = simulate(new ThreadChoice(), 1000, 30_000, held);
    expect(mean).toBeLessThan(one * 1.08);
  });
  it("returns to several threads within two seconds after the other process has gone", () => {
    const choice = new ThreadChoice();
    const { now } = simulate(choice, 1000, 20_000, (s) => (s ? 9 : 5));
    const after = simulate(choice, now, 2500, (s) => (s ? 2.6 : 5));
    const then = simulate(choice, after.now, 5000, (s) => (s ? 2.6 : 5));
    expect(then.share).toBeGreaterThan(0.98);
  });
});
