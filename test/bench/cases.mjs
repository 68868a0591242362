// What the bench asks for. `mode` is the proxies' mode; a proxy that does not know it is left out.

/** A head of about 1 KiB in 20 lines, as browsers and meshes send them. */
const TWENTY_HEADERS = [
  ...["Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"],
  ...["Accept-Encoding: gzip, deflate, br", "Accept-Language: en-GB,en;q=0.7,de;q=0.3", "Cache-Control: no-cache"],
  ...["Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; consent=all; last=1790000000", "DNT: 1"],
  ...["Origin: http://app.example", "Pragma: no-cache", "Referer: http://app.example/some/page?with=query"],
  ...["Sec-Fetch-Dest: document", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: same-origin", "Sec-Fetch-User: ?1"],
  ...["User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"],
  ...[
    "Upgrade-Insecure-Requests: 1",
    "X-B3-SpanId: 00f067aa0ba902b7",
    "X-B3-TraceId: 4bf92f3577b34da6a3ce929d0e0e4736",
  ],
  ...["X-Request-Id: 7b5a2f0e-6a0f-4b33-9d8c-2f1f6d7b9a10", `X-Padding: ${"p".repeat(200)}`],
];

export const CASES = [
  { name: "http keep-alive, small", mode: "http", path: "/", connections: 64 },
  { name: "http keep-alive, 1 KiB head", mode: "http", path: "/", connections: 64, headers: TWENTY_HEADERS },
  { name: "http keep-alive, 64 KiB", mode: "http", path: "/64k", connections: 64 },
  { name: "http keep-alive, 1 MiB", mode: "http", path: "/1m", connections: 16 },
  { name: "http keep-alive, POST 4 KiB", mode: "http", path: "/post", connections: 64, body: "d".repeat(4_096) },
  { name: "http, a connection each", mode: "http", path: "/", connections: 32, close: true },
  { name: "tcp keep-alive, small", mode: "tcp", path: "/", connections: 64 },
];
