// SPDX-License-Identifier: Apache-2.0
// The documentation of this tree: links, names, blocks of commands.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, it } from "node:test";
import { PROGRAMS } from "../../scripts/bundle/programs.ts";
import { type Block, blockProblems, commandBlocks } from "./blocks.ts";
import { brokenLinks, unreachable } from "./links.ts";
import type { Page } from "./markdown.ts";
import { unknownNames } from "./names.ts";
import { hasTest, knownNames, placesOf, readPages, textOf } from "./tree.ts";

const pages = readPages();
/** Told as they were when they were written: names in them may be gone. */
const HISTORY = /^(docs\/adr\/|CHANGELOG\.md$)/;
/** Every command of these is run by a test. */
const PROVEN = /^(README|docs\/quick-start)(\.zh-CN)?\.md$/;
/** Where a command may need what no test machine has: another kind of cluster. */
const LEFT_OUT = /^docs\/quick-start(\.zh-CN)?\.md$/;

const named = (pattern: RegExp): Page[] => [...pages.values()].filter(({ path }) => pattern.test(path));
const blocksOf = (pattern: RegExp): Block[] => named(pattern).flatMap(commandBlocks);

describe("documentation", () => {
  it("has links that all lead somewhere", () => {
    const links = [...pages.values()].reduce((sum, page) => sum + page.links.length, 0);
    console.log(`figures: ${pages.size} pages, ${links} links`);
    assert.ok(pages.size > 100 && links > 300);
    assert.deepEqual(brokenLinks(placesOf(pages)), []);
  });

  it("is reached from the README, page by page", () => {
    // Reports of the SDK's API are read by reviewers of its changes; a link to a folder shows the pages in it.
    const inFolder = [...pages.keys()].filter((path) => /^docs\/adr\/|^client\/etc\//.test(path));
    assert.deepEqual(unreachable(["README.md", "CONTRIBUTING.md", ...inFolder], placesOf(pages)), []);
  });

  it("names only metrics, variables, commands, fields and files that the code has", () => {
    const known = knownNames();
    const looked = [...pages.values()].filter(({ path }) => !HISTORY.test(path));
    assert.deepEqual(
      looked.flatMap((page) => unknownNames(page, known)),
      [],
    );
  });

  it("says of each command of README and quick start which test runs it", () => {
    const blocks = blocksOf(PROVEN);
    const count = (kind: string): number => blocks.filter(({ fate }) => fate.kind === kind).length;
    console.log(
      `figures: ${blocks.length} blocks of commands: ${count("run")} run here, ${count("tested")} by other tests`,
    );
    assert.ok(blocks.length > 0);
    assert.deepEqual(blockProblems(blocks, { hasTest, mayBeLeftOut: (path) => LEFT_OUT.test(path) }), []);
  });

  it("names the oldest Kubernetes that the charts take", () => {
    const [, oldest] = /kubeVersion: ">=(\d+\.\d+)\./.exec(textOf("charts/im-operator/Chart.yaml")) ?? [];
    assert.ok(oldest);
    for (const path of ["docs/quick-start.md", "docs/quick-start.zh-CN.md", "docs/versions.md"])
      assert.ok(textOf(path).includes(oldest), `${path}: ${oldest}`);
  });

  it("counts the runtime libraries as package.json has them", () => {
    const { dependencies } = JSON.parse(textOf("package.json")) as { dependencies: Record<string, string> };
    const clients = /^(@grpc|@kubernetes|@opentelemetry)\/|^(ioredis|prom-client)$/;
    const count = Object.keys(dependencies).filter((name) => !clients.test(name)).length;
    const [, english] = /(\w+) runtime libraries beyond the clients of/.exec(textOf("README.md").toLowerCase()) ?? [];
    const [, chinese] = /运行时只依赖(.)个库/.exec(textOf("README.zh-CN.md")) ?? [];
    assert.deepEqual(
      [english, chinese],
      [["no", "one", "two", "three", "four", "five", "six", "seven"][count], "零一二三四五六七"[count]],
    );
  });

  it("shows commands that a shell can read", () => {
    for (const { page, fence } of blocksOf(/./)) {
      const check = (): string =>
        execFileSync("bash", ["-n"], { input: fence.text, timeout: 10_000, stdio: "pipe" }).toString();
      assert.doesNotThrow(check, `${page}:${fence.line}`);
    }
  });

  it("runs in pods of ImCluster what their image has: programs that are bundled, and no shell", () => {
    const programs: readonly string[] = PROGRAMS;
    const PLACE = /kubectl exec [^|;]*\b(?:entry|logic|extlogic|operator)\b[^|;]* -- +(\S+) +(\S+)/g;
    const commands = named(/^docs\/(?!adr\/)|^README/).flatMap(({ path }) =>
      [...textOf(path).replaceAll("\\\n", " ").matchAll(PLACE)].map(([, what, which]) => ({ path, what, which })),
    );
    assert.ok(commands.length > 5);
    for (const { path, what, which = "" } of commands)
      assert.ok(what === "node" && programs.includes(which), `${path}: ${what} ${which}`);
  });
});
