// SPDX-License-Identifier: Apache-2.0
// The checks themselves, on pages with planted mistakes.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { blockProblems, commandBlocks, differences, withoutComments } from "./blocks.ts";
import { callsOf, longFlags, templateOf, verbsOf } from "./command-lines.ts";
import { brokenLinks, unreachable } from "./links.ts";
import { shownYaml } from "./manifests.ts";
import { type Page, readPage, slugOf } from "./markdown.ts";
import { type Known, unknownNames } from "./names.ts";

const pagesOf = (texts: Record<string, string>): Map<string, Page> =>
  new Map(Object.entries(texts).map(([path, text]) => [path, readPage(path, text)]));

describe("a page", () => {
  for (const [heading, slug] of [
    ["What each kind of Redis may lose", "what-each-kind-of-redis-may-lose"],
    ["`kubectl im`: a plan", "kubectl-im-a-plan"],
    ["Rules, reports and appeals", "rules-reports-and-appeals"],
    ["[0028](adr/0028.md) and *more*", "0028-and-more"],
    ["snake_case stays", "snake_case-stays"],
    ["五分钟上手（kind）", "五分钟上手kind"],
  ])
    it(`gives "${heading}" the anchor that GitHub gives it`, () => assert.equal(slugOf(heading ?? ""), slug));

  it("numbers headings that are there twice, and finds anchors of HTML", () => {
    const { anchors } = readPage("a.md", '# A\n## B\n## B\n<a id="own"></a>\n');
    assert.deepEqual([...anchors], ["a", "b", "b-1", "own"]);
  });

  it("has no links, spans or headings inside of code", () => {
    const page = readPage("a.md", "```sh\n# no heading\n[x](gone.md)\n```\n`[x](gone.md)` [`b`](b.md)\n");
    assert.deepEqual([page.links.map(({ target }) => target), [...page.anchors]], [["b.md"], []]);
    assert.deepEqual(
      page.fences.map(({ language, line }) => [language, line]),
      [["sh", 1]],
    );
  });
});

describe("links", () => {
  const pages = pagesOf({
    "README.md": "[a](docs/a.md) [b](docs/a.md#there) [w](https://example.com/x) ![p](docs/p.png)\n",
    "docs/a.md": "# There\n[up](../README.md) [here](#there)\n",
    "docs/alone.md": "# Alone\n",
  });
  const files = new Set([...pages.keys(), "docs/p.png"]);

  it("that lead somewhere are in order", () => {
    assert.deepEqual(brokenLinks({ pages, exists: (path) => files.has(path) }), []);
  });

  it("to nothing, to a missing anchor, out of the tree and to a server's root are named with their lines", () => {
    const bad = pagesOf({
      "README.md": "# A\n[1](gone.md)\n[2](#gone)\n[3](../x.md) [4](/x.md)\n[5](LICENSE#x) [6](http://[)\n",
    });
    assert.deepEqual(brokenLinks({ pages: bad, exists: (path) => ["README.md", "LICENSE"].includes(path) }), [
      "README.md:2: gone.md: there is no gone.md",
      "README.md:3: #gone: README.md has no anchor #gone",
      "README.md:4: ../x.md: leads out of the tree",
      "README.md:4: /x.md: begins at the root of a server, not of this tree",
      "README.md:5: LICENSE#x: LICENSE is no page: it has no anchors",
      "README.md:5: http://[: no URL",
    ]);
  });

  it("lead to every page from the first one, or it is named", () => {
    assert.deepEqual(unreachable(["README.md"], { pages, exists: () => true }), ["docs/alone.md"]);
  });
});

