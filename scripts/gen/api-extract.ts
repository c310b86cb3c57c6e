// SPDX-License-Identifier: Apache-2.0
// What the SDK exports, by API Extractor over the declarations that its build emits.
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { ApiItem, EntryPoint } from "./api-model.ts";
import { referencePage, undocumented } from "./api-reference.ts";

const exec = promisify(execFile);
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const TIMEOUT_MS = 120_000;

interface ApiJson {
  members: { members: ApiItem[] }[];
}

/** A generated file by its path from the root. */
export interface GeneratedFile {
  readonly path: string;
  readonly content: string;
}

export interface SdkApi {
  /** The reference page and one report per entry point. */
  readonly files: readonly GeneratedFile[];
  /** What has no doc comment, or is named by an export without being exported. */
  readonly faults: readonly string[];
}

/** @throws Error when the SDK does not compile or API Extractor fails; its output is in the message */
export async function extractSdkApi(): Promise<SdkApi> {
  const folder = mkdtempSync(join(tmpdir(), "im-sdk-api-"));
  try {
    cpSync(join(ROOT, "client/package.json"), join(folder, "package.json"));
    const outDir = join(folder, "dist");
    await run(["node_modules/typescript/bin/tsc", "-p", "client", "--emitDeclarationOnly", "--outDir", outDir]);
    const modules = modulesOf(readFileSync(join(folder, "package.json"), "utf8"));
    const entryPoints: EntryPoint[] = [];
    for (const [module, file] of modules) entryPoints.push(await extract(folder, module, file));
    const sourceOf = (path: string): string => readFileSync(join(folder, path), "utf8");
    const reports = entryPoints.map(({ module, report }) => ({
      path: `client/etc/${nameOf(module)}.api.md`,
      content: report,
    }));
    return {
      files: [{ path: "client/API.md", content: referencePage(entryPoints, sourceOf) }, ...reports],
      faults: [
        ...undocumented(entryPoints, sourceOf).map((name) => `${name} has no doc comment`),
        ...forgotten(entryPoints).map((name) => `${name} is named by an export, but not exported`),
      ],
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Import path and declaration file of each entry point. */
function modulesOf(manifest: string): [string, string][] {
  const { name, exports } = JSON.parse(manifest) as { name: string; exports: Record<string, { types: string }> };
  return Object.entries(exports).map(([path, { types }]) => [name + path.slice(1), types]);
}

const nameOf = (module: string): string => module.split("/").slice(1).join("-");

async function extract(folder: string, module: string, types: string): Promise<EntryPoint> {
  const [configFile, model] = [join(folder, "api-extractor.json"), join(folder, "model.api.json")];
  const report = `${nameOf(module)}.api.md`;
  mkdirSync(join(folder, "etc"), { recursive: true });
  writeFileSync(configFile, JSON.stringify(configOf(folder, types, report, model)));
  const tool = "node_modules/@microsoft/api-extractor/bin/api-extractor";
  await run([tool, "run", "--local", "--config", configFile]);
  const json = JSON.parse(readFileSync(model, "utf8")) as ApiJson;
  const items = json.members.flatMap(({ members }) => members);
  return { module, items, report: readFileSync(join(folder, "etc", report), "utf8").replaceAll("\r\n", "\n") };
}

function configOf(folder: string, types: string, reportFileName: string, apiJsonFilePath: string): object {
  const level = (logLevel: string, addToApiReportFile = false): object => ({ logLevel, addToApiReportFile });
  const compilerOptions = {
    target: "es2023",
    lib: ["es2024", "esnext.disposable", "dom"],
    module: "nodenext",
    moduleResolution: "nodenext",
    types: ["node"],
    typeRoots: [join(ROOT, "node_modules/@types")],
    strict: true,
    skipLibCheck: true,
  };
  return {
    projectFolder: folder,
    mainEntryPointFilePath: join(folder, types),
    newlineKind: "lf",
    compiler: { overrideTsconfig: { compilerOptions, files: [types] } },
    apiReport: {
      enabled: true,
      reportFileName,
      reportFolder: join(folder, "etc"),
      reportTempFolder: join(folder, "temp"),
    },
    docModel: { enabled: true, apiJsonFilePath },
    dtsRollup: { enabled: false },
    tsdocMetadata: { enabled: false },
    messages: {
      compilerMessageReporting: { default: level("error") },
      // The report names what is forgotten; what is undocumented is found by our own, stricter rule.
      extractorMessageReporting: { default: level("none"), "ae-forgotten-export": level("none", true) },
      tsdocMessageReporting: { default: level("error") },
    },
  };
}

/** Names that an entry point's signatures use and no entry point exports. */
function forgotten(entryPoints: readonly EntryPoint[]): string[] {
  const exported = new Set(entryPoints.flatMap(({ items }) => items.map(({ name }) => name)));
  const found = entryPoints.flatMap(({ report }) => [...report.matchAll(/The symbol "(\w+)" needs to be exported/g)]);
  // A second symbol of one name has a number behind it.
  const names = found.map(([, name = ""]) => name.replace(/_\d+$/, ""));
  return [...new Set(names)].filter((name) => !exported.has(name));
}

async function run(args: readonly string[]): Promise<void> {
  try {
    await exec(process.execPath, args, { cwd: ROOT, timeout: TIMEOUT_MS });
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`${args[0]} failed:\n${stdout}${stderr}`, { cause: error });
  }
}
