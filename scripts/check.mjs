/** `npm run check`: types, then lint and format. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { install, root } from "./setup.mjs";

install();
const checks = {
  tsc: ["typescript/bin/tsc", "--noEmit", "-p", "."],
  biome: ["@biomejs/biome/bin/biome", "ci", "--colors=off", "--max-diagnostics=30", "."],
};
let failed = 0;
for (const [name, [program, ...args]] of Object.entries(checks)) {
  const { status } = spawnSync(process.execPath, [join(root, "node_modules", program), ...args], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
  });
  if (status !== 0) failed++;
  console.log(`${name}: ${status === 0 ? "ok" : "failed"}`);
}
process.exitCode = failed > 0 ? 1 : 0;
