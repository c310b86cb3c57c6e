// SPDX-License-Identifier: Apache-2.0
import { createWriteStream, rmSync } from "node:fs";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { encodeTar, type TarEntry } from "#lib/tar.ts";
import { CliFault, EXIT, type ExitCode } from "../fault.ts";
import { collectReport, type ReportFile } from "../report-content.ts";
import type { CommandContext } from "../run.ts";
import { clientVersion } from "./version.ts";

/** `report [NAME]` */
export async function report(context: CommandContext): Promise<ExitCode> {
  const { words, flags, clock, terminal, signal } = context;
  const sinceMs = flags.ms("since");
  const access = context.access();
  const cluster = await access.cluster(words[0]);
  const nowMs = clock.wallMs();
  const stamp = new Date(nowMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, "");
  const folder = `im-report-${cluster.metadata.name}-${stamp}Z`;
  const path = flags.text("file") ?? `${folder}.tar.gz`;
  const since = sinceMs === undefined ? {} : { sinceSeconds: Math.ceil(sinceMs / 1000) };
  const { files, problems } = await collectReport(access, cluster, { nowMs, version: clientVersion(), ...since });
  await writeArchive(path, folder, files, signal);
  const bytes = files.reduce((sum, { content }) => sum + Buffer.byteLength(content), 0);
  for (const problem of problems) terminal.err(`left out: ${problem}\n`);
  context.show({ file: path, files: files.map(({ path: name }) => name), bytes, problems }, () => {
    return `${path}: ${files.length} files, ${Math.ceil(bytes / 1024)} KiB before compression. Values of Secrets are not in it; look through it before you share it.\n`;
  });
  return EXIT.ok;
}

/** @throws CliFault when the file is there already, or cannot be written; nothing of it stays then */
async function writeArchive(
  path: string,
  folder: string,
  files: readonly ReportFile[],
  signal: AbortSignal,
): Promise<void> {
  const entries = files.map(
    ({ path: name, content }): TarEntry => ({ kind: "content", path: `/${folder}/${name}`, content }),
  );
  let isOurs = false;
  // For its owner only: names of users may stand in logs.
  const file = createWriteStream(path, { flags: "wx", mode: 0o600 });
  file.once("open", () => {
    isOurs = true;
  });
  try {
    await pipeline(Readable.from(encodeTar(entries)), createGzip(), file, { signal });
  } catch (cause) {
    if (isOurs) rmSync(path, { force: true });
    if (signal.aborted) throw cause;
    const { code, message } = cause as NodeJS.ErrnoException;
    const problem = code === "EEXIST" ? `${path} exists` : `${path} cannot be written: ${message}`;
    throw new CliFault(problem, "Name another file by --file.", { cause });
  }
}
