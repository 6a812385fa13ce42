/** Pictures drawn with characters. */

/** A grey picture: `data` holds 0 (black) … 255 (white), row-major. */
export interface GreyPicture {
  readonly data: ArrayLike<number>;
  readonly height: number;
  readonly width: number;
}

/**
 * Lines of text, two rows of pixels in each: with `color`, half blocks in 24 shades of grey (xterm's 256 colours); without,
 * half blocks where a pixel is brighter than a third.
 */
export function drawPicture({ data, height, width }: GreyPicture, { color = false } = {}): string[] {
  const lines: string[] = [];
  const at = (y: number, x: number) => (y < height ? data[y * width + x] : 0);
  for (let y = 0; y < height; y += 2) {
    let line = "";
    for (let x = 0; x < width; x++) {
      const [upper, lower] = [at(y, x), at(y + 1, x)];
      line += color ? `\x1b[38;5;${shade(upper)};48;5;${shade(lower)}m▀` : halfBlock(upper > 85, lower > 85);
    }
    lines.push(color ? `${line}\x1b[0m` : line);
  }
  return lines;
}

function halfBlock(upper: boolean, lower: boolean): string {
  if (upper) return lower ? "█" : "▀";
  return lower ? "▄" : " ";
}

/** Colours 232 … 255 of the 256-colour palette are greys from nearly black to nearly white. */
function shade(value: number): number {
  return 232 + Math.min(23, Math.max(0, Math.round((value / 255) * 23)));
}

/** Blocks of lines side by side, `perRow` in a row, each below its caption. Lines count as `width` characters. */
export function sideBySide(
  blocks: readonly { readonly caption: string; readonly lines: readonly string[] }[],
  width: number,
  perRow: number,
): string {
  const rows: string[] = [];
  for (let first = 0; first < blocks.length; first += perRow) {
    const row = blocks.slice(first, first + perRow);
    rows.push(
      row
        .map((b) => b.caption.slice(0, width).padEnd(width))
        .join("  ")
        .trimEnd(),
    );
    for (let i = 0; i < Math.max(...row.map((b) => b.lines.length)); i++) {
      rows.push(row.map((b) => b.lines[i] ?? " ".repeat(width)).join("  "));
    }
  }
  return rows.join("\n");
}
