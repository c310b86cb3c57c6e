// SPDX-License-Identifier: Apache-2.0
// What the documentation tells readers to type and to apply, on a real kube-apiserver.
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { silentProgress } from "../../scripts/cluster/progress.ts";
import { ensureBinaries } from "../../scripts/cluster/toolchain.ts";
import { startApiServer, type TestApiServer } from "../harness/api-server.ts";
import { waitUntil } from "../harness/processes.ts";
import { type Block, commandBlocks, differences } from "./blocks.ts";
import { callsOf, longFlags, templateOf, verbsOf } from "./command-lines.ts";
import { type ShownAt, shownYaml } from "./manifests.ts";
import type { Page } from "./markdown.ts";
import { Reader } from "./run-blocks.ts";
import { readPages, specFields } from "./tree.ts";

const pages = readPages();
/** Pages of their own tools (generated, or of one chart) are checked there. */
const shownPages = [...pages.values()].filter(({ path }) =>
  /^(README[^/]*|SECURITY|CONTRIBUTING)\.md$|^docs\//.test(path),
);
const SERVED_MS = 60_000;
const programs = { kubectl: "", helm: "" };
let server: TestApiServer;
let reader: Reader;

before(async () => {
  const { kubectl = "", helm = "" } = await ensureBinaries(["kubectl", "helm"], { progress: silentProgress });
  Object.assign(programs, { kubectl, helm });
  server = await startApiServer();
  reader = new Reader(programs, server.kubeconfigPath);
});
after(() => server.stop());

/** What the text says a reader has in the folder. */
async function prepareFiles(reader: Reader): Promise<void> {
  writeFileSync(join(reader.folder, "jwks.json"), '{"keys":[]}');
  const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  const names = ["-keyout", "tls.key", "-out", "tls.crt", "-subj", "/CN=im.shop.example"];
  assert.equal((await reader.program("openssl", [...request, ...names])).code, 0);
}

const runBlocks = (page: Page): Block[] => commandBlocks(page).filter(({ fate }) => fate.kind === "run");

/** A reader is not as fast as a program: what was just installed is known by then. */
async function untilServed(reader: Reader): Promise<void> {
  await waitUntil(
    "ImClusters are served, or not defined",
    async () => {
      const { code, output } = await reader.program("kubectl", ["get", "imc", "-A"]);
      if (code === 0) return true;
      const defined = await reader.program("kubectl", ["get", "crd", "imclusters.imcluster.io"]);
      return /doesn't have a resource type/.test(output) && /NotFound/.test(defined.output);
    },
    SERVED_MS,
  );
}

const manifestsOf = (items: readonly ShownAt[]): { at: string; manifest: object }[] =>
  items.flatMap(({ at, shown }) => (shown.kind === "manifest" ? [{ at, manifest: shown.manifest }] : []));

/** Blocks of commands and of what is typed, with where they are. */
const typed = shownPages.flatMap((page) =>
  page.fences
    .filter(({ language }) => ["sh", "console"].includes(language))
    .map(({ text, line }) => ({ at: `${page.path}:${line}`, text })),
);

