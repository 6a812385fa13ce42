/** What the command-line programs of this repository share: options and the way errors are shown. */

/** `{ [name]: n }` for an option that must be a whole number of at least `least`; nothing where it is not given. */
export function wholeNumber<Name extends string>(
  name: Name,
  text: string | undefined,
  least: number,
): Partial<Record<Name, number>> {
  if (text === undefined) return {};
  const value = Number(text);
  if (text.trim() === "" || !Number.isSafeInteger(value) || value < least) {
    throw new Error(`--${name} wants a whole number of at least ${least}, not "${text}"`);
  }
  return { [name]: value } as Partial<Record<Name, number>>;
}

/** Errors that come from the program, not from the person in front of it. */
const bugs = [RangeError, ReferenceError, SyntaxError, WebAssembly.RuntimeError, WebAssembly.CompileError];

/** Runs `main`; an error that a person can mend is shown without its stack, and the exit code is 1. */
export async function reportErrors(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    // `parseArgs` throws TypeErrors with a code for unknown options.
    const bug = bugs.some((kind) => error instanceof kind) || (error instanceof TypeError && !("code" in error));
    console.error(error instanceof Error && !bug ? error.message : error);
    process.exitCode = 1;
  }
}
