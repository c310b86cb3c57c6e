// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { examplesOf, typeErrors } from "./examples.ts";
import { readPage } from "./markdown.ts";
import { readPages } from "./tree.ts";

/** Made from the code: signatures, no examples. */
const GENERATED = /^client\/(API\.md$|etc\/)/;

describe("examples in TypeScript", () => {
  it("of all pages type check against the SDK of this tree", async () => {
    const examples = [...readPages().values()].filter(({ path }) => !GENERATED.test(path)).flatMap(examplesOf);
    console.log(`figures: ${examples.length} examples in TypeScript`);
    assert.ok(examples.length >= 5);
    assert.deepEqual(await typeErrors(examples), []);
  });

  it("with a method, an option or a module that is not there are named with page and line", async () => {
    const bad = [
      'import { ImClient } from "@imcluster/client";\nexport const c = new ImClient({ url: "u", deviceId, getToken });\nc.sendd();\n',
      'import { ImClient } from "@imcluster/client";\nexport const c = new ImClient({ url: "u", deviceId, getToken, urll: 1 });\n',
      'import { ImClient } from "@imcluster/clients";\nexport type C = ImClient;\n',
    ];
    const page = readPage("a.md", bad.map((code) => `\`\`\`ts\n${code}\`\`\`\n`).join("\n"));
    const said = await typeErrors(examplesOf(page));
    assert.deepEqual(
      said
        .filter((line) => !line.startsWith(" "))
        .map((line) => /^(a\.md:\d+)\(\d+,\d+\): error (TS\d+)/.exec(line)?.slice(1, 3)),
      [
        ["a.md:1", "TS2551"],
        ["a.md:7", "TS2561"],
        ["a.md:12", "TS2307"],
      ],
    );
  });
});
