/** The one place that loads koffi, lazily, with an error that names the install command. */
import { createRequire } from "node:module";
import { LayerwiseError } from "@layerwise/core";

// biome-ignore lint/suspicious/noExplicitAny: foreign functions take and return what their C prototype says.
export type NativeFunction = (...args: any[]) => any;
export interface NativeLibrary {
  func(prototype: string): NativeFunction;
}
export interface Koffi {
  load(path: string): NativeLibrary;
  view(pointer: unknown, bytes: number): ArrayBuffer;
  address(pointer: unknown): bigint;
}

let loaded: Koffi | null = null;

/** koffi, or a LayerwiseError (N101) that says how to install it. */
export function loadKoffi(): Koffi {
  if (loaded) return loaded;
  try {
    loaded = createRequire(import.meta.url)("koffi") as Koffi;
    return loaded;
  } catch (cause) {
    throw new LayerwiseError(
      "the native target needs the package koffi",
      {
        code: "N101",
        received: String((cause as Error).message).split("\n")[0],
        expected: "koffi installed beside layerwise",
        hint: "npm install koffi",
      },
      { cause },
    );
  }
}
