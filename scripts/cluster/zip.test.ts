// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { deflateRawSync } from "node:zlib";
import { ClusterFault } from "./fault.ts";
import { withZip } from "./zip.ts";

const folder = mkdtempSync(join(tmpdir(), "imc-zip-"));
after(() => rmSync(folder, { recursive: true }));

interface Member {
  name: string;
  content: string;
  method: 0 | 8;
  mode?: number;
}

function header(signature: number, member: Member, stored: Buffer, offset: number): Buffer {
  const isCentral = signature === 0x02014b50;
  const fixed = Buffer.alloc(isCentral ? 46 : 30);
  const shift = isCentral ? 2 : 0;
  fixed.writeUInt32LE(signature, 0);
  fixed.writeUInt16LE(member.method, 8 + shift);
  fixed.writeUInt32LE(stored.length, 18 + shift);
  fixed.writeUInt32LE(Buffer.byteLength(member.content), 22 + shift);
  fixed.writeUInt16LE(Buffer.byteLength(member.name), 26 + shift);
  if (isCentral) {
    fixed.writeUInt32LE(((member.mode ?? 0o644) << 16) >>> 0, 38);
    fixed.writeUInt32LE(offset, 42);
  }
  return Buffer.concat([fixed, Buffer.from(member.name)]);
}

function writeZip(name: string, members: Member[], comment = ""): string {
  const parts: Buffer[] = [];
  const central: Buffer[] = [];
  let offset = 0;
  for (const member of members) {
    const stored = member.method === 8 ? deflateRawSync(member.content) : Buffer.from(member.content);
    const local = Buffer.concat([header(0x04034b50, member, stored, 0), stored]);
    central.push(header(0x02014b50, member, stored, offset));
    parts.push(local);
    offset += local.length;
  }
  const directory = Buffer.concat(central);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(members.length, 8);
  end.writeUInt16LE(members.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  end.writeUInt16LE(comment.length, 20);
  const path = join(folder, name);
  writeFileSync(path, Buffer.concat([...parts, directory, end, Buffer.from(comment)]));
  return path;
}

const MEMBERS: Member[] = [
  { name: "kubectl/", content: "", method: 0, mode: 0o40755 },
  { name: "kubectl/kubectl", content: "binary ".repeat(1000), method: 8, mode: 0o100755 },
  { name: "README", content: "stored", method: 0 },
];

describe("withZip", () => {
  it("lists members with modes and reads both methods", () => {
    withZip(writeZip("good.zip", MEMBERS), (entries) => {
      assert.deepEqual(
        entries.map((entry) => [entry.name, entry.isFolder, entry.mode]),
        [
          ["kubectl/", true, 0o755],
          ["kubectl/kubectl", false, 0o755],
          ["README", false, 0o644],
        ],
      );
      assert.equal(entries[1]?.read().toString(), MEMBERS[1]?.content);
      assert.equal(entries[2]?.read().toString(), "stored");
    });
  });

  it("finds the end record before a comment", () => {
    assert.equal(
      withZip(writeZip("comment.zip", MEMBERS, "made by a test"), (entries) => entries.length),
      3,
    );
  });

  it("refuses what is no archive or ends early, and says how to go on", () => {
    const path = join(folder, "bad.zip");
    writeFileSync(path, "this is no archive at all");
    assert.throws(
      () => withZip(path, () => 0),
      (error) => error instanceof ClusterFault && /install it again/.test(error.remedy),
    );
    writeFileSync(path, "");
    assert.throws(() => withZip(path, () => 0), ClusterFault);
  });

  it("refuses content that is not as long as stated", () => {
    const path = writeZip("short.zip", [{ name: "a", content: "abc", method: 0 }]);
    withZip(path, ([entry]) => {
      assert.ok(entry);
      writeFileSync(path, Buffer.alloc(10));
      assert.throws(() => entry.read(), ClusterFault);
    });
  });

  it("passes on what the caller throws", () => {
    assert.throws(
      () =>
        withZip(writeZip("throw.zip", MEMBERS), () => {
          throw new RangeError("mine");
        }),
      RangeError,
    );
  });
});
