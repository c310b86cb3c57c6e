// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { encodeTar, type TarEntry } from "./tar.ts";

const folder = mkdtempSync(join(tmpdir(), "imc-tar-"));
after(() => rmSync(folder, { recursive: true }));

const LONG = `/app/${"very-long-folder-name/".repeat(12)}file.txt`;
const NON_ASCII = `/data/${"聊天".repeat(40)}.txt`;

function writeArchive(name: string, entries: TarEntry[]): string {
  const path = join(folder, name);
  writeFileSync(path, Buffer.concat([...encodeTar(entries)]));
  return path;
}

describe("encodeTar", () => {
  const source = join(folder, "source.bin");
  writeFileSync(source, Buffer.alloc(1_500_000, 7), { mode: 0o700 });
  const entries: TarEntry[] = [
    { kind: "content", path: "/etc/passwd", content: "root:x:0:0\n" },
    { kind: "content", path: "/empty", content: "" },
    { kind: "content", path: "/block", content: "x".repeat(512) },
    { kind: "content", path: LONG, content: "long" },
    { kind: "content", path: NON_ASCII, content: "聊" },
    { kind: "link", path: "/lib/libpq.so", target: "libpq.so.5.18" },
    { kind: "link", path: "/lib/far.so", target: `/${"x".repeat(150)}` },
    { kind: "folder", path: "/tmp", mode: 0o1777 },
    { kind: "file", path: "/bin/program", source },
    { kind: "content", path: "/data/owned", content: "", uid: 999 },
  ];

  it("is read by tar, with every parent folder, sorted", () => {
    const listing = execFileSync("tar", ["-tf", writeArchive("list.tar", entries)], { encoding: "utf8" })
      .trim()
      .split("\n");
    for (const name of ["etc/", "etc/passwd", "bin/program", "tmp/", "lib/libpq.so", LONG.slice(1)]) {
      assert.ok(listing.includes(name), `${name} in ${listing.join(" ")}`);
    }
    assert.ok(listing.indexOf("etc/") < listing.indexOf("etc/passwd"));
    assert.equal(new Set(listing).size, listing.length, "no member twice");
  });

  it("extracts to the same content, links and modes", () => {
    const target = join(folder, "extracted");
    mkdirSync(target);
    execFileSync("tar", ["-xpf", writeArchive("extract.tar", entries), "-C", target, "--no-same-owner"]);
    assert.equal(readFileSync(join(target, LONG), "utf8"), "long");
    assert.equal(readFileSync(join(target, NON_ASCII), "utf8"), "聊");
    assert.equal(readFileSync(join(target, "empty"), "utf8"), "");
    assert.deepEqual(readFileSync(join(target, "bin/program")), readFileSync(source));
    assert.equal(statSync(join(target, "bin/program")).mode & 0o7777, 0o755);
    assert.equal(statSync(join(target, "etc/passwd")).mode & 0o7777, 0o644);
    assert.equal(statSync(join(target, "tmp")).mode & 0o7777, 0o1777);
    assert.equal(readlinkSync(join(target, "lib/libpq.so")), "libpq.so.5.18");
    assert.equal(readlinkSync(join(target, "lib/far.so")).length, 151);
  });

  it("states numeric owners and no times", () => {
    const options = ["--numeric-owner", "--utc", "--full-time", "-tvf", writeArchive("owner.tar", entries)];
    const lines = execFileSync("tar", options, { encoding: "utf8" }).split("\n");
    assert.match(lines.find((line) => line.endsWith("data/owned")) ?? "", / 999\/999 /);
    assert.ok(lines.filter((line) => line !== "").every((line) => line.includes("1970-01-01 00:00:00")));
  });

  it("gives the same bytes whatever the order of the entries", () => {
    const bytes = Buffer.concat([...encodeTar(entries)]);
    assert.deepEqual(Buffer.concat([...encodeTar([...entries].reverse())]), bytes);
    assert.equal(bytes.length % 512, 0);
  });

  it("lets the last entry of a path win", () => {
    const twice = writeArchive("twice.tar", [
      { kind: "content", path: "/a", content: "first" },
      { kind: "content", path: "/a", content: "second" },
    ]);
    assert.equal(execFileSync("tar", ["-xOf", twice, "a"], { encoding: "utf8" }), "second");
  });

  it("fails for a file that is not there", () => {
    assert.throws(() => [...encodeTar([{ kind: "file", path: "/x", source: join(folder, "missing") }])], /ENOENT/);
  });
});