describe("what the documentation shows", { concurrency: 1 }, () => {
  for (const path of ["README.md", "docs/quick-start.md"])
    it(`the commands of ${path} that are marked so do what they say`, async () => {
      await prepareFiles(reader);
      const page = pages.get(path);
      assert.ok(page);
      for (const { fence } of runBlocks(page)) {
        await untilServed(reader);
        const { code, output } = await reader.run(fence.text);
        assert.equal(code, 0, `${path}:${fence.line}\n${output}`);
      }
    });

  it("manifests and parts of an ImCluster fit its definition", async () => {
    // Those of an operator that is installed and, without nodes, never runs: each write would wait for its answer.
    await reader.program("kubectl", ["delete", "validatingwebhookconfigurations", "--all"]);
    const crd = ["apply", "--server-side", "--force-conflicts", "-f", "crds/imcluster.yaml"];
    assert.equal((await reader.program("kubectl", crd)).code, 0);
    await untilServed(reader);
    const items = shownPages.flatMap((page) => shownYaml(page, specFields()));
    const unknown = items.flatMap(({ at, shown }) => (shown.kind === "unknown" ? [`${at}: ${shown.problem}`] : []));
    assert.deepEqual(unknown, []);
    const manifests = manifestsOf(items);
    const folder = join(reader.folder, "shown");
    mkdirSync(folder);
    const nameOf = (at: string): string => `${at.replace(/\W/g, "-")}.json`;
    for (const { at, manifest } of manifests) writeFileSync(join(folder, nameOf(at)), JSON.stringify(manifest));
    const apply = ["apply", "--dry-run=server", "--validate=strict", "-f", folder];
    const { code, output } = await reader.program("kubectl", apply);
    const refused = output.split("\n").filter((line) => /error|invalid|unknown field|no matches for kind/i.test(line));
    // Of operators that are not ours there is no definition here.
    const ours = refused.filter((line) => !/no matches for kind "(Cluster|ScheduledBackup)"/.test(line));
    console.log(`figures: ${manifests.length} manifests and parts of an ImCluster`);
    assert.deepEqual(ours, [], output);
    assert.ok(code === 0 || refused.length > 0, output);
    assert.ok(manifests.length > 3);
  });

  it("values and settings of the charts render", async () => {
    const values = shownPages
      .flatMap((page) => shownYaml(page, specFields()))
      .flatMap(({ at, shown }) => (shown.kind === "values" ? [{ at, ...shown }] : []));
    for (const { at, chart, text } of values) {
      writeFileSync(join(reader.folder, "values.yaml"), text);
      const args = ["template", "shown", `charts/${chart}`, "-f", "values.yaml"];
      const { code, output } = await reader.program("helm", args);
      assert.equal(code, 0, `${at}: ${output}`);
    }
    const told = new Map<string, { at: string; args: string[] }>();
    for (const { at, text } of typed)
      for (const { words } of callsOf("helm", text)) {
        const args = templateOf(words);
        if (args) told.set(args.join(" "), { at, args });
      }
    for (const { at, args } of told.values()) {
      const { code, output } = await reader.program("helm", args);
      assert.equal(code, 0, `${at}: helm ${args.join(" ")}\n${output}`);
    }
    console.log(`figures: ${values.length + told.size} renderings of charts`);
    assert.ok(told.size > 1);
  });

  it("kubectl has the commands and flags that it is given", async () => {
    const help = new Map<string, string>();
    const ask = async (words: readonly string[]): Promise<string> => {
      const key = words.join(" ");
      const known = help.get(key) ?? (await reader.program("kubectl", words)).output;
      help.set(key, known);
      return known;
    };
    const calls = typed.flatMap(({ at, text }) => callsOf("kubectl", text).map(({ words }) => ({ at, words })));
    // The plugin's own flags are looked at by their names.
    const theirs = calls.filter(({ words }) => words[0] !== "im");
    for (const { at, words } of theirs) {
      const where = `${at}: kubectl ${words.join(" ")}`;
      const verbs = verbsOf(words);
      const texts = [await ask(["options"])];
      for (let depth = 1; depth <= verbs.length; depth++) texts.push(await ask([...verbs.slice(0, depth), "--help"]));
      assert.match(texts[1] ?? "", /Usage:/, where);
      for (const flag of longFlags(words)) assert.ok(texts.join("").includes(`--${flag}`), `${where}: --${flag}`);
    }
    console.log(`figures: ${theirs.length} calls of kubectl`);
    assert.ok(theirs.length > 10);
  });

  for (const path of ["README", "docs/quick-start"])
    it(`${path}.md shows the same code in Chinese as in English`, () => {
      const [english, chinese] = [pages.get(`${path}.md`), pages.get(`${path}.zh-CN.md`)];
      assert.ok(english && chinese);
      assert.deepEqual(differences(english, chinese), []);
    });
});
