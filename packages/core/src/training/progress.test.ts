import { describe, expect, test } from "vitest";
import { formatValue, ProgressLine, type ProgressOptions } from "./progress.ts";

/** A line on a terminal with a clock of its own; `text()` gives what was written since the last call. */
function terminal(options: Partial<ProgressOptions> = {}) {
  let written = "";
  let time = 0;
  const line = new ProgressLine({
    write: (text) => {
      written += text;
    },
    isTty: true,
    color: false,
    now: () => time,
    ...options,
  });
  const text = () => {
    const t = written;
    written = "";
    return t;
  };
  return { line, text, wait: (ms: number) => (time += ms) };
}

const logs = { loss: 0.21427, accuracy: 0.93609 };
const finalLogs = { loss: 0.20512, accuracy: 0.93881, val_loss: 0.182, val_accuracy: 0.94634 };

describe("on a terminal", () => {
  test("the live line is redrawn in place and replaced at the end of the epoch", () => {
    const { line, text } = terminal();
    line.epochBegin({ epoch: 3, epochs: 10, steps: 938 });
    expect(text()).toBe(`\rEpoch 3/10 ${"─".repeat(20)} 0/938\x1b[K`);
    line.step({ step: 412, logs, elapsedMs: 412 * 14 });
    expect(text()).toBe(
      `\rEpoch 3/10 ${"━".repeat(9)}${"─".repeat(11)} 412/938 0:07 14 ms/step  loss 0.2143  accuracy 0.9361\x1b[K`,
    );
    line.epochEnd({ logs: finalLogs, seconds: 13.24, best: true });
    expect(text()).toBe(
      "\r\x1b[KEpoch 3/10 938/938 13.2 s  loss 0.2051  accuracy 0.9388  val_loss 0.1820  val_accuracy 0.9463 ★\n",
    );
  });

  test("it is drawn ten times a second at most, and says when logs are needed", () => {
    const { line, text, wait } = terminal();
    line.epochBegin({ epoch: 1, epochs: 1, steps: 100 });
    text();
    expect(line.due()).toBe(true);
    line.step({ step: 1, logs, elapsedMs: 1 });
    expect(text()).not.toBe("");
    wait(99);
    expect(line.due()).toBe(false);
    line.step({ step: 2, logs, elapsedMs: 100 });
    expect(text()).toBe("");
    wait(1);
    expect(line.due()).toBe(true);
    line.step({ step: 3, logs, elapsedMs: 101 });
    expect(text()).toContain("3/100");
  });

  test("the rest of the bar is dim where colour is allowed", () => {
    const { line, text } = terminal({ color: true });
    line.epochBegin({ epoch: 1, epochs: 1, steps: 4 });
    text();
    line.step({ step: 1, logs: {}, elapsedMs: 1 });
    expect(text()).toContain(`${"━".repeat(5)}\x1b[2m${"━".repeat(15)}\x1b[22m 1/4`);
  });

  test("it never wraps, and a cut does not break a colour sequence", () => {
    const { line, text } = terminal({ columns: () => 30, color: true });
    line.epochBegin({ epoch: 1, epochs: 1, steps: 4 });
    text();
    line.step({ step: 1, logs, elapsedMs: 1 });
    const drawn = text();
    // biome-ignore lint/suspicious/noControlCharactersInRegex: escape sequences take no room.
    expect(drawn.replace(/\x1b\[\d*[mK]|\r/g, "").length).toBe(29);
    expect(drawn).toContain("\x1b[22m");
  });

  test("data of unknown length has neither bar nor time left", () => {
    const { line, text } = terminal();
    line.epochBegin({ epoch: 1, epochs: 2 });
    text();
    line.step({ step: 7, logs: { loss: 1 }, elapsedMs: 70 });
    expect(text()).toBe("\rEpoch 1/2 7 10 ms/step  loss 1.0000\x1b[K");
    line.epochEnd({ logs: { loss: 1 }, seconds: 1, steps: 9, best: false });
    expect(text()).toBe("\r\x1b[KEpoch 1/2 9/9 1.0 s  loss 1.0000\n");
  });

  test("an open line is closed before other output", () => {
    const { line, text } = terminal();
    line.epochBegin({ epoch: 1, epochs: 1, steps: 4 });
    text();
    line.end();
    line.end();
    expect(text()).toBe("\n");
  });

  test("paces and times left of every size", () => {
    const at = (ms: number, left: number) => {
      const { line, text } = terminal();
      line.begin("Evaluate", left + 1);
      text();
      line.step({ step: 1, logs: {}, elapsedMs: ms });
      return / 1\/\d+ (.*)\/step/.exec(text())![1];
    };
    expect(at(0.254, 0)).toBe("0:00 0.25 ms");
    expect(at(0.997, 0)).toBe("0:00 1.0 ms");
    expect(at(8.81, 1000)).toBe("0:09 8.8 ms");
    expect(at(9.97, 0)).toBe("0:00 10 ms");
    expect(at(107.3, 7000)).toBe("12:31 107 ms");
    expect(at(1240, 3002)).toBe("1:02:02 1.2 s");
  });
});

describe("elsewhere", () => {
  test("one plain line per epoch, without control characters", () => {
    for (const options of [{ isTty: false }, { verbose: 2 as const }]) {
      const { line, text } = terminal(options);
      line.epochBegin({ epoch: 3, epochs: 10, steps: 938 });
      expect(line.due()).toBe(false);
      line.step({ step: 412, logs, elapsedMs: 5768 });
      line.note("validating");
      expect(text()).toBe("");
      line.epochEnd({ logs: finalLogs, seconds: 13.2, best: false });
      expect(text()).toBe(
        "Epoch 3/10 938/938 13.2 s  loss 0.2051  accuracy 0.9388  val_loss 0.1820  val_accuracy 0.9463\n",
      );
    }
  });

  test("verbose 0 is silent", () => {
    const { line, text } = terminal({ verbose: 0 });
    line.epochBegin({ epoch: 1, epochs: 1, steps: 1 });
    line.step({ step: 1, logs, elapsedMs: 1 });
    line.epochEnd({ logs, seconds: 1 });
    line.end();
    expect(text()).toBe("");
  });
});

test("★ marks the lowest val_loss, or loss without validation", () => {
  const stars = (...epochs: Record<string, number>[]) => {
    const { line, text } = terminal({ isTty: false });
    return epochs.map((l, i) => {
      line.epochBegin({ epoch: i + 1, epochs: epochs.length, steps: 1 });
      line.epochEnd({ logs: l, seconds: 1 });
      return text().includes("★");
    });
  };
  expect(stars({ loss: 3 }, { loss: 2 }, { loss: 2 }, { loss: Number.NaN }, { loss: 1 })).toEqual([
    true,
    true,
    false,
    false,
    true,
  ]);
  expect(stars({ loss: 3, val_loss: 1 }, { loss: 2, val_loss: 2 })).toEqual([true, false]);
});

test("values of every size", () => {
  expect([0, 1, -0.5, 12345.6, 123456, 0.00012, Number.NaN, Infinity, -Infinity].map(formatValue)).toEqual([
    "0.0000",
    "1.0000",
    "-0.5000",
    "12345.6000",
    "1.235e+5",
    "1.200e-4",
    "nan",
    "inf",
    "-inf",
  ]);
});
