/** The examples of README and docs: every block of TypeScript type-checks and runs. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { afterAll, beforeAll, describe, expect, test } from "vitest";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
// Below the repository, so that types and packages are found.
const scratch = join(root, "node_modules/.cache/layerwise", `docs-${process.pid}`);

interface Example {
  readonly name: string;
  readonly code: string;
  /** The file that the block shows (`// packages/core/src/…` in its first line): relative imports start there. */
  readonly file: string | null;
}

const pages = [
  "README.md",
  "packages/layerwise/README.md",
  ...readdirSync(join(root, "docs"))
    .filter((f) => f.endsWith(".md"))
    .map((f) => `docs/${f}`),
];

const examples: Example[] = pages.flatMap((page) =>
  [...readFileSync(join(root, page), "utf8").matchAll(/^```ts\n(.*?)^```/gms)].map(([, code], i) => ({
    name: `${page.replaceAll(/[/.]/g, "-")}-${i + 1}`,
    code,
    file: /^\/\/ (\S+\.ts)\n/.exec(code)?.[1] ?? null,
  })),
);

/** Relative imports as seen from the scratch folder; a file shown in another block is that block. */
function relocated({ code, file }: Example): string {
  if (file === null) return code;
  return code.replaceAll(/(from |import\()"(\.[^"]+)"/g, (_, before: string, to: string) => {
    const target = join(dirname(file), to);
    const block = examples.find((e) => e.file === target.split(sep).join("/"));
    const path = block ? `./${block.name}.ts` : relative(scratch, join(root, target));
    return `${before}"${path.split(sep).join("/")}"`;
  });
}

/** The same program on little data: a test shows that it runs, not how well it learns. */
function smaller(code: string): string {
  return code
    .replaceAll(/await datasets\.\w+\(\)/g, "datasets.syntheticDigits({ train: 256, test: 64 })")
    .replaceAll(/epochs: \d+/g, "epochs: 1");
}

/** What a line `console.log(…); // 2.00 1.00` promises; a comment in braces only names the fields. */
function promised(code: string): string[] {
  return [...code.matchAll(/console\.log\(.*\);\s*\/\/ (?!\{)(.*)$/gm)].map(([, text]) => text.trim());
}

beforeAll(() => {
  mkdirSync(scratch, { recursive: true });
  for (const e of examples) writeFileSync(join(scratch, `${e.name}.ts`), `${smaller(relocated(e))}\nexport {};\n`);
  const config = {
    extends: "../../../../tsconfig.json",
    compilerOptions: { noUnusedLocals: false },
    include: ["*.ts"],
  };
  writeFileSync(join(scratch, "tsconfig.json"), JSON.stringify(config));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

test("there are examples, and their types are right", () => {
  expect(examples.length).toBeGreaterThan(1);
  let messages = "";
  try {
    execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "-p", scratch], {
      encoding: "utf8",
      stdio: "pipe",
    });
  } catch (error) {
    messages = (error as { stdout: string }).stdout;
  }
  expect(messages).toBe("");
});

describe("examples run", () => {
  for (const { name, code } of examples) {
    test(name, async () => {
      const outfile = join(scratch, `${name}.mjs`);
      await build({
        entryPoints: [join(scratch, `${name}.ts`)],
        outfile,
        bundle: true,
        format: "esm",
        platform: "node",
        target: "es2022",
        conditions: ["layerwise-source"],
        external: ["koffi"],
        logLevel: "silent",
      });
      const output = execFileSync(process.execPath, [outfile], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
      for (const line of promised(code)) expect(output.split("\n").map((l) => l.trim())).toContain(line);
    });
  }
});
