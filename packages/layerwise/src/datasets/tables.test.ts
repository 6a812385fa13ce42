import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { sha256 } from "./download.ts";
import { type TableName, tableSources } from "./table-sources.ts";
import { airlinePassengers, beijingAir, loadTable, table } from "./tables.ts";
import { cleanUp, temporaryFolder } from "./testing.ts";

afterEach(cleanUp);

test("a table is read from the named folder with its own header", async () => {
  const bytes = new TextEncoder().encode("1.5 2\n3 4\n");
  const folder = temporaryFolder();
  mkdirSync(join(folder, "tabular/tiny"), { recursive: true });
  writeFileSync(join(folder, "tabular/tiny/tiny.data"), bytes);
  const source = {
    folder: "tabular/tiny",
    addresses: [],
    file: { name: "tiny.data", sha256: sha256(bytes) },
    csv: { separator: "whitespace", header: ["a", "b"] },
  };
  const options = { folder, cache: temporaryFolder(), verbose: 0 } as const;
  const t = await loadTable(source, options);
  expect([...t.numbers("b")]).toEqual([2, 4]);
  writeFileSync(join(folder, "tabular/tiny/tiny.data"), "1 2\n");
  await expect(loadTable(source, options)).rejects.toMatchObject({ code: "D201" });
  expect(() => table("nothing" as TableName)).toThrow(/D208.*iris/s);
});

const here = process.env["LAYERWISE_DATASETS"] ?? "";
describe.runIf(existsSync(join(here, "tabular")))("the published tables", () => {
  const sizes: Record<TableName, readonly [rows: number, columns: number]> = {
    airlinePassengers: [144, 2],
    beijingAir: [43824, 13],
    etth1: [17420, 8],
    iris: [150, 5],
    wine: [178, 14],
    pimaDiabetes: [768, 9],
    abalone: [4177, 9],
    banknotes: [1372, 5],
    bostonHousing: [506, 14],
    californiaHousing: [20640, 10],
    titanic: [891, 12],
  };
  for (const name of Object.keys(tableSources) as TableName[]) {
    test(name, async () => {
      const t = await table(name, { download: false });
      expect([t.length, t.columns.length]).toEqual(sizes[name]);
    });
  }

  test("missing values and words", async () => {
    const titanic = await table("titanic", { download: false });
    expect(() => titanic.numbers("Age")).toThrow(/D313.*row 5, column "Age" is missing \(line 7\)/s);
    expect(titanic.numbers("Age", "mean")[5]).toBeCloseTo(29.7, 1);
    expect(titanic.strings("Name")[0]).toBe("Braund, Mr. Owen Harris");
    const iris = await table("iris", { download: false });
    expect(iris.categories("kind").names).toEqual(["Iris-setosa", "Iris-versicolor", "Iris-virginica"]);
    const houses = await table("californiaHousing", { download: false });
    expect(houses.strings("total_bedrooms").filter((c) => c === null).length).toBe(207);
  });

  test("airline passengers", async () => {
    const { passengers, months } = await airlinePassengers({ download: false });
    expect([months[0], months[143], passengers.dataSync()[143]]).toEqual(["1949-01", "1960-12", 432]);
  });

  test("air in Beijing", async () => {
    const { values, features, years } = await beijingAir({ download: false });
    expect(values.shape).toEqual([43800, 11]);
    expect(features[0]).toBe("pm2.5");
    const first = values.dataSync().slice(0, 11);
    // 2 January 2010, 0:00: 129 µg/m³, dew point -16, -4 °C, 1020 hPa, wind from the south-east at 1.79.
    expect(Array.from(first, (v) => Math.round(v * 100) / 100)).toEqual([129, -16, -4, 1020, 1.79, 0, 0, 0, 0, 1, 0]);
    expect(years[43799]).toBe(2014);
  });
});
