/** What the JavaScript peers share: `node FILE PROGRAM --folder FOLDER`, and answers to "train N" and "predict N". */
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { folder: { type: "string" } },
});
export const program = positionals[0];
export const folder = values.folder;

/** Imports a package that is installed in the folder, not in this repository. */
export function fromFolder(name) {
  const require = createRequire(join(folder, "package.json"));
  return import(pathToFileURL(require.resolve(name)).href);
}

/** Answers each line with the median milliseconds of a step. `steps.train` and `steps.predict` run one step and return when it is done. */
export async function answer(steps, version) {
  for await (const line of createInterface({ input: process.stdin })) {
    const [what, count] = line.trim().split(" ");
    const step = steps[what];
    const times = [];
    const before = process.cpuUsage();
    for (let i = 0; i < Number(count); i++) {
      const begin = performance.now();
      await step();
      times.push(performance.now() - begin);
    }
    const { user, system } = process.cpuUsage(before);
    times.sort((a, b) => a - b);
    const cpuMs = (user + system) / 1000 / times.length;
    const rssMb = (process.resourceUsage().maxRSS * 1024) / 1e6;
    console.log(JSON.stringify({ ms: times[times.length >> 1], cpuMs, rssMb, version }));
  }
}
