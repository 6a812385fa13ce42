/** Folders on this machine that may hold data sets. */
import { homedir } from "node:os";
import { join } from "node:path";

/** The folder named by `LAYERWISE_DATASETS`, if any: one subfolder per data set. */
export function givenFolder(): string | undefined {
  return process.env["LAYERWISE_DATASETS"] || undefined;
}

/** The user's cache: `LAYERWISE_CACHE`, else the place the platform has for such files. */
export function cacheFolder(): string {
  const { LAYERWISE_CACHE, XDG_CACHE_HOME, LOCALAPPDATA } = process.env;
  if (LAYERWISE_CACHE) return LAYERWISE_CACHE;
  if (process.platform === "win32" && LOCALAPPDATA) return join(LOCALAPPDATA, "layerwise", "Cache");
  if (process.platform === "darwin") return join(homedir(), "Library", "Caches", "layerwise");
  // The specification of XDG_CACHE_HOME wants relative values ignored.
  return join(XDG_CACHE_HOME?.startsWith("/") ? XDG_CACHE_HOME : join(homedir(), ".cache"), "layerwise");
}
