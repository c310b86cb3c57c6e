// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { libraryEntries, parseLdd } from "./files.ts";
import { symlinkEntries } from "./postgres.ts";

describe("parseLdd", () => {
  it("takes resolved paths and the loader, not the kernel's object or missing ones", () => {
    const output = `	linux-vdso.so.1 (0x00007f0000000000)
	libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f0000001000)
	libicuuc.so.60 => not found
	/lib64/ld-linux-x86-64.so.2 (0x00007f0000002000)
	libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f0000001000)
`;
    assert.deepEqual(parseLdd(output), ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
  });

  it("is empty for a static program", () => {
    assert.deepEqual(parseLdd("\tnot a dynamic executable\n"), []);
  });
});

describe("libraryEntries", () => {
  it("finds libc and the loader of this Node", async () => {
    const paths = (await libraryEntries([process.execPath])).map((entry) => entry.path);
    assert.ok(paths.some((path) => path.endsWith("/libc.so.6")));
    assert.ok(paths.some((path) => path.includes("/ld-linux")));
  });
});

describe("symlinkEntries", () => {
  it("links inside the image's own library folder", () => {
    assert.deepEqual(symlinkEntries([{ source: "native/lib/libpq.so.5.18", target: "native/lib/libpq.so.5" }]), [
      { kind: "link", path: "/usr/local/pgsql/lib/libpq.so.5", target: "libpq.so.5.18" },
    ]);
  });
});
