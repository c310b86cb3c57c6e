// SPDX-License-Identifier: Apache-2.0
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import fc from "fast-check";
import { freePort } from "../../e2e/harness/ports.ts";
import { isGoNewEnough } from "./go.ts";
import { parseImageList } from "./load.ts";
import { findConflicts, isPortFree, overlaps, parseSubnet } from "./preflight.ts";
import { ensureBinaries, missingBinaries } from "./toolchain.ts";

describe("subnets", () => {
  it("parses edges", () => {
    assert.deepEqual(parseSubnet("10.89.0.0/24"), { first: 173_604_864, last: 173_605_119 });
    assert.deepEqual(parseSubnet("0.0.0.0/0"), { first: 0, last: 2 ** 32 - 1 });
    assert.deepEqual(parseSubnet("255.255.255.255"), { first: 2 ** 32 - 1, last: 2 ** 32 - 1 });
  });

  it("overlap exactly when one contains the other", () => {
    const cidr = fc.tuple(fc.ipV4(), fc.integer({ min: 1, max: 32 })).map(([ip, bits]) => `${ip}/${bits}`);
    fc.assert(
      fc.property(cidr, cidr, (a, b) => {
        const [x, y] = [parseSubnet(a), parseSubnet(b)];
        const contains = (p: typeof x, q: typeof x): boolean => p.first <= q.first && q.last <= p.last;
        assert.equal(overlaps(a, b), contains(x, y) || contains(y, x));
        assert.equal(overlaps(a, b), overlaps(b, a));
      }),
    );
  });

  it("conflict with other devices only", () => {
    const routes = [
      { dst: "default", dev: "eth0" },
      { dst: "192.0.2.0/24", dev: "eth0" },
      { dst: "10.89.0.0/24", dev: "imc0" },
      { dst: "10.90.1.0/24", dev: "imc0" },
    ];
    assert.deepEqual(findConflicts(routes), []);
    assert.deepEqual(findConflicts([...routes, { dst: "10.0.0.0/8", dev: "wg0" }]), ["10.0.0.0/8 (wg0)"]);
    assert.deepEqual(findConflicts([{ dst: "10.89.0.77", dev: "eth1" }]), ["10.89.0.77 (eth1)"]);
  });
});

describe("isPortFree", () => {
  it("tells a taken port from a free one", async () => {
    const port = await freePort();
    const server = createServer().listen(port, "127.0.0.1");
    await once(server, "listening");
    assert.equal(await isPortFree("127.0.0.1", port), false);
    const closed = once(server, "close");
    server.close();
    await closed;
    assert.equal(await isPortFree("127.0.0.1", port), true);
    await assert.rejects(isPortFree("203.0.113.1", port), /EADDRNOTAVAIL/);
  });
});

describe("toolchain", () => {
  it("wants Go 1.26 or newer", () => {
    const lines = ["go version go1.26.8 linux/amd64", "go version go1.27 linux/amd64", "go version go2.0 linux/amd64"];
    for (const line of lines) assert.ok(isGoNewEnough(line), line);
    for (const line of ["go version go1.25.9 linux/amd64", "go version go1.9 linux/amd64", "", "devel"])
      assert.ok(!isGoNewEnough(line), line);
  });

  it("has no program that no recipe names", async () => {
    await assert.rejects(ensureBinaries(["kube-nothing"]), /no recipe for kube-nothing/);
    assert.deepEqual(missingBinaries(["kube-nothing"]), ["kube-nothing"]);
  });
});

describe("parseImageList", () => {
  it("maps references to digests", () => {
    const output = `REF                       TYPE                                       DIGEST        SIZE      PLATFORMS   LABELS
imcluster.local/pause:1   application/vnd.oci.image.manifest.v1+json sha256:aaaa   1.3 MiB   linux/amd64 io.cri-containerd.image=managed
sha256:bbbb               application/vnd.oci.image.manifest.v1+json sha256:aaaa   1.3 MiB   linux/amd64 -
`;
    assert.equal(parseImageList(output).get("imcluster.local/pause:1"), "sha256:aaaa");
    assert.equal(parseImageList("REF TYPE DIGEST SIZE PLATFORMS LABELS\n").size, 0);
  });
});
