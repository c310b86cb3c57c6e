// SPDX-License-Identifier: Apache-2.0

const INNER = "GET /healthz HTTP/1.1\r\nHost: inner\r\n\r\n";
export const CHUNKED = "5\r\nhello\r\n0\r\n\r\n";

/** A POST of `lines` with `body`, followed by another request. */
export function post(lines: readonly string[], body: string, method = "POST", version = "HTTP/1.1"): string {
  return `${method} / ${version}\r\nHost: im.example.com\r\n${lines.join("\r\n")}\r\n\r\n${body}${INNER}`;
}

export const TE = "Transfer-Encoding: chunked";
export const CL = "Content-Length: 5";

/** Whole requests; the right answer to each is one 400 and the end. */
export const SMUGGLING_SHAPES: Readonly<Record<string, string>> = {
  "CL.TE": post([CL, TE], CHUNKED),
  "TE.CL": post([TE, CL], CHUNKED),
  "CL.TE on GET": post([CL, TE], CHUNKED, "GET"),
  "CL 0 and TE": post(["Content-Length: 0", TE], CHUNKED),
  "two lengths that differ": post([CL, "Content-Length: 6"], "hello"),
  "two lengths that agree": post([CL, CL], "hello"),
  "a list of lengths": post(["Content-Length: 5, 5"], "hello"),
  "a list of lengths that differ": post(["Content-Length: 5, 6"], "hello"),
  "a length with a sign": post(["Content-Length: +5"], "hello"),
  "a negative length": post(["Content-Length: -5"], "hello"),
  "a hexadecimal length": post(["Content-Length: 0x5"], "hello"),
  "a length with a point": post(["Content-Length: 5.0"], "hello"),
  "a length with a space in it": post(["Content-Length: 5 5"], "hello"),
  "a length with letters": post(["Content-Length: 5x"], "hello"),
  "an empty length": post(["Content-Length: "], "hello"),
  "a length beyond 64 bits": post(["Content-Length: 99999999999999999999"], "hello"),
  "a space before the colon of the length": post(["Content-Length : 5"], "hello"),
  "a tab before the colon of the encoding": post(["Transfer-Encoding\t: chunked"], CHUNKED),
  "a space before the name": post(["X: y", " Transfer-Encoding: chunked", CL], "hello"),
  "a folded encoding": post(["Transfer-Encoding:\r\n chunked", CL], CHUNKED),
  "an encoding that is not chunked": post(["Transfer-Encoding: xchunked"], CHUNKED),
  "chunked and not last": post(["Transfer-Encoding: chunked, identity"], CHUNKED),
  "identity as encoding": post(["Transfer-Encoding: identity"], "hello"),
  "gzip before chunked": post(["Transfer-Encoding: gzip, chunked"], CHUNKED),
  "chunked twice": post([TE, TE], CHUNKED),
  "chunked in quotes": post(['Transfer-Encoding: "chunked"'], CHUNKED),
  "chunked with a vertical tab": post(["Transfer-Encoding:\u000bchunked"], CHUNKED),
  "chunked with a NUL": post(["Transfer-Encoding: chunked\u0000"], CHUNKED),
  "chunked in HTTP/1.0": post([TE], CHUNKED, "POST", "HTTP/1.0"),
  "a bare LF in the head": post(["X: y\nTransfer-Encoding: chunked"], CHUNKED),
  "a bare CR in the head": post(["X: y\rTransfer-Encoding: chunked"], CHUNKED),
  "bare LFs throughout": "POST / HTTP/1.1\nHost: x\nContent-Length: 0\n\n",
  "a bare LF after the request line": "GET /healthz HTTP/1.1\nHost: x\r\n\r\n",
  "a NUL in a header": post(["X: a\u0000b"], ""),
  "a name with a NUL": post(["X\u0000Y: b"], ""),
  "a name with a space": post(["X Y: b"], ""),
  "an empty name": post([": b"], ""),
  "a line without colon": post(["nonsense"], ""),
  "two hosts": "GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
  "no host": "GET /healthz HTTP/1.1\r\nX: y\r\n\r\n",
  "a version that does not exist": "GET /healthz HTTP/1.2\r\nHost: x\r\n\r\n",
  "a tab in the request line": "GET\t/healthz HTTP/1.1\r\nHost: x\r\n\r\n",
  "a space in the target": "GET /health z HTTP/1.1\r\nHost: x\r\n\r\n",
  "HTTP/2 without asking": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
};

/** Bodies in chunks that are none. */
export const BAD_CHUNKS: Readonly<Record<string, string>> = {
  "a size with a sign": "+5\r\nhello\r\n0\r\n\r\n",
  "a negative size": "-5\r\nhello\r\n0\r\n\r\n",
  "a size with 0x": "0x5\r\nhello\r\n0\r\n\r\n",
  "a size beyond 64 bits": "FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
  "a bare LF after the size": "5\nhello\r\n0\r\n\r\n",
  "no CRLF after the data": "5\r\nhelloX0\r\n\r\n",
  "a space before the size": " 5\r\nhello\r\n0\r\n\r\n",
  "an empty size": "\r\nhello\r\n0\r\n\r\n",
};
