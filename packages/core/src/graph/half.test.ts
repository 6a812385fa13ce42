import { expect, test } from "vitest";
import { decodeBf16, decodeF16, encodeBf16, encodeF16 } from "./half.ts";

test("every f16 survives decoding and encoding", () => {
  for (let bits = 0; bits < 65536; bits++) {
    const value = decodeF16(bits);
    if (Number.isNaN(value)) expect(Number.isNaN(decodeF16(encodeF16(value)))).toBe(true);
    else if (encodeF16(value) !== bits)
      throw new Error(`f16 ${bits.toString(16)} became ${encodeF16(value).toString(16)}`);
  }
});

test("every bf16 survives decoding and encoding", () => {
  for (let bits = 0; bits < 65536; bits++) {
    const value = decodeBf16(bits);
    if (Number.isNaN(value)) expect(Number.isNaN(decodeBf16(encodeBf16(value)))).toBe(true);
    else if (encodeBf16(value) !== bits)
      throw new Error(`bf16 ${bits.toString(16)} became ${encodeBf16(value).toString(16)}`);
  }
});

test("rounding is to nearest, halves to even", () => {
  expect(decodeF16(encodeF16(1 + 2 ** -11))).toBe(1);
  expect(decodeF16(encodeF16(1 + 3 * 2 ** -11))).toBe(1 + 2 ** -9);
  expect(decodeF16(encodeF16(2 ** -25))).toBe(0);
  expect(decodeF16(encodeF16(3 * 2 ** -25))).toBe(2 ** -23);
  expect(decodeF16(encodeF16(65519))).toBe(65504);
  expect(decodeF16(encodeF16(65520))).toBe(Number.POSITIVE_INFINITY);
  expect(decodeF16(encodeF16(-1e9))).toBe(Number.NEGATIVE_INFINITY);
  expect(decodeBf16(encodeBf16(1 + 2 ** -8))).toBe(1);
  expect(decodeBf16(encodeBf16(1 + 3 * 2 ** -8))).toBe(1 + 2 ** -6);
  expect(decodeBf16(encodeBf16(3.4e38))).toBe(Number.POSITIVE_INFINITY);
});
