// SPDX-License-Identifier: Apache-2.0
// The package as npm would publish it, in an application of somebody else.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";

const exec = promisify(execFile);
const CLIENT = join(import.meta.dirname, "..");
const ROOT = join(CLIENT, "..");
const TSC = join(ROOT, "node_modules/typescript/bin/tsc");
const TIMEOUT_MS = 120_000;
const app = mkdtempSync(join(tmpdir(), "im-consumer-"));
const installed = join(app, "node_modules/@imcluster/client");

const BROWSER = `
import { type ClientState, ErrorCode, ImClient, ImClientError, type Message } from "@imcluster/client";
import { IndexedDbStore } from "@imcluster/client/indexeddb";

const client = new ImClient({ url: "wss://im.example/ws", getToken: () => "t", deviceId: "d", store: new IndexedDbStore("im") });
client.on("message", (message: Message) => console.log(message.text));
client.on("state", (state: ClientState) => {
  if (state.kind === "closed") console.log(state.byDevice);
});
client.on("kicked", ({ byDevice }) => console.log(byDevice));
// @ts-expect-error: no such event
client.on("nothing", () => {});
export async function run(): Promise<string> {
  try {
    return (await client.send({ to: "bob", content: "hi" })).messageId;
  } catch (error) {
    return error instanceof ImClientError && error.code === ErrorCode.CONFLICT ? error.messageId : "";
  }
}
`;
const NODE = `
import { FileStore, ImClient, nodeTransport, type TlsOptions } from "@imcluster/client/node";

const tls: TlsOptions = { ca: "pem" };
await using client = new ImClient({ url: "tls://im.example", getToken: async () => "t", deviceId: "d", tls, store: new FileStore("f") });
export const other = nodeTransport({ tls });
export const outbox: number = client.stats.outbox;
`;

async function compile(source: string, compilerOptions: object): Promise<void> {
  writeFileSync(join(app, "app.ts"), source);
  const strict = {
    target: "es2024",
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    exactOptionalPropertyTypes: true,
  };
  writeFileSync(
    join(app, "tsconfig.json"),
    JSON.stringify({ compilerOptions: { ...strict, ...compilerOptions }, files: ["app.ts"] }),
  );
  const { stdout } = await exec(process.execPath, [TSC, "-p", app], { timeout: TIMEOUT_MS }).catch((error: unknown) =>
    assert.fail(`${(error as { stdout?: string }).stdout}`),
  );
  assert.equal(stdout, "");
}

describe("the package in an application", () => {
  before(async () => {
    await exec(process.execPath, [TSC, "-p", CLIENT, "--outDir", join(installed, "dist")], { timeout: TIMEOUT_MS });
    writeFileSync(join(app, "package.json"), '{"type":"module"}');
    mkdirSync(join(app, "node_modules/@types"), { recursive: true });
    for (const name of ["node", "undici-types"]) {
      const from = join(ROOT, "node_modules", name === "node" ? "@types/node" : name);
      symlinkSync(from, join(app, "node_modules", name === "node" ? "@types/node" : name));
    }
    cpSync(join(CLIENT, "package.json"), join(installed, "package.json"));
  });
  after(() => rmSync(app, { recursive: true }));

  it("type checks strictly for a browser with a bundler, without the types of Node", async () => {
    const lib = ["es2024", "esnext.disposable", "dom"];
    await compile(BROWSER, { module: "esnext", moduleResolution: "bundler", lib, types: [] });
  });

  it("type checks strictly for Node", async () => {
    await compile(NODE, {
      module: "nodenext",
      moduleResolution: "nodenext",
      lib: ["es2024", "esnext.disposable"],
      types: ["node"],
    });
  });

  it("holds what its manifest and its README name", () => {
    const { files } = JSON.parse(readFileSync(join(CLIENT, "package.json"), "utf8")) as { files: string[] };
    const readme = readFileSync(join(CLIENT, "README.md"), "utf8");
    const links = [...readme.matchAll(/\]\((?!https?:)([^)#]+)\)/g)].map(([, path]) => path ?? "");
    assert.ok(links.includes("API.md"));
    for (const path of links) assert.ok(files.includes(path), `${path} is not published`);
  });

  it("ends by itself: a Node application that closed its client exits", async () => {
    writeFileSync(
      join(app, "run.js"),
      `import { ImClient } from "@imcluster/client/node";
       const client = new ImClient({ url: "tcp://127.0.0.1:1", getToken: () => new Promise(() => {}), deviceId: "d", timing: { tokenTimeoutMs: 600_000 } });
       client.connect();
       await client.close();
       console.log(client.state.kind);`,
    );
    const { stdout } = await exec(process.execPath, [join(app, "run.js")], { timeout: TIMEOUT_MS });
    assert.equal(stdout, "closed\n");
  });
});
