/** Tables and time series. */
import { data, LayerwiseError, type Tensor, tensor } from "@layerwise/core";
import { type DatasetOptions, obtainFile, type SearchOptions } from "./files.ts";
import { airlineSource, beijingSource, type TableName, type TableSource, tableSources } from "./table-sources.ts";

/**
 * A table by name: "iris", "wine", "titanic", "californiaHousing" … (the editor lists them). Columns are taken with
 * `numbers`, `tensor` and `categories`. Taken from `LAYERWISE_DATASETS`, the user's cache, or downloaded. Throws D201–D208.
 */
export function table(name: TableName, options: DatasetOptions = {}): Promise<data.Table> {
  if (!Object.hasOwn(tableSources, name)) {
    throw new LayerwiseError(`there is no table "${name}"`, {
      code: "D208",
      received: `"${name}"`,
      expected: Object.keys(tableSources).join(", "),
    });
  }
  return loadTable(tableSources[name], options);
}

/** Any table in that form. */
export async function loadTable(source: TableSource, options: SearchOptions): Promise<data.Table> {
  const bytes = await obtainFile(source.folder, source.file, source.addresses, options);
  return data.parseCsv(bytes, { name: source.file.name, ...source.csv });
}

export interface AirlinePassengers {
  /** Passengers in thousands: f32 [144]. */
  readonly passengers: Tensor;
  /** "1949-01" … "1960-12". */
  readonly months: readonly string[];
}

/** Passengers of international airlines by month (Box and Jenkins). Throws D201–D207. */
export async function airlinePassengers(options: DatasetOptions = {}): Promise<AirlinePassengers> {
  const t = await loadTable(airlineSource, options);
  return {
    passengers: tensor(Float32Array.from(t.numbers("Passengers")), [t.length]),
    months: t.strings("Month") as readonly string[],
  };
}

export interface BeijingAir {
  /** f32 [43800, 11]: one row for each hour, columns as in `features`. */
  readonly values: Tensor;
  /** "pm2.5" (µg/m³) first, then the weather; the wind's direction is four columns of 0 and 1. */
  readonly features: readonly string[];
  /** Year of each row, to split by. */
  readonly years: Int32Array;
}

const weather = { DEWP: "dewPoint", TEMP: "temperature", PRES: "pressure", Iws: "wind", Is: "snow", Ir: "rain" };
const directions = ["NE", "NW", "SE", "cv"];
/** Nothing is known of the dust on the first day. */
const unknownHours = 24;

/**
 * Fine dust in Beijing and the weather, hour by hour (Liang et al. 2015): 43,800 hours from 2 January 2010. Where an hour's dust
 * was not measured (2,043 times), the hour before stands. Throws D201–D207.
 */
export async function beijingAir(options: DatasetOptions = {}): Promise<BeijingAir> {
  const t = (await loadTable(beijingSource, options)).filter((row) => row >= unknownHours);
  const columns = [t.numbers("pm2.5", "previous"), ...Object.keys(weather).map((c) => t.numbers(c))];
  const wind = t.categories("cbwd", directions).indices.dataSync();
  for (let d = 0; d < directions.length; d++) columns.push(Float64Array.from(wind, (w) => (w === d ? 1 : 0)));
  const width = columns.length;
  const values = new Float32Array(t.length * width);
  columns.forEach((column, c) => {
    for (let i = 0; i < t.length; i++) values[i * width + c] = column[i];
  });
  return {
    values: tensor(values, [t.length, width]),
    features: ["pm2.5", ...Object.values(weather), ...directions.map((d) => `wind${d}`)],
    years: Int32Array.from(t.numbers("year")),
  };
}
