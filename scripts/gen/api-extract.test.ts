// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { extractSdkApi } from "./api-extract.ts";

const ROOT = join(import.meta.dirname, "../..");

it("the SDK's API reference and reports are those of the code, and every export is documented", async () => {
  const { files, faults } = await extractSdkApi();
  assert.deepEqual(faults, []);
  assert.deepEqual(
    files.map(({ path }) => path),
    [
      "client/API.md",
      "client/etc/client.api.md",
      "client/etc/client-node.api.md",
      "client/etc/client-indexeddb.api.md",
      "client/etc/client-endpoints.api.md",
      "client/etc/client-presence.api.md",
      "client/etc/client-models.api.md",
    ],
  );
  for (const { path, content } of files) {
    const isCurrent = existsSync(join(ROOT, path)) && readFileSync(join(ROOT, path), "utf8") === content;
    assert.ok(isCurrent, `${path} is not current: run \`make docs\` and commit the result`);
    assert.doesNotMatch(content, new RegExp(ROOT), "a path of this machine");
  }
  const page = files[0]?.content ?? "";
  for (const name of ["ImClient", "FileStore", "IndexedDbStore", "tcpTransport", "DisconnectCode", "ClientEvents"]) {
    assert.match(page, new RegExp(`^### ${name}$`, "m"));
  }
});
