/** Tables of comparisons: one for training, one for prediction. */
import { type Comparison, geometricMean, kinds } from "./compare.ts";
import { table } from "./table.ts";

type Rows = readonly (readonly [program: string, comparison: Comparison])[];

const ms = (x: number) => x.toFixed(x < 1 ? 3 : 2);

/** Ours, the best peer, and their ratios; the last row holds geometric means. */
export function ratioTables(all: Rows): string {
  return kinds
    .map((kind) => {
      const names = all[0]?.[1][kind].ours.map((o) => o.name) ?? [];
      const rows = all.map(([program, c]) => {
        const side = c[kind];
        const best = side.peers.find((p) => p.name === side.best);
        return [
          program,
          ...side.ours.map((o) => ms(o.median)),
          best ? ms(best.median) : "–",
          best?.name ?? "–",
          ...side.ours.map((o) => (o.ratio === null ? "–" : `${o.ratio.toFixed(2)}×`)),
        ];
      });
      const means = names.map((_, i) => {
        const ratios = all.map(([, c]) => c[kind].ours[i].ratio).filter((r): r is number => r !== null);
        return ratios.length > 0 ? `${geometricMean(ratios).toFixed(2)}×` : "–";
      });
      rows.push(["geometric mean", ...names.map(() => ""), "", "", ...means]);
      const header = [
        kind,
        ...names.map((n) => `${n} ms`),
        "best peer ms",
        "best peer",
        ...names.map((n) => `${n} ratio`),
      ];
      return table(header, rows);
    })
    .join("\n\n");
}

/** Largest resident memory of each process at the end of its training rounds. */
export function memoryTable(all: Rows): string {
  const names = [...new Set(all.flatMap(([, c]) => [...c.train.ours, ...c.train.peers].map((t) => t.name)))];
  const rows = all.map(([program, { train }]) => [
    program,
    ...names.map((n) => [...train.ours, ...train.peers].find((t) => t.name === n)?.rssMb.toFixed(0) ?? "–"),
  ]);
  return table(["peak MB", ...names], rows);
}

/** Milliseconds of all peers. */
export function peerTables(all: Rows): string {
  return kinds
    .map((kind) => {
      const names = [...new Set(all.flatMap(([, c]) => c[kind].peers.map((p) => p.name)))];
      const rows = all.map(([program, c]) => [
        program,
        ...names.map((n) => {
          const found = c[kind].peers.find((p) => p.name === n);
          return found ? ms(found.median) : "–";
        }),
      ]);
      return table([`${kind} ms`, ...names], rows);
    })
    .join("\n\n");
}

/** Who did not take part, and why. */
export function missingPeers(all: Rows): string {
  const reasons = new Map<string, string[]>();
  for (const [program, { missing }] of all)
    for (const [peer, reason] of Object.entries(missing)) {
      const line = `${peer}: ${reason}`;
      reasons.set(line, [...(reasons.get(line) ?? []), program]);
    }
  if (reasons.size === 0) return "";
  return `\nnot measured:\n${[...reasons].map(([line, programs]) => `  ${programs.join(", ")}  ${line}`).join("\n")}\n`;
}
