import { beforeAll, describe, expect, it } from "vitest";
import { installOracles } from "../oracles.ts";
import { configure } from "../tensor/config.ts";
import {
  cosineDecay,
  cosineDecayRestarts,
  exponentialDecay,
  inverseTimeDecay,
  piecewiseConstantDecay,
  polynomialDecay,
  scheduleRegistry,
} from "./index.ts";

installOracles();

beforeAll(() => configure({ device: "reference" }));

describe("schedules", () => {
  it("follows the formulas", () => {
    const e = { initialLearningRate: 1, decaySteps: 4, decayRate: 0.5 };
    expect(exponentialDecay(e).at(6)).toBeCloseTo(0.5 ** 1.5, 6);
    expect(exponentialDecay({ ...e, staircase: true }).at(6)).toBeCloseTo(0.5, 6);
    expect(inverseTimeDecay(e).at(8)).toBeCloseTo(0.5, 6);
    const p = { initialLearningRate: 1, decaySteps: 10, endLearningRate: 0.2, power: 2 };
    expect(polynomialDecay(p).at(5)).toBeCloseTo(0.8 * 0.25 + 0.2, 6);
    expect(polynomialDecay(p).at(50)).toBeCloseTo(0.2, 6);
    expect(polynomialDecay({ ...p, cycle: true }).at(15)).toBeCloseTo(0.8 * 0.0625 + 0.2, 6);
  });
  it("is constant between boundaries, the boundary included", () => {
    const s = piecewiseConstantDecay({ boundaries: [2, 5], values: [1, 0.5, 0.1] });
    expect([0, 2, 3, 5, 6].map((k) => Number(s.at(k).toFixed(6)))).toEqual([1, 1, 0.5, 0.5, 0.1]);
    expect(() => piecewiseConstantDecay({ boundaries: [2], values: [1] })).toThrow(/one value more/);
  });
  it("warms up before the cosine", () => {
    const s = cosineDecay({ initialLearningRate: 0, decaySteps: 10, warmupTarget: 1, warmupSteps: 4, alpha: 0.1 });
    expect(s.at(2)).toBeCloseTo(0.5, 6);
    expect(s.at(4)).toBeCloseTo(1, 6);
    expect(s.at(9)).toBeCloseTo(0.9 * 0.5 + 0.1, 6);
    expect(s.at(100)).toBeCloseTo(0.1, 6);
  });
  it("restarts exactly at the first step of a period", () => {
    for (const tMul of [1, 1.5, 2, 3]) {
      const s = cosineDecayRestarts({ initialLearningRate: 1, firstDecaySteps: 8, tMul, mMul: 0.5 });
      let start = 0;
      for (let period = 0; period < 4; period++) {
        if (Number.isInteger(start)) expect(s.at(start)).toBeCloseTo(0.5 ** period, 4);
        start += 8 * tMul ** period;
      }
    }
  });
  it("round-trips its configuration", () => {
    const saved = cosineDecay({ initialLearningRate: 0.5, decaySteps: 3 }).toConfig();
    expect(saved.module).toBe("keras.optimizers.schedules");
    expect(scheduleRegistry.fromConfig(saved).at(0)).toBeCloseTo(0.5, 6);
  });
});
