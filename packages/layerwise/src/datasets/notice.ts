/** Shows a download on stderr: a live line on a terminal, one plain line elsewhere. */

export interface DownloadNotice {
  readonly progress: (received: number, total: number | undefined) => void;
  readonly end: () => void;
}

export function showDownload(
  name: string,
  host: string,
  out: { isTTY?: boolean | undefined; write(text: string): unknown } = process.stderr,
): DownloadNotice {
  if (!out.isTTY) {
    out.write(`downloading ${name} from ${host}\n`);
    return { progress: () => {}, end: () => {} };
  }
  let last = 0;
  const draw = (received: number, total: number | undefined) => {
    const share = total ? `${Math.floor((100 * received) / total)} %  ` : "";
    out.write(`\r\x1b[2Kdownloading ${name}  ${share}${megabytes(received)}${total ? ` of ${megabytes(total)}` : ""}`);
  };
  out.write(`downloading ${name} from ${host}`);
  return {
    progress: (received, total) => {
      const now = Date.now();
      if (now - last < 100 && received !== total) return;
      last = now;
      draw(received, total);
    },
    end: () => out.write("\n"),
  };
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
