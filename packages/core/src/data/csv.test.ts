import { describe, expect, test } from "vitest";
import { parseCsv } from "./csv.ts";

describe("tables", () => {
  test("columns by name, as text, numbers and a tensor", () => {
    const t = parseCsv("a,b,c\n1,2,x\n3.5,-4e2,y\n");
    expect(t.columns).toEqual(["a", "b", "c"]);
    expect(t.length).toBe(2);
    expect(t.strings("c")).toEqual(["x", "y"]);
    expect([...t.numbers("b")]).toEqual([2, -400]);
    const x = t.tensor(["b", "a"]);
    expect(x.shape).toEqual([2, 2]);
    expect([...x.dataSync()]).toEqual([2, 1, -400, 3.5]);
  });
  test("quotes: separators, quotes and lines inside", () => {
    const t = parseCsv('name,"said, loudly"\r\n"Smith, J.","""Yes""\nand no"\r\nDoe, plain \r\n');
    expect(t.columns).toEqual(["name", "said, loudly"]);
    expect(t.strings("name")).toEqual(["Smith, J.", "Doe"]);
    expect(t.strings("said, loudly")).toEqual(['"Yes"\nand no', "plain"]);
  });
  test("a byte-order mark, empty lines, no end of line at the end, bytes", () => {
    const t = parseCsv(new TextEncoder().encode("\ufeffa,b\n\n1,2\n   \n3,4"), {});
    expect(t.columns).toEqual(["a", "b"]);
    expect([...t.numbers("a")]).toEqual([1, 3]);
  });
  test("other separators, blanks, and tables without a header", () => {
    expect(parseCsv("1;2\n3;4", { separator: ";", header: false }).columns).toEqual(["0", "1"]);
    expect(parseCsv("1\t 2", { separator: "\t", header: ["x", "y"] }).strings("y")).toEqual(["2"]);
    expect([...parseCsv("  1.5   2\t3 \n", { separator: "whitespace", header: false }).numbers("2")]).toEqual([3]);
    expect(parseCsv("a,b\n 1 ,2", { trim: false }).strings("a")).toEqual([" 1 "]);
    expect(parseCsv("a,b\n").length).toBe(0);
  });
  test("missing values: refused, or filled as asked", () => {
    const t = parseCsv("a,b\nNA,1\n2,\n,3\n4,?\n");
    expect(t.strings("a")).toEqual([null, "2", null, "4"]);
    expect([...t.numbers("a", 0)]).toEqual([0, 2, 0, 4]);
    expect([...t.numbers("a", "mean")]).toEqual([3, 2, 3, 4]);
    expect([...t.numbers("b", "previous")]).toEqual([1, 1, 3, 3]);
    expect(() => t.numbers("a", "previous")).toThrow(/D313.*row 0, column "a" is missing \(line 2\)/s);
    expect(() => t.tensor()).toThrow(/D313/);
    // In quotes it is a word, and other marks may be named.
    expect(parseCsv('a,b\n"NA",1').strings("a")).toEqual(["NA"]);
    expect(parseCsv("a,b\n-999,NA", { missing: ["-999"] }).strings("a")).toEqual([null]);
  });
  test("words as class numbers", () => {
    const t = parseCsv("w\nred\nblue\nred\n", { separator: ";" });
    const { indices, names } = t.categories("w");
    expect(names).toEqual(["blue", "red"]);
    expect([...indices.dataSync()]).toEqual([1, 0, 1]);
    expect(() => t.categories("w", ["red"])).toThrow(/D313.*row 1, column "w".*line 3.*"blue"/s);
  });
  test("a part of the rows keeps its lines for messages", () => {
    const t = parseCsv("a,b\n1,x\n2,y\n3,4\n").filter((i) => i > 0);
    expect([...t.numbers("a")]).toEqual([2, 3]);
    expect(() => t.numbers("b")).toThrow(/row 0, column "b" is not a number \(line 3\)/);
  });
});

describe("what is refused", () => {
  test("a row with another number of fields", () => {
    expect(() => parseCsv("a,b\n1,2\n\n3\n", { name: "t.csv" })).toThrow(
      /D312: t\.csv: row 1 has another number of fields \(line 4\)/,
    );
    expect(() => parseCsv('a,b\n"x\ny",2\n3,4,5\n')).toThrow(/D312.*line 4/s);
  });
  test("quotes that do not close, or close early", () => {
    expect(() => parseCsv('a,b\n1,"two\nthree')).toThrow(/D311.*line 2, field 2/s);
    expect(() => parseCsv('a,b\n"1"2,3')).toThrow(/D311.*follows/s);
  });
  test("what is not a number, an unknown column, a name twice, another encoding", () => {
    const t = parseCsv("age,city\n31,Rome\nold,Oslo\n");
    expect(() => t.numbers("age")).toThrow(/D313.*row 1, column "age" is not a number \(line 3\).*"old"/s);
    expect(() => parseCsv("a\n1e999\n").numbers("a")).toThrow(/D313/);
    expect(() => t.strings("agee")).toThrow(/D314.*did you mean "age"/s);
    expect(() => parseCsv("a,a\n1,2")).toThrow(/D312.*"a"/s);
    expect(() => parseCsv(Uint8Array.from([97, 10, 0xe9]))).toThrow(/E401/);
    expect(() => parseCsv("a", { separator: ", " })).toThrow(/E202/);
  });
});