describe("blocks of commands", () => {
  const rules = {
    hasTest: (file: string, test: string) => file === "a.test.ts" && test === "works",
    mayBeLeftOut: (page: string) => page === "docs/quick-start.md",
  };
  const problems = (markdown: string, path = "README.md"): string[] =>
    blockProblems(commandBlocks(readPage(path, markdown)), rules);

  it("that are run, tested, or left out where that may be, are in order", () => {
    assert.deepEqual(
      problems("<!-- run -->\n```sh\nls\n```\n<!-- tested by a.test.ts: works -->\n\n```sh\nls\n```\n"),
      [],
    );
    assert.deepEqual(problems("<!-- not run: needs a cloud -->\n```sh\nls\n```\n", "docs/quick-start.md"), []);
  });

  it("of which nothing is known, or by a test that is gone, are refused", () => {
    assert.deepEqual(problems("text\n```sh\nls\n```\n"), ["README.md:2: no comment above it says which test runs it"]);
    assert.deepEqual(problems("<!-- run -->\nwords between\n```sh\nls\n```\n"), [
      "README.md:3: no comment above it says which test runs it",
    ]);
    assert.deepEqual(problems("<!-- tested by a.test.ts: gone -->\n```sh\nls\n```\n"), [
      'README.md:2: a.test.ts has no test "gone"',
    ]);
    assert.deepEqual(problems("<!-- not run: needs a cloud -->\n```sh\nls\n```\n"), [
      "README.md:2: on this page every command is run by a test",
    ]);
    assert.deepEqual(problems("<!-- run -->\n<!-- not run: needs a cloud -->\n```sh\nls\n```\n"), [
      "README.md:3: says more than one thing of itself",
    ]);
  });

  it("are the same in a translation, but for their comments", () => {
    const original = readPage("a.md", "```sh\nmake up   # starts\n```\n```yaml\na: 1\n```\n");
    const same = readPage("a.zh-CN.md", "```sh\nmake up   # 启动\n```\n```yaml\na: 1\n```\n");
    assert.deepEqual(differences(original, same), []);
    const other = readPage("a.zh-CN.md", "```sh\nmake down # 启动\n```\n");
    assert.deepEqual(differences(original, other), [
      "a.zh-CN.md:1: block 1 is not that of a.md:1",
      "a.zh-CN.md:end: block 2 is not that of a.md:4",
    ]);
    assert.equal(withoutComments("a '#b' c#d # e\n# f\n\ng"), "a '#b' c#d\ng");
  });
});

describe("names", () => {
  const has =
    (...names: string[]) =>
    (name: string): boolean =>
      names.includes(name);
  const known: Known = {
    metric: has("im_send_total", "im_send_seconds"),
    recordedFigure: has("imcluster:send:ratio_rate5m"),
    variable: has("IM_PORT", "IM_TOKEN"),
    target: has("up", "sim", "bench"),
    makeVariable: has("SEED", "BENCH"),
    command: has("status", "install generate"),
    flag: (command, flag) => command === "status" && flag === "verbose",
    field: has("spec.entry", "spec.entry.replicas"),
    file: has("lib/tar.ts", "bench/send.ts"),
  };
  const problems = (markdown: string): string[] => unknownNames(readPage("a.md", markdown), known);

  it("that the code has are in order", () => {
    const text =
      "`im_send_total{result}` `im_send_seconds_bucket` `imcluster:send:ratio_rate5m` `IM_PORT` `IM_TOKEN_FILE` `IM_BENCH_*` `make sim SEED=1` " +
      "`make bench BENCH=send` `kubectl im status demo --verbose` `kubectl im install generate` `spec.entry.replicas: 3` `lib/tar.ts` `spec.containers`";
    assert.deepEqual(problems(`${text}\n\`\`\`sh\nmake up\n\`\`\`\n\`\`\`python\nim_other = 1\n\`\`\`\n`), []);
  });

  for (const [mention, problem] of [
    ["im_sent_total", "there is no metric im_sent_total"],
    ["imcluster:gone:ratio", "there is no recorded figure imcluster:gone:ratio"],
    ["IM_PROT=1", "there is no variable IM_PROT"],
    ["make upp", "there is no target upp"],
    ["make sim SEDE=1", "there is no setting of make SEDE"],
    ["make bench BENCH=gone", "there is no benchmark gone"],
    ["kubectl im stats", "there is no command kubectl im stats"],
    ["kubectl im status --loud", "there is no flag of status loud"],
    ["spec.entry.replica", "there is no field spec.entry.replica"],
    ["lib/gone.ts", "there is no file lib/gone.ts"],
  ])
    it(`${mention}: ${problem}`, () => assert.deepEqual(problems(`\n\`${mention}\``), [`a.md:2: ${problem}`]));
});

