/** Examples by name, loaded when they are run: `npm run example -- spoken-digits`. */

export interface ExampleOptions {
  readonly epochs?: number;
  readonly seed?: number;
  /** As in `fit`. */
  readonly verbose?: 0 | 1 | 2;
}

/** Runs an example and prints what it found; returns its figures. */
export type Example = (options?: ExampleOptions) => Promise<Record<string, number>>;

export const examples: Readonly<Record<string, () => Promise<{ readonly run: Example }>>> = {
  "airline-passengers": () => import("./airline-passengers.ts"),
  "beijing-air": () => import("./beijing-air.ts"),
  "film-reviews": () => import("./film-reviews.ts"),
  gpt: () => import("./gpt.ts"),
  "hotel-reviews": () => import("./hotel-reviews.ts"),
  questions: () => import("./questions.ts"),
  sentiment: () => import("./sentiment.ts"),
  shakespeare: () => import("./shakespeare.ts"),
  "spoken-digits": () => import("./spoken-digits.ts"),
};
