/** The self-check of revectorization, and programs with it where the engine has it (Node 24 and later on x64). */
import { expect, test } from "vitest";
import { hasRelaxedSimd, offersRevectorization } from "../../platform/platform.ts";
import { createWasmDevice } from "./device.ts";
import { sameResults } from "./revectorize.ts";

const plain = createWasmDevice({ threads: 1, revectorize: false });

test("devices that compute the same pass the check, whatever their tiles", () => {
  const other = createWasmDevice({ threads: 2, revectorize: false });
  expect(sameResults(plain, other)).toBe(true);
  other.close();
});

test.skipIf(!hasRelaxedSimd())("a device that rounds differently fails it", () => {
  const strict = createWasmDevice({ threads: 1, strict: true, revectorize: false });
  expect(sameResults(plain, strict)).toBe(false);
  strict.close();
});

test("is taken exactly where it is offered and right", () => {
  const device = createWasmDevice({ threads: 1 });
  expect(plain.profile.lanes).toBe(4);
  expect(device.profile.lanes).toBe(offersRevectorization() ? 8 : 4);
  expect(sameResults(plain, device)).toBe(true);
  device.close();
});