describe("YAML", () => {
  const fields = new Map([
    ["entry", new Set(["replicas", "resources"])],
    ["logic", new Set(["serverApi", "resources"])],
  ]);
  const shown = (yaml: string, note = ""): unknown[] =>
    shownYaml(readPage("a.md", `${note}\n\`\`\`yaml\n${yaml}\n\`\`\`\n`), fields).map((item) => item.shown);
  const spec = (value: object): object => ({
    kind: "manifest",
    manifest: { apiVersion: "imcluster.io/v1alpha1", kind: "ImCluster", metadata: { name: "shown" }, spec: value },
  });

  it("is a manifest, or a part of an ImCluster that has one place", () => {
    const manifest = { kind: "Secret", metadata: { name: "a" } };
    assert.deepEqual(shown(JSON.stringify(manifest)), [{ kind: "manifest", manifest }]);
    assert.deepEqual(shown("spec: { entry: { replicas: 3 } }"), [spec({ entry: { replicas: 3 } })]);
    assert.deepEqual(shown("entry: { replicas: 3 }"), [spec({ entry: { replicas: 3 } })]);
    assert.deepEqual(shown("serverApi: {}"), [spec({ logic: { serverApi: {} } })]);
    assert.deepEqual(shown("a: 1", "<!-- values of im-operator -->"), [
      { kind: "values", chart: "im-operator", text: "a: 1" },
    ]);
  });

  it("with several places, none, or that is no YAML, is told", () => {
    const problem = (keys: string): object => ({
      kind: "unknown",
      problem: `${keys}: neither a manifest nor a part of an ImCluster`,
    });
    assert.deepEqual(shown("resources: {}"), [problem("resources")]);
    assert.deepEqual(shown("gone: 1"), [problem("gone")]);
    assert.deepEqual(shown("- 1"), [{ kind: "unknown", problem: "no object" }]);
    assert.match(JSON.stringify(shown("a: [1")), /"unknown"/);
  });
});

describe("commands that are not run", () => {
  const words = (program: string, text: string): (readonly string[])[] =>
    callsOf(program, text).map((call) => call.words);

  it("are found behind prompts, pipes, settings and sudo, with their words", () => {
    const text =
      "$ kubectl get imc -A   # all\nA=1 sudo kubectl -n x create secret generic a --from-literal=b='c d' | kubectl apply -f -\n";
    assert.deepEqual(words("kubectl", text), [
      ["get", "imc", "-A"],
      ["-n", "x", "create", "secret", "generic", "a", "--from-literal=b='c d'"],
      ["apply", "-f", "-"],
    ]);
    assert.deepEqual(words("helm", "helm install a charts/im-operator \\\n  --set x=1\nhelmet\n"), [
      ["install", "a", "charts/im-operator", "--set", "x=1"],
    ]);
    assert.deepEqual(verbsOf(words("kubectl", text)[1] ?? []), ["create", "secret", "generic"]);
  });

  it("have flags up to those of the program that they start", () => {
    assert.deepEqual(longFlags(["exec", "deploy/x", "--tty", "--", "node", "--inspect"]), ["tty"]);
  });

  it("render as a template what they would install", () => {
    const install = ["upgrade", "--install", "a", "charts/im-operator", "--wait", "--set", "x=1", "--set-string=y=2"];
    assert.deepEqual(templateOf(install), [
      "template",
      "shown",
      "charts/im-operator",
      "--set",
      "x=1",
      "--set-string=y=2",
    ]);
    assert.equal(templateOf(["uninstall", "a"]), undefined);
    assert.equal(templateOf(["install", "a", "oci://elsewhere/chart"]), undefined);
  });
});
