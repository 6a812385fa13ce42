/** Downloads a file into memory: mirrors, redirects, connections that break or stall, and the digest. */
import { createHash } from "node:crypto";
import { LayerwiseError } from "@layerwise/core";
import type { SourceFile } from "./sources.ts";

export interface DownloadOptions {
  /** Called with the bytes so far and, where the server tells it, the size. */
  readonly progress?: (received: number, total: number | undefined) => void;
  /** A connection that sends nothing for this long has failed, in ms. */
  readonly stallMs?: number;
  /** Wait before going on after a broken connection, in ms. */
  readonly pauseMs?: number;
}

/** Times a broken connection is taken up again at one address. */
const resumptions = 3;

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The digest by which a file is known; of unreadable bytes, a word instead. */
export function digestOf(file: SourceFile, bytes: Uint8Array): string {
  if (!file.digest) return sha256(bytes);
  try {
    return file.digest(bytes);
  } catch {
    return "none: the bytes cannot be unpacked";
  }
}

/**
 * The content of `file`, from the first of `addresses` (each ends in "/") that delivers it with the right digest.
 * Nothing touches the disk. Throws D202 if no address answered, D203 for an HTTP status, D204 for a wrong digest.
 */
export async function download(
  file: SourceFile,
  addresses: readonly string[],
  options: DownloadOptions = {},
): Promise<Uint8Array> {
  let failure: LayerwiseError | undefined;
  for (const address of addresses) {
    try {
      const bytes = await receive(address + file.name, options);
      const digest = digestOf(file, bytes);
      if (digest === file.sha256) return bytes;
      failure = new LayerwiseError(`${address + file.name} is not the file that was published`, {
        code: "D204",
        layer: file.name,
        received: `${bytes.length} bytes, sha256 ${digest}`,
        expected: `sha256 ${file.sha256}`,
        hint: "a proxy or the server may have sent a page instead; nothing was stored",
      });
    } catch (error) {
      if (!(error instanceof LayerwiseError)) throw error;
      // What a server said is worth more than "no answer" of another.
      if (failure === undefined || failure.code === "D202") failure = error;
    }
  }
  throw failure;
}

/** One address, going on where the connection broke if the server can do that. */
async function receive(url: string, options: DownloadOptions): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let received = 0;
  for (let attempt = 0; ; attempt++) {
    const controller = new AbortController();
    const stallMs = options.stallMs ?? 20_000;
    let timer = setTimeout(() => controller.abort(new Error(`no data for ${stallMs / 1000} s`)), stallMs);
    try {
      const headers = received > 0 ? { range: `bytes=${received}-` } : undefined;
      const response = await fetch(url, {
        signal: controller.signal,
        redirect: "follow",
        // An encoding on top would make offsets of a resumed transfer meaningless.
        headers: { "accept-encoding": "identity", ...headers },
      });
      if (!response.ok || response.body === null) {
        await response.body?.cancel();
        throw new LayerwiseError(`${url} could not be downloaded`, {
          code: "D203",
          received: `HTTP ${response.status} ${response.statusText}`.trim(),
          expected: "HTTP 200",
          hint: otherWays(url),
        });
      }
      if (received > 0 && response.status !== 206) {
        // The server starts again from the beginning.
        parts.length = 0;
        received = 0;
      }
      const length = Number(response.headers.get("content-length") ?? Number.NaN);
      const total = Number.isFinite(length) ? received + length : undefined;
      for await (const chunk of response.body) {
        clearTimeout(timer);
        timer = setTimeout(() => controller.abort(new Error(`no data for ${stallMs / 1000} s`)), stallMs);
        parts.push(chunk);
        received += chunk.length;
        options.progress?.(received, total);
      }
      return Buffer.concat(parts, received);
    } catch (error) {
      if (error instanceof LayerwiseError) throw error;
      const beforeFirstByte = received === 0;
      if (beforeFirstByte || attempt === resumptions) {
        throw new LayerwiseError(
          `${url} could not be downloaded`,
          {
            code: "D202",
            received: `${reason(error)}${beforeFirstByte ? "" : ` after ${received} bytes`}`,
            expected: "a network connection to that address",
            hint: otherWays(url),
          },
          { cause: error },
        );
      }
      await new Promise((resolve) => setTimeout(resolve, (options.pauseMs ?? 1000) * (attempt + 1)));
    } finally {
      clearTimeout(timer);
    }
  }
}

function otherWays(url: string): string {
  return `try again later, or put ${url.slice(url.lastIndexOf("/") + 1)} into a folder of the data set's name and set LAYERWISE_DATASETS to the folder above it`;
}

/** The innermost message: fetch wraps what the socket said. */
function reason(error: unknown): string {
  let at = error;
  while (at instanceof Error && at.cause instanceof Error) at = at.cause;
  if (!(at instanceof Error)) return String(at);
  const { code } = at as NodeJS.ErrnoException;
  return at.message || code || at.name;
}
