// SPDX-License-Identifier: Apache-2.0
// Code in TypeScript that a page shows, type checked as a reader would paste it into an application of his own.
import { execFile } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { temporaryFolder } from "../harness/folders.ts";
import type { Page } from "./markdown.ts";
import { ROOT } from "./tree.ts";

const exec = promisify(execFile);
const TIMEOUT_MS = 120_000;

/** What an example leaves to its reader: his own functions and settings. */
const OF_THE_READER = `
declare const deviceId: string;
declare const getToken: () => Promise<string>;
declare function fetchToken(): Promise<string>;
declare function show(...what: unknown[]): void;
declare function showState(kind: string): void;
`;

/** A block of TypeScript of a page. */
export interface Example {
  /** As `README.md:49`. */
  readonly name: string;
  readonly code: string;
}

export const examplesOf = (page: Page): Example[] =>
  page.fences
    .filter(({ language }) => language === "ts")
    .map(({ line, text }) => ({ name: `${page.path}:${line}`, code: text }));

const inSource = (path: string): string[] => [join(ROOT, "client/src", path)];

const settings = (files: readonly string[]): object => ({
  compilerOptions: {
    target: "es2024",
    lib: ["es2024", "esnext.disposable", "dom", "dom.iterable"],
    module: "preserve",
    moduleDetection: "force",
    strict: true,
    noEmit: true,
    skipLibCheck: true,
    allowImportingTsExtensions: true,
    typeRoots: [join(ROOT, "node_modules/@types")],
    types: ["node"],
    paths: {
      "@imcluster/client": inSource("index.ts"),
      "@imcluster/client/models": inSource("models/index.ts"),
      "@imcluster/client/*": inSource("*.ts"),
    },
  },
  files,
});

/** What the compiler says against them, each line with the page and line of its block; empty when all are well. */
export async function typeErrors(examples: readonly Example[]): Promise<string[]> {
  const dir = temporaryFolder("imcluster-examples-");
  try {
    const files = examples.map((_, at) => `example-${at}.ts`);
    writeFileSync(join(dir, "reader.d.ts"), OF_THE_READER);
    examples.forEach(({ code }, at) => {
      writeFileSync(join(dir, `example-${at}.ts`), code);
    });
    writeFileSync(join(dir, "tsconfig.json"), JSON.stringify(settings(["reader.d.ts", ...files])));
    const said = await compile(dir);
    return said.map((line) => line.replace(/example-(\d+)\.ts/, (_, at: string) => examples[Number(at)]?.name ?? at));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function compile(dir: string): Promise<string[]> {
  const tsc = [join(ROOT, "node_modules/typescript/bin/tsc"), "-p", ".", "--pretty", "false"];
  try {
    await exec(process.execPath, tsc, { cwd: dir, timeout: TIMEOUT_MS });
    return [];
  } catch (error) {
    const { stdout = "" } = error as { stdout?: string };
    // Without a word on its output it did not run at all.
    if (stdout.trim() === "") throw error;
    return stdout.trim().split("\n");
  }
}
