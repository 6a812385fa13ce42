import { expect, test } from "vitest";
import { confusionMatrix, drawConfusion } from "./confusion.ts";
import { drawPicture, sideBySide } from "./picture.ts";

test("a confusion matrix counts labels in rows", () => {
  expect(confusionMatrix([0, 0, 1, 2], [0, 1, 1, 0], 3)).toEqual([
    [1, 1, 0],
    [0, 1, 0],
    [1, 0, 0],
  ]);
});

test("classes outside the matrix and missing predictions are refused", () => {
  expect(() => confusionMatrix([0, 3], [0, 0], 3)).toThrow(/label 3, prediction 0 at row 1/);
  expect(() => confusionMatrix([0, 1], [0, -1], 3)).toThrow(/prediction -1/);
  expect(() => confusionMatrix([0, 1], [0], 3)).toThrow(/1 predictions/);
});

test("the drawing lines up and says the share of right answers", () => {
  expect(
    drawConfusion(
      [
        [980, 0],
        [25, 75],
      ],
      ["cat", "dog"],
    ).split("\n"),
  ).toEqual([
    "label │ cat dog   right",
    "──────┼────────────────",
    "  cat │ 980   · 100.0 %",
    "  dog │  25  75  75.0 %",
  ]);
  expect(drawConfusion([[0]])).toContain("–");
});

test("pictures take two rows of pixels a line", () => {
  const data = [255, 0, 255, 0, 255, 255, 255, 0, 0];
  expect(drawPicture({ data, height: 3, width: 3 })).toEqual(["▀▄█", "▀  "]);
  expect(drawPicture({ data: [0, 255], height: 2, width: 1 }, { color: true })).toEqual([
    "\x1b[38;5;232;48;5;255m▀\x1b[0m",
  ]);
});

test("blocks stand side by side below their captions", () => {
  const blocks = ["one", "two", "three"].map((caption) => ({ caption, lines: ["####", "####"] }));
  expect(sideBySide(blocks, 4, 2).split("\n")).toEqual([
    "one   two",
    "####  ####",
    "####  ####",
    "thre",
    "####",
    "####",
  ]);
});
