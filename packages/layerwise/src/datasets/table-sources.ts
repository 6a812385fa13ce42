/** Where the tables come from, the digests that prove them, and how each is written. */
import type { data } from "@layerwise/core";
import type { SourceFile } from "./sources.ts";

/** One file with a table. */
export interface TableSource {
  /** Folder below `LAYERWISE_DATASETS` and below the cache. */
  readonly folder: string;
  readonly addresses: readonly string[];
  readonly file: SourceFile;
  readonly csv?: data.CsvOptions;
}

const github = "https://raw.githubusercontent.com";
const collection = [`${github}/jbrownlee/Datasets/master/`];

/** A table of that collection without a header. */
function uci(name: string, sha256: string, header: string): TableSource {
  const file = { name: `${name}.csv`, sha256 };
  return { folder: `tabular/${name}`, addresses: collection, file, csv: { header: header.split(" ") } };
}

/** Box and Jenkins: passengers of international airlines, 144 months from 1949 to 1960, in thousands. */
export const airlineSource: TableSource = {
  folder: "timeseries/airline",
  addresses: collection,
  file: {
    name: "airline-passengers.csv",
    sha256: "8cb51be753a718d9be5d76d7e238cc224792754676adc21faa59e954b0201621",
  },
};

/** Liang et al. 2015 (UCI): fine dust in Beijing and the weather, 43,824 hours from 2010 to 2014. */
export const beijingSource: TableSource = {
  folder: "timeseries/beijing-pm25",
  addresses: collection,
  file: { name: "pollution.csv", sha256: "892e9559205d16d32623135c127a3951c12e46ea1e0b3093e107ce89a9fd60e2" },
};

/** Tables by name: rows of numbers and words, small enough to look at. */
export const tableSources = {
  airlinePassengers: airlineSource,
  beijingAir: beijingSource,
  /** Zhou et al. 2021: an electricity transformer's load and oil temperature, 17,420 hours. */
  etth1: {
    folder: "timeseries/ett",
    addresses: [`${github}/zhouhaoyi/ETDataset/main/ETT-small/`],
    file: { name: "ETTh1.csv", sha256: "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066" },
  },
  /** Fisher 1936: 150 flowers of three kinds. */
  iris: uci(
    "iris",
    "f5d0c11e5c78a69a20dbb80baf2b24703f59a6687595752abb397d23732647c5",
    "sepalLength sepalWidth petalLength petalWidth kind",
  ),
  /** Forina (UCI): 178 wines of three cultivars. */
  wine: uci(
    "wine",
    "e9c16b779f9194945067f65118da6afb317ef60c6515879c50124dc4f6cdd756",
    "alcohol malicAcid ash alcalinity magnesium phenols flavanoids nonflavanoidPhenols proanthocyanins color hue od280 proline cultivar",
  ),
  /** Smith et al. 1988: 768 patients, 268 of them with diabetes. Zeros in measurements stand for missing values. */
  pimaDiabetes: uci(
    "pima-indians-diabetes",
    "6bfe5d0f379d17a0e0819b996407e3c09bf80febd4287f2ed212190dfff154af",
    "pregnancies glucose bloodPressure skinThickness insulin bmi pedigree age diabetes",
  ),
  /** Nash et al. 1994: 4,177 abalones; the age is the number of rings plus 1.5. */
  abalone: uci(
    "abalone",
    "eb2de13be807e9bb9ec4128b9c89b98ab23d7739121cfd17b7dde69b46ba7bf6",
    "sex length diameter height wholeWeight shuckedWeight visceraWeight shellWeight rings",
  ),
  /** Lohweg (UCI): 1,372 pictures of banknotes, genuine (0) and forged (1). */
  banknotes: uci(
    "banknote_authentication",
    "d0539aaed2139ba7a587b3e34fb345ce503ff7d5d33dbf9912d8e195ce425cb9",
    "variance skewness kurtosis entropy forged",
  ),
  /** Harrison and Rubinfeld 1978: 506 districts; `medv` is the price to predict. */
  bostonHousing: {
    folder: "tabular/boston-housing",
    addresses: collection,
    file: { name: "housing.data", sha256: "e3e36f7b9e5435f9eb8320e106aebad00031fefa3064527da0c71dec59e49b76" },
    csv: {
      separator: "whitespace",
      header: "crim zn indus chas nox rm age dis rad tax ptratio b lstat medv".split(" "),
    },
  },
  /** Pace and Barry 1997, as prepared by Géron: 20,640 districts of the census of 1990; 207 lack `total_bedrooms`. */
  californiaHousing: {
    folder: "tabular/california-housing",
    addresses: [`${github}/ageron/handson-ml2/master/datasets/housing/`],
    file: { name: "housing.csv", sha256: "8a3727f4cf54ac1a327f69b1d5b4db54c5834ea81c6e4efc0d163300022a685e" },
  },
  /** 891 passengers of the Titanic, with missing ages and cabins. */
  titanic: {
    folder: "tabular/titanic",
    addresses: [`${github}/datasciencedojo/datasets/master/`],
    file: { name: "titanic.csv", sha256: "4a437fde05fe5264e1701a7387ac6fb75393772ba38bb2c9c566405af5af4bd7" },
  },
} as const satisfies Record<string, TableSource>;

export type TableName = keyof typeof tableSources;
